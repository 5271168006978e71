"""One interface of results: fits of columns and of systems answer the same questions, alike."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.fitters.system import SystemFitResult
from tests.fitters.simulated import N_COLUMN, N_ROW, light, observed, scene, spectrum

NAMES = ("flux_0", "c0_1")


def image(seed=0, **fields):
    mask = np.random.default_rng(seed).random((N_ROW, N_COLUMN)) < 0.05
    mask[:, 7] = True
    return observed(light(scene(), spectrum()), seed, mask=mask, name="slit", **fields)


@pytest.fixture(params=["linear", "shape free"], scope="module")
def pair(request):
    """The same fit by columns, and as one system."""
    fitter = sm.LinearFitter() if request.param == "linear" else sm.VarProFitter(tolerance=1e-12)
    one, two = fitter(scene(), image()), fitter(scene(), image(), share={})
    assert not isinstance(one, SystemFitResult)
    assert isinstance(two, SystemFitResult)
    return one, two


def close(one, two, **options):
    """Equal but for rounding, and the last step of a search."""
    assert_allclose(one, two, **{"rtol": 1e-6, "atol": 1e-8, **options})


def test_values_and_errors_are_the_same(pair):
    one, two = pair
    for name in one.names:
        close(np.squeeze(one[name]), np.squeeze(two[name]))
        known = np.isfinite(np.atleast_1d(one.error(name)))
        close(np.atleast_1d(one.error(name))[known], np.atleast_1d(two.error(name))[known])
        assert list(one.repeats_over(name)) == list(two.repeats_over(name))


def test_images_of_the_model_are_the_same(pair):
    one, two = pair
    close(one.predict(), two.predict())
    close(one.residual(), two.residual())
    assert list(one.components()) == list(two.components()) == ["star", "sky"]
    for name, part in one.components().items():
        seen = ~np.isnan(one.predict())
        close(part[seen], two.components()[name][seen])
    close(one.leverages(), two.leverages())
    close(one.prediction_error(), two.prediction_error())


def test_prediction_errors_are_those_of_the_scatter():
    clean = light(scene(), spectrum())
    fits = [sm.VarProFitter()(scene(), observed(clean, seed)) for seed in range(60)]
    scatter = np.std([fit.predict() for fit in fits], axis=0)
    assert np.median(scatter / fits[0].prediction_error()) == pytest.approx(1, abs=0.06)


def test_goodness_has_a_row_for_each_image(pair):
    one, two = pair
    for fit in pair:
        (row,) = fit.goodness()
        assert row["image"] == "slit"
        assert row["n_pixel"] == np.count_nonzero(fit.image.weights)
        close(row["chi2"], np.nansum(fit.image.weights * np.nan_to_num(fit.residual()) ** 2))
        assert row["reduced_chi2"] == pytest.approx(1, abs=0.15)
    close(one.goodness()["dof"], two.goodness()["dof"])
    close(one.column_chi2(), two.column_chi2())


def test_covariances_of_sums_are_the_same(pair):
    one, two = pair
    weights = np.where(np.arange(N_COLUMN) == 7, 0.0, 1.0)
    sums = [{"flux_0": weights}, {"c0_1": weights}, {"flux_0": 2 * weights, "c0_1": -weights}]
    close(one.covariance_of(*sums), two.covariance_of(*sums))
    all_ = one.covariance_of("flux_0")
    assert all_.shape == (N_COLUMN, N_COLUMN)
    assert np.isinf(all_[7, 7])
    known = np.isfinite(one.error("flux_0"))
    close(np.sqrt(np.diagonal(all_))[known], one.error("flux_0")[known])
    close(all_[known][:, known], two.covariance_of("flux_0")[known][:, known])
    within = [fit.covariance_within(*NAMES) for fit in pair]
    close(within[0][known], within[1][known])


def test_sums_over_columns_scatter_as_their_covariance_says():
    """The shape is common to all columns: the sum's error is larger than of independent fluxes."""
    clean, ones = light(scene(), spectrum()), np.ones(N_COLUMN)
    fits = [sm.VarProFitter()(scene(), observed(clean, seed)) for seed in range(60)]
    total = [fit["flux_0"].sum() for fit in fits]
    error = np.sqrt(fits[0].covariance_of({"flux_0": ones})[0, 0])
    assert np.std(total) == pytest.approx(error, rel=4 / np.sqrt(2 * len(fits)))
    assert error > 1.05 * np.sqrt(np.sum(fits[0].error("flux_0") ** 2))


def test_strong_correlations_are_named(pair):
    one, _ = pair
    table = one.correlations(0.1)
    assert {"flux_0", "c0_1"} in [set(row) for row in table["first", "second"].iterrows()]
    assert (np.diff(np.abs(table["correlation"])) <= 0).all()
    assert np.abs(table["correlation"]).max() < 1
    assert len(one.correlations(0.999)) == 0


