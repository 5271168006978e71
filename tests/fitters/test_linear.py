"""Linear fits of whole images: truth within the predicted scatter, batched as looped."""

import numpy as np
import pytest
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import (
    BasisModel,
    BoxProfile,
    ColumnPolynomial,
    LinearFitter,
    Source,
    SpectralImage,
    design_matrix,
)
from tests.fitters.simulated import (
    N_COLUMN,
    N_ROW,
    ROWS,
    X,
    Y,
    assert_unit_pulls,
    light,
    observed,
    scene,
    spectrum,
)


class ThreeInputs(BasisModel):
    n_inputs = 3

    def basis(self, x, y, z):
        return (x * y * z)[..., None]


@pytest.fixture
def truth():
    return spectrum(1)


def noisy(truth, seed, **fields):
    sigma = np.random.default_rng(99).uniform(1, 3, (N_ROW, N_COLUMN))
    return observed(light(scene(), truth), seed, sigma, **fields)


def test_noiseless_data_give_the_truth(truth):
    clean = light(scene(), truth)
    result = LinearFitter()(scene(), SpectralImage(clean, variance=np.ones(clean.shape)))
    assert_allclose(result["flux_0"], truth, rtol=1e-10)
    assert_allclose(result["c0_1"], 10.0, rtol=1e-9)
    assert_allclose(result.chi2, 0, atol=1e-6)
    assert_array_equal(result.dof, N_ROW - 2)
    assert result.success


def test_pulls_and_chi_square_are_those_of_the_noise(truth):
    results = [LinearFitter()(scene(), noisy(truth, seed)) for seed in range(20)]
    assert_unit_pulls([(r["flux_0"] - truth) / r.error("flux_0") for r in results])
    assert_unit_pulls([(r["c0_1"] - 10) / r.error("c0_1") for r in results])
    chi2 = np.array([r.chi2 for r in results])
    dof = N_ROW - 2
    assert abs(chi2.mean() - dof) < 4 * np.sqrt(2 * dof / chi2.size)


def test_covariance_is_the_scatter_of_many_fits(truth):
    """Flux and sky of a column are correlated."""
    results = [LinearFitter()(scene(), noisy(truth, seed)) for seed in range(40)]
    sample = np.array([[r["flux_0"] - truth, r["c0_1"] - 10] for r in results])
    product = np.mean(sample[:, 0] * sample[:, 1] / results[0].covariance[0, 1])
    scatter = np.std(sample[:, 0] * sample[:, 1] / results[0].covariance[0, 1])
    assert abs(product - 1) < 4 * scatter / np.sqrt(40 * N_COLUMN)
    assert (results[0].covariance[0, 1] < 0).all()


def test_every_column_is_the_weighted_fit_of_numpy(truth):
    image = noisy(truth, 0, mask=np.random.default_rng(1).random((N_ROW, N_COLUMN)) < 0.1)
    result = LinearFitter()(scene(), image)
    matrix = design_matrix(scene(), X, Y)
    root = np.sqrt(image.weights)
    for b in range(0, N_COLUMN, 7):
        weighted = matrix[:, b] * root[:, b, None]
        values, chi2, *_ = np.linalg.lstsq(weighted, root[:, b] * image.data[:, b], rcond=None)
        assert_allclose([result["flux_0"][b], result["c0_1"][b]], values, rtol=1e-9)
        covariance = np.linalg.inv(weighted.T @ weighted)
        assert_allclose(result.covariance[..., b], covariance, rtol=1e-9)
        assert_allclose(result.chi2[b], chi2[0], rtol=1e-9)
        assert result.dof[b] == np.count_nonzero(root[:, b]) - 2


def test_columns_do_not_know_of_one_another(truth):
    image = noisy(truth, 2)
    result = LinearFitter()(scene(), image)
    for b in (0, 17, N_COLUMN - 1):
        alone = LinearFitter()(scene(), image.cutout(columns=slice(b, b + 1)))
        assert_allclose(alone["flux_0"], result["flux_0"][b], rtol=1e-10)
        assert_allclose(alone.error("flux_0"), result.error("flux_0")[b], rtol=1e-10)


def test_one_set_of_parameters_for_all_pixels_is_astropys_fit():
    model = models.Polynomial2D(2)
    truth = models.Polynomial2D(2, c0_0=3.0, c1_0=-0.2, c0_1=0.4, c2_0=0.01, c1_1=0.02, c0_2=-0.03)
    sigma = np.random.default_rng(3).uniform(0.5, 1.5, X.shape)
    image = observed(truth(X, Y), 4, sigma)
    ours = LinearFitter()(model, image, batch=None)
    theirs = fitting.LinearLSQFitter()(model, X, Y, image.data, weights=1 / sigma)
    matrix = (design_matrix(model, X, Y) / sigma[..., None]).reshape(-1, 6)
    assert_allclose(ours.covariance[..., 0], np.linalg.inv(matrix.T @ matrix), rtol=1e-6)
    for name in model.param_names:
        error = float(ours.error(name))
        assert_allclose(float(ours[name]), getattr(theirs, name).value, atol=1e-6 * error)
        assert getattr(ours.model, name).value == ours[name]
        assert abs(float(ours[name]) - getattr(truth, name).value) < 4 * error
    assert ours.chi2.shape == (1,)
    assert ours.dof[0] == X.size - 6


def test_stock_compound_of_one_input_is_fitted_in_every_column():
    rng = np.random.default_rng(5)
    heights, slopes = rng.uniform(5, 10, N_COLUMN), rng.uniform(-0.1, 0.1, N_COLUMN)
    model = models.Gaussian1D(mean=12.0, stddev=2.0) + models.Polynomial1D(1)
    line = np.exp(-0.5 * ((Y - 12) / 2) ** 2)
    image = observed(heights * line + 3 + slopes * Y, 6, 0.5)
    result = LinearFitter()(model, image)
    assert_unit_pulls((result["amplitude_0"] - heights) / result.error("amplitude_0"))
    assert_unit_pulls((result["c1_1"] - slopes) / result.error("c1_1"))
    assert_array_equal(result["mean_0"], 12.0)
    assert result.error("mean_0") == 0


def test_fixed_linear_parameters_are_held(truth):
    model = scene()
    model.c0_1 = 7.0
    model.c0_1.fixed = True
    clean = light(scene(), truth, level=7.0)
    result = LinearFitter()(model, SpectralImage(clean, variance=np.ones(clean.shape)))
    assert_allclose(result["flux_0"], truth, rtol=1e-10)
    assert_array_equal(result["c0_1"], 7.0)
    assert result.covariance.shape == (1, 1, N_COLUMN)


def test_products_are_linear_in_one_factor():
    """A sky times a known throughput along the slit."""
    throughput = models.Gaussian2D(amplitude=1.0, y_mean=12, x_mean=30, x_stddev=1e6, y_stddev=9)
    throughput.amplitude.fixed = True
    model = ColumnPolynomial(0, limits=ROWS) * throughput
    levels = spectrum(2)
    clean = levels * throughput(X, Y)
    result = LinearFitter()(model, SpectralImage(clean, variance=np.ones(clean.shape)))
    assert_allclose(result["c0_0"], levels, rtol=1e-9)


def test_sum_of_images_weighs_as_their_combination(truth):
    """Two exposures, stacked, are the fit of their weighted mean."""
    first, second = noisy(truth, 7), noisy(truth, 8)
    weights = first.weights + second.weights
    mean = (first.weights * first.data + second.weights * second.data) / weights
    combined = LinearFitter()(scene(), SpectralImage(mean, variance=1 / weights))
    form = combined.form
    equations = [LinearFitter()(scene(), one).problem() for one in (first, second)]
    parts = []
    for problem in equations:
        _, columns = form.columns(form.values, problem.whole.inputs)
        parts.append(problem._equations(problem.whole, columns)[0])
    assert_allclose((parts[0] + parts[1]).solve().values[0], combined["flux_0"], rtol=1e-9)