def test_correlations_of_a_shape_are_those_of_a_system():
    """All in all one column: medians over columns are the numbers themselves."""
    narrow = image().cutout(columns=slice(8, 9))
    model = scene(degree=0)
    model.stddev_0.fixed = True
    one, two = sm.VarProFitter()(model, narrow), sm.VarProFitter()(model, narrow, share={})

    def pairs(fit):
        names = [
            {n.split(" (")[0] for n in row} for row in fit.correlations(0.0)["first", "second"]
        ]
        return {
            tuple(sorted(n)): c
            for n, c in zip(names, fit.correlations(0.0)["correlation"], strict=True)
        }

    first, second = pairs(one), pairs(two)
    assert first.keys() == second.keys()
    close([first[k] for k in first], [second[k] for k in first], atol=1e-4)


def test_a_bound_model_evaluates_by_itself(pair):
    x, y = np.meshgrid(np.arange(N_COLUMN), np.arange(N_ROW))
    for fit in pair:
        close(fit.bound_model(x, y), fit.predict())
        assert np.isnan(fit.bound_model(N_COLUMN + 2.0, 3.0))


def test_noise_that_a_fit_leaves_is_that_of_the_hat_matrix():
    """For a small image the hat matrix itself is at hand."""
    small = image().cutout(columns=slice(0, 5))
    for batch in ("columns", None):
        fit = sm.LinearFitter()(scene(), small, batch=batch)
        hat = np.zeros((small.data.size, small.data.size))
        basis = sm.design_matrix(scene(), *np.broadcast_arrays(small.x[None], small.y[:, None]))
        for columns in [[k] for k in range(5)] if batch else [range(5)]:
            use = np.zeros(small.shape, dtype=bool)
            use[:, columns] = ~small.mask[:, columns]
            flat = np.flatnonzero(use)
            a = basis.reshape(-1, basis.shape[-1])[flat]
            hat[np.ix_(flat, flat)] = a @ np.linalg.pinv(a)
        given = np.random.default_rng(1).uniform(1, 4, small.shape)
        left = np.eye(len(hat)) - hat
        close(fit.leverages().ravel(), np.diagonal(hat))
        use = ~small.mask.ravel()
        expected = np.sum(left[:, use] ** 2 * given.ravel()[use], axis=1)
        close(fit.residual_variance(given).ravel()[use], expected[use])


def test_reasons_are_told_one_by_one():
    fit = sm.LinearFitter()(scene(), image())
    assert fit.reasons == ()
    assert fit.replace(message="first; second").reasons == ("first", "second")


def test_a_fit_that_describes_nothing_says_so(pair):
    """Solved exactly it is a success; what it leaves is told all the same."""
    stripes = 300 * (np.arange(N_COLUMN) // 7 % 2) * (np.arange(N_ROW)[:, None] % 3)
    wrong = image().replace(data=image().data + stripes)
    for fit, options in zip(pair, ({}, {"share": {}}), strict=True):
        assert fit.reasons == ()
        off = sm.LinearFitter()(scene(), wrong, **options)
        assert off.success
        (reason,) = off.reasons
        assert reason.startswith(
            f"image 'slit': chi2/dof {off.goodness()['reduced_chi2'][0]:.3g}, the model does not"
        )
        free = sm.LinearFitter()(scene(), wrong.replace(variance=None), **options)
        assert free.reasons == ()  # nothing is known of the noise


def test_options_fit_another_image_the_same_way(pair):
    for fit in pair:
        again = sm.LinearFitter()(fit.template, fit.image, **fit.options)
        assert type(again) is type(fit)
        close(again.predict(), fit.predict(), atol=1e-4)


def test_outliers_of_a_system_are_found_by_the_clipper():
    data = np.array(image().data)
    data[10, 30] += 500
    hit = image().replace(data=data)
    fit = sm.LinearFitter()(scene(), hit, share={})
    found = sm.SigmaClipFitter().outliers(fit, hit)
    assert found[10, 30]
    assert found.sum() < 4


def test_a_name_that_is_not_linear_is_named(pair):
    for fit in pair:
        with pytest.raises(KeyError, match="stddev_0"):
            fit.covariance_of("stddev_0")
        with pytest.raises(KeyError, match="flux_0"):
            fit.covariance_of("flux")
        assert fit.position("stddev_0") == fit.names.index("stddev_0")
        with pytest.raises(KeyError, match=r"star\.c0"):
            fit["star.c0"]


def test_parameters_are_found_by_the_name_of_their_term(pair):
    for fit in pair:
        assert_array_equal(fit["star.flux"], fit["flux_0"])
        assert_array_equal(fit.error("sky.c0"), fit.error("c0_1"))
        assert fit.covariance_of({"star.flux": 1.0}).shape == (1, 1)


def test_figures_show_each_image():
    images = [image(1), image(2).replace(name="other")]
    fit = sm.LinearFitter()(scene(), images)
    figure = fit.plot()
    shown = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(shown) == 6
    assert_allclose(np.ma.filled(shown[1], np.nan), fit.predict()[0])
    assert_array_equal(np.ma.getmaskarray(shown[3]), images[1].mask)
    assert [row["image"] for row in fit.goodness()] == ["slit", "other"]
    figure = sm.LinearFitter()(scene(), images[0]).plot()
    assert sum(ax.get_label() != "<colorbar>" for ax in figure.axes) == 3