class TestUndetermined:
    def test_masked_columns_are_nan_and_the_rest_is_as_before(self, truth):
        whole = noisy(truth, 9)
        mask = np.zeros(whole.shape, dtype=bool)
        mask[:, [3, 20]] = True
        result = LinearFitter()(scene(), whole.replace(mask=mask))
        expected = LinearFitter()(scene(), whole)
        bad = mask.all(axis=0)
        for name in ("flux_0", "c0_1"):
            assert_array_equal(np.isnan(result[name]), bad)
            assert_array_equal(np.isnan(result.error(name)), bad)
            assert_array_equal(result[name][~bad], expected[name][~bad])

    def test_source_outside_the_good_pixels_leaves_the_sky_determined(self, truth):
        box = Source(BoxProfile(width=3), trace_c0=12.0) + ColumnPolynomial(0, limits=ROWS)
        mask = np.zeros((N_ROW, N_COLUMN), dtype=bool)
        mask[2:, 5] = True
        result = LinearFitter()(box, noisy(truth, 10).replace(mask=mask))
        assert np.flatnonzero(np.isnan(result["flux_0"])).tolist() == [5]
        assert_allclose(result["c0_1"][5], result.image.data[:2, 5] @ [1, 1] / 2, atol=3)
        assert np.isfinite(result["c0_1"]).all()
        assert np.isnan(result.predict()[12, 5])

    def test_column_without_data_stays_so_with_a_ridge(self, truth):
        mask = np.zeros((N_ROW, N_COLUMN), dtype=bool)
        mask[:, 5] = True
        result = LinearFitter(ridge=1e-3)(scene(), noisy(truth, 11).replace(mask=mask))
        assert np.isnan(result["flux_0"][5])
        assert np.isnan(result.error("flux_0")[5])


def test_ridge_shrinks_by_the_same_for_data_of_any_scale(truth):
    image = noisy(truth, 12)
    shrunk = LinearFitter(ridge=0.1)(scene(), image)
    scaled = SpectralImage(1e-9 * image.data, variance=1e-18 * image.variance)
    other = LinearFitter(ridge=0.1)(scene(), scaled)
    assert_allclose(other["flux_0"], 1e-9 * shrunk["flux_0"], rtol=1e-9)
    plain = LinearFitter()(scene(), image)
    assert (np.abs(shrunk["flux_0"]) < np.abs(plain["flux_0"])).all()


def test_nothing_given_is_changed(truth):
    model, image = scene(), noisy(truth, 13)
    values, kept = model.parameters.copy(), image.data.copy()
    LinearFitter()(model, image)
    assert_array_equal(model.parameters, values)
    assert_array_equal(image.data, kept)
    assert len(model) == 1


def test_refuses_what_cannot_be_fitted():
    image = SpectralImage(np.ones((4, 5)))
    with pytest.raises(ValueError, match="ridge"):
        LinearFitter(ridge=-1)
    with pytest.raises(ValueError, match="ridge"):
        LinearFitter(ridge=np.nan)
    with pytest.raises(ValueError, match="batch"):
        LinearFitter()(ColumnPolynomial(0), image, batch="rows")
    fixed = ColumnPolynomial(0, fixed={"c0": True})
    with pytest.raises(ValueError, match="model: expected a free linear parameter"):
        LinearFitter()(fixed, image)
    with pytest.raises(ValueError, match="model: expected one or two inputs"):
        LinearFitter()(ThreeInputs(1), image)
    with pytest.raises(ValueError, match="model: expected a single model"):
        LinearFitter()(models.Polynomial1D(1, n_models=2), image)


def test_fit_again_of_other_data_is_that_of_the_model(truth):
    image = noisy(truth, 5)
    fit = LinearFitter()(scene(), image)
    other = image.replace(data=2 * image.data, mask=image.mask | (image.data > 50))
    for one in (other, other.cutout(rows=slice(2, N_ROW - 2))):
        again, expected = LinearFitter().refit(fit, [one]), LinearFitter()(fit.template, one)
        assert_array_equal(again["flux_0"], expected["flux_0"])
        assert_array_equal(again.chi2, expected.chi2)
