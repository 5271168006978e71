"""Variable projection: truth and predicted scatter, shared and per column, and all constraints."""

import numpy as np
import pytest
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import (
    BoxProfile,
    ColumnPolynomial,
    GaussianProfile,
    LinearFitter,
    MoffatProfile,
    PolynomialTrace,
    Source,
    SpectralImage,
    TiedTo,
    VarProFitter,
)
from specmodels.fitters.columns import problem
from tests.fitters.simulated import (
    LIMITS,
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

SHARED = {"trace_c0_0": 11.3, "trace_c1_0": 1.5, "stddev_0": 1.2}


def start():
    return scene(stddev=1.8, center=10.5, slope=0.8)


def per_column(seed=0, sigma=2.0, n_column=N_COLUMN):
    """Profiles whose centre and width differ from column to column; truth by name."""
    rng = np.random.default_rng(seed)
    truth = {
        "flux_0": spectrum(seed, n_column=n_column),
        "trace_c0_0": rng.uniform(10, 13, n_column),
        "stddev_0": rng.uniform(1.0, 1.6, n_column),
    }
    profile = GaussianProfile().evaluate(
        np.arange(N_ROW)[:, None], truth["trace_c0_0"], truth["stddev_0"]
    )
    return truth, observed(truth["flux_0"] * profile + 10, seed, sigma)


def column_model():
    return Source(GaussianProfile(stddev=1.3), trace_c0=11.5) + ColumnPolynomial(0, limits=ROWS)


class TestShared:
    def test_noiseless_data_give_the_truth(self):
        flux = spectrum()
        clean = light(scene(), flux)
        image = SpectralImage(clean, variance=np.ones(clean.shape))
        result = VarProFitter(tolerance=1e-9)(start(), image)
        assert result.success
        for name, value in SHARED.items():
            assert_allclose(result[name], value, rtol=1e-6)
        assert_allclose(result["flux_0"], flux, rtol=1e-6)
        assert_allclose(result.predict(), clean, rtol=1e-5)

    def test_pulls_of_all_parameters_have_unit_width(self):
        """Faint, so that the shared parameters count in the errors of the fluxes."""
        flux = spectrum(1, level=60.0)
        clean = light(scene(), flux)
        pulls = {name: [] for name in (*SHARED, "flux_0", "c0_1")}
        for seed in range(60):
            result = VarProFitter()(start(), observed(clean, seed, 5.0))
            truth = {**SHARED, "flux_0": flux, "c0_1": 10.0}
            for name in pulls:
                pulls[name].append((result[name] - truth[name]) / result.error(name))
        for values in pulls.values():
            assert_unit_pulls(values)

    def test_errors_of_fluxes_include_those_of_the_shared_parameters(self):
        """With a width to be found the sum of all fluxes scatters by more than the columns say."""
        flux = spectrum(2, level=60.0)
        clean = light(scene(), flux)
        results = [VarProFitter()(start(), observed(clean, seed, 5.0)) for seed in range(80)]
        first = results[0]
        assert (first.error("flux_0") > np.sqrt(first.held_covariance[0, 0])).all()
        # A direction in which fluxes and width trade: all fluxes together.
        sums = np.array([np.sum(r["flux_0"] - flux) for r in results])
        held = np.sqrt(np.sum(first.held_covariance[0, 0]))
        scatter = sums.std() / held
        assert scatter > 1 + 3 / np.sqrt(2 * len(sums))

    def test_shared_covariance_is_the_scatter_of_many_fits(self):
        clean = light(scene(), spectrum(3, level=100.0))
        results = [VarProFitter()(start(), observed(clean, seed, 3.0)) for seed in range(80)]
        sample = np.array([[float(r[name]) for name in SHARED] for r in results])
        predicted = results[0].shared_covariance[..., 0]
        whitened = np.linalg.solve(np.linalg.cholesky(predicted), (sample - sample.mean(0)).T)
        assert_allclose(whitened @ whitened.T / len(sample), np.eye(3), atol=4 * np.sqrt(2 / 80))

    def test_sources_blended_over_a_sky_are_told_apart(self):
        flux = spectrum(4), 0.4 * spectrum(5)
        first = scene(center=9.5)
        second = scene(center=13.0)
        clean = light(first, flux[0], 0) + light(second, flux[1], 10)
        image = observed(clean, 6)
        model = (
            Source(GaussianProfile(stddev=1.5), PolynomialTrace(1, limits=LIMITS, c0=9.0), name="a")
            + Source(GaussianProfile(stddev=1.5), PolynomialTrace(1, limits=LIMITS, c0=13.6))
            + ColumnPolynomial(0, limits=ROWS)
        )
        model.stddev_1.tied = TiedTo("stddev_0")
        model.trace_c1_1.tied = TiedTo("trace_c1_0")
        result = VarProFitter()(model, image)
        for k in (0, 1):
            name = f"flux_{k}"
            assert_unit_pulls((result[name] - flux[k]) / result.error(name))
        assert result["stddev_1"] == result["stddev_0"]
        assert abs(result["stddev_0"] - 1.2) < 4 * result.error("stddev_0")

    def test_noise_of_the_model_is_its_degrees_of_freedom(self):
        result = VarProFitter()(start(), observed(light(scene(), spectrum(6)), 7))
        dof = N_ROW * N_COLUMN - 2 * N_COLUMN - 3
        assert abs(result.reduced_chi2 - 1) < 4 * np.sqrt(2 / dof)
        assert_allclose(result.chi2.sum(), np.sum((result.residual() / 2) ** 2), rtol=1e-9)

    def test_the_last_step_along_the_tangent_ends_in_the_minimum(self):
        image = observed(light(scene(), spectrum(6)), 9)
        exact = VarProFitter(tolerance=1e-12)(start(), image)
        result = VarProFitter()(start(), image)
        assert result.n_iterations < exact.n_iterations
        for name in (*SHARED, "flux_0"):
            error = exact.error(name)
            assert_allclose(result[name] / error, exact[name] / error, atol=0.01, rtol=0)
        assert_allclose(result.chi2.sum(), exact.chi2.sum(), rtol=0, atol=1e-3)

    def test_masked_columns_are_nan_and_others_do_not_care(self):
        image = observed(light(scene(), spectrum(7)), 8)
        mask = np.zeros(image.shape, dtype=bool)
        mask[:, 12:15] = True
        result = VarProFitter()(start(), image.replace(mask=mask))
        bad = mask.all(axis=0)
        assert result.success
        assert_array_equal(np.isnan(result["flux_0"]), bad)
        assert_array_equal(np.isnan(result.error("flux_0")), bad)
        assert np.isfinite(list(map(float, (result[n] for n in SHARED)))).all()
        assert_array_equal(np.isnan(result.predict()).all(axis=0), bad)
        kept = image.cutout(columns=slice(15, None))
        assert np.isfinite(VarProFitter()(start(), kept)["flux_0"]).all()


class TestPerColumn:
    def test_batch_is_the_loop_of_single_columns(self):
        _, image = per_column()
        batched = VarProFitter(shared=False, tolerance=1e-8)(column_model(), image)
        assert batched.success
        for b in range(0, N_COLUMN, 9):
            alone = VarProFitter(tolerance=1e-8)(
                column_model(), image.cutout(columns=slice(b, b + 1))
            )
            for name in ("flux_0", "trace_c0_0", "stddev_0", "c0_1"):
                error = batched.error(name)[b]
                assert_allclose(np.squeeze(alone[name]), batched[name][b], atol=1e-3 * error)
                assert_allclose(np.squeeze(alone.error(name)), error, rtol=1e-3)

    def test_columns_are_those_of_astropys_fitter(self):
        _, image = per_column(1)
        model = models.Gaussian1D(700, 11.5, 1.3) + models.Const1D(5)
        ours = VarProFitter(shared=False, tolerance=1e-8)(model, image)
        fitter = fitting.TRFLSQFitter(calc_uncertainties=True)
        for b in range(0, N_COLUMN, 12):
            theirs = fitter(model, image.y, image.data[:, b], weights=np.full(N_ROW, 0.5))
            for name in model.param_names:
                error = ours.error(name)[b]
                assert_allclose(getattr(theirs, name).value, ours[name][b], atol=0.01 * error)

    def test_pulls_have_unit_width(self):
        pulls = {name: [] for name in ("flux_0", "trace_c0_0", "stddev_0")}
        for seed in range(8):
            truth, image = per_column(seed)
            result = VarProFitter(shared=False)(column_model(), image)
            for name, values in pulls.items():
                values.append((result[name] - truth[name]) / result.error(name))
        for values in pulls.values():
            assert_unit_pulls(values)

    def test_one_hopeless_column_does_not_spoil_the_others(self):
        truth, image = per_column(2)
        data, mask = image.data.copy(), np.zeros(image.shape, dtype=bool)
        data[:, 4] = 0.0
        mask[:, 5] = True
        spoilt = image.replace(data=data, mask=mask)
        result = VarProFitter(shared=False)(column_model(), spoilt)
        others = np.delete(np.arange(N_COLUMN), [4, 5])
        expected = VarProFitter(shared=False)(column_model(), image)
        assert_allclose(result["flux_0"][others], expected["flux_0"][others], rtol=1e-9)
        assert np.isnan(result["flux_0"][5])
        assert_unit_pulls(((result["flux_0"] - truth["flux_0"]) / result.error("flux_0"))[others])

    def test_single_column_is_an_image(self):
        truth, image = per_column(3, n_column=1)
        result = VarProFitter(shared=False)(column_model(), image)
        assert abs(result["flux_0"] - truth["flux_0"]) < 4 * result.error("flux_0")
        assert abs(result["stddev_0"] - truth["stddev_0"]) < 4 * result.error("stddev_0")

    def test_follows_a_long_valley_to_its_end(self):
        """Steep wings in noise: for some columns the best Moffat profile is nearly a Gaussian."""
        truth = models.Moffat1D(100.0, 20.1, 2 * np.sqrt(8), 8.0)
        rows = np.arange(40.0)[:, None]
        noisy = truth(rows) + 5 + np.random.default_rng(3).normal(size=(40, 200))
        image = SpectralImage(noisy, variance=np.ones(noisy.shape))
        start = models.Moffat1D(100.0, 20.0, 4.0, 3.0) + models.Const1D(5.0)
        result = VarProFitter(shared=False)(start, image)
        assert result.success
        assert result["alpha_0"].max() > 100
        assert_unit_pulls((result["x_0_0"] - 20.1) / result.error("x_0_0"))


class TestSingleSystem:
    """All pixels share all parameters: what astropy's fitters do."""

    def test_two_dimensional_compound_is_fitted_as_by_astropy(self):
        truth = models.Gaussian2D(50, 30, 12, 6, 2.5, theta=0.1) + models.Planar2D(0.02, -0.1, 3)
        image = observed(truth(X, Y), 0, 1.5)
        initial = models.Gaussian2D(30, 28, 11, 5, 3) + models.Planar2D(0, 0, 0)
        ours = VarProFitter(tolerance=1e-9)(initial, image, batch=None)
        weights = np.full(X.size, 1 / 1.5)
        theirs = fitting.TRFLSQFitter(calc_uncertainties=True)(
            initial, X.ravel(), Y.ravel(), image.data.ravel(), weights=weights
        )
        scale = np.sqrt(ours.reduced_chi2)  # astropy scales its errors by the residuals
        errors = dict(zip(theirs.cov_matrix.param_names,
                          np.sqrt(np.diag(theirs.cov_matrix.cov_matrix)), strict=True))  # fmt: skip
        for name in truth.param_names:
            error = float(ours.error(name))
            assert_allclose(float(ours[name]), getattr(theirs, name).value, atol=0.01 * error)
            assert abs(errors[name] / error - 1) < abs(scale - 1) + 0.02
            assert abs(float(ours[name]) - getattr(truth, name).value) < 4 * error

    def test_one_dimensional_compound_is_fitted_to_all_columns(self):
        truth = models.Gaussian1D(20, 12, 2) + models.Const1D(3)
        image = observed(np.broadcast_to(truth(Y), Y.shape), 1, 1.0)
        initial = models.Gaussian1D(10, 11, 1.5) + models.Const1D(0)
        ours = VarProFitter(tolerance=1e-9)(initial, image, batch=None)
        theirs = fitting.TRFLSQFitter()(initial, Y.ravel(), image.data.ravel())
        for name in truth.param_names:
            error = float(ours.error(name))
            assert_allclose(float(ours[name]), getattr(theirs, name).value, atol=0.01 * error)
            assert abs(float(ours[name]) - getattr(truth, name).value) < 4 * error
        assert_allclose(ours.model(Y), ours.predict(), rtol=1e-12)


class TestConstraints:
    def image(self, seed=0):
        return observed(light(scene(), spectrum(8)), seed)

    def test_fixed_parameters_are_held(self):
        model = start()
        model.stddev_0 = 1.4
        model.stddev_0.fixed = True
        result = VarProFitter()(model, self.image())
        assert result["stddev_0"] == 1.4
        assert result.error("stddev_0") == 0
        assert abs(result["trace_c0_0"] - 11.3) < 5 * result.error("trace_c0_0")

    def test_all_fixed_is_the_linear_fit(self):
        model = scene()
        for name in SHARED:
            getattr(model, name).fixed = True
        result, expected = (f(model, self.image()) for f in (VarProFitter(), LinearFitter()))
        assert_array_equal(result["flux_0"], expected["flux_0"])
        assert_array_equal(result.covariance, expected.covariance)

    @pytest.mark.parametrize(("bounds", "end"), [((1.35, 3.0), 1.35), ((0.5, 1.1), 1.1)])
    def test_bound_that_excludes_the_truth_is_reached_and_kept(self, bounds, end):
        model = start()
        model.stddev_0.bounds = bounds
        result = VarProFitter()(model, self.image())
        assert result["stddev_0"] == end
        assert 0 < result.error("stddev_0") < 0.1
        assert result.reasons[0] == f"stddev_0 ended at its bound {end:g}"
        free = start()
        free.stddev_0 = end
        free.stddev_0.fixed = True
        expected = VarProFitter()(free, self.image())
        assert_allclose(result["flux_0"], expected["flux_0"], rtol=1e-4)
        assert_allclose(result["trace_c1_0"], expected["trace_c1_0"], atol=1e-3)

    def test_bounds_that_hold_the_truth_do_not_matter(self):
        model = start()
        model.stddev_0.bounds = (0.5, 2.5)
        model.trace_c0_0.bounds = (8, None)
        result, free = (VarProFitter(tolerance=1e-8)(m, self.image()) for m in (model, start()))
        assert_allclose(result["flux_0"], free["flux_0"], rtol=1e-6)

    def test_initial_value_outside_its_bounds_is_moved_inside(self):
        model = start()
        model.stddev_0.bounds = (0.5, 1.5)
        result = VarProFitter()(model, self.image())
        assert abs(result["stddev_0"] - 1.2) < 4 * result.error("stddev_0")

    @pytest.mark.parametrize(
        "tie", [TiedTo("trace_c0_0", offset=6.0), lambda m: m.trace_c0_0.value + 6.0],
        ids=["by name", "function"],
    )  # fmt: skip
    @pytest.mark.parametrize("shared", [True, False])
    def test_ties_are_kept_and_their_data_count(self, tie, shared):
        """The neighbour, ten times brighter, is what places the faint source."""
        faint, bright = 0.02 * spectrum(9), spectrum(10)
        y = np.arange(N_ROW)[:, None]
        profile = GaussianProfile().evaluate
        clean = faint * profile(y, 8.3, 1.2) + bright * profile(y, 14.3, 1.2)
        image = observed(clean, 3)
        model = Source(GaussianProfile(stddev=1.2), trace_c0=8.0) + Source(
            GaussianProfile(stddev=1.2), trace_c0=0.0
        )
        for k in (0, 1):
            getattr(model, f"stddev_{k}").fixed = True
        model.trace_c0_1.tied = tie
        result = VarProFitter(shared=shared)(model, image)
        assert result.success
        assert_allclose(result["trace_c0_1"], result["trace_c0_0"] + 6.0, rtol=1e-12)
        assert_unit_pulls((result["flux_1"] - bright) / result.error("flux_1"))
        deviation = (result["trace_c0_0"] - 8.3) / result.error("trace_c0_0")
        assert np.abs(deviation).max() < 5
        # Alone the faint source would be placed 50 times worse.
        assert np.max(result.error("trace_c0_0")) < 0.02

    @pytest.mark.parametrize("shared", [True, False])
    def test_tie_that_is_no_straight_line(self, shared):
        """Width of the neighbour is the square of the first, with a slope of its own in each."""
        y = np.arange(N_ROW)[:, None]
        profile = GaussianProfile().evaluate
        flux = spectrum(11)
        widths = 1.3 if shared else np.linspace(0.7, 1.8, N_COLUMN)
        clean = 0.1 * flux * profile(y, 5.0, widths) + flux * profile(y, 15.0, widths**2)
        model = Source(GaussianProfile(stddev=1.1), trace_c0=5.0) + Source(
            GaussianProfile(), trace_c0=15.0
        )
        for k in (0, 1):
            getattr(model, f"trace_c0_{k}").fixed = True
        model.stddev_1.tied = lambda m: m.stddev_0.value**2
        pulls, fluxes = [], []
        for seed in range(12):
            result = VarProFitter(shared=shared)(model, observed(clean, seed))
            assert result.success
            assert_allclose(result["stddev_1"], result["stddev_0"] ** 2, rtol=1e-12)
            pulls.append((result["stddev_0"] - widths) / result.error("stddev_0"))
            fluxes.append((result["flux_1"] - flux) / result.error("flux_1"))
        assert_unit_pulls(pulls)
        assert_unit_pulls(fluxes)

    def test_ties_of_ties_are_followed(self):
        model = start() + Source(GaussianProfile(), name="b") + Source(GaussianProfile(), name="c")
        model.stddev_2.tied = TiedTo("stddev_0", factor=1.5)
        model.stddev_3.tied = TiedTo("stddev_2", offset=0.5)
        for k, row in ((2, 3.0), (3, 20.0)):
            setattr(model, f"trace_c0_{k}", row)
            getattr(model, f"trace_c0_{k}").fixed = True
        result = VarProFitter()(model, self.image())
        assert_allclose(result["stddev_3"], 1.5 * result["stddev_0"] + 0.5)

    @pytest.mark.parametrize("fitter", [LinearFitter(), VarProFitter()])
    def test_ties_to_fixed_parameters_are_kept(self, fitter):
        model = Source(GaussianProfile(stddev=1.2), trace_c0=11.0, name="a") + Source(
            GaussianProfile(stddev=3.0), trace_c0=5.0, name="b"
        )
        model.stddev_1.tied = TiedTo("stddev_0")
        for name in ("stddev_0", "trace_c0_0", "trace_c0_1"):
            getattr(model, name).fixed = True
        result = fitter(model, self.image())
        assert result["stddev_1"] == 1.2

    @pytest.mark.parametrize("fitter", [LinearFitter(), VarProFitter()])
    @pytest.mark.parametrize(
        ("name", "tie"),
        [("flux_0", TiedTo("trace_c0_0")), ("stddev_0", TiedTo("flux_0")),
         ("stddev_0", TiedTo("sigma")), ("stddev_0", TiedTo("stddev_0"))],
    )  # fmt: skip
    def test_ties_that_cannot_be_kept_are_refused_by_name(self, fitter, name, tie):
        model = start()
        getattr(model, name).tied = tie
        with pytest.raises(ValueError, match=f"model: .*{name}"):
            fitter(model, self.image())


class TestDegenerate:
    def test_parameters_without_effect_stay_and_the_rest_is_fitted(self):
        """A box wider than the image: its centre changes nothing."""
        model = start() + Source(BoxProfile(width=500.0), trace_c0=12.0)
        model.profile_width_2.fixed = True
        flux = spectrum(12)
        image = observed(light(scene(), flux), 0)
        result = VarProFitter()(model[0] + model[2], image)
        assert not result.success
        assert "not determined" in result.message
        assert "trace_c0_1" in result.message
        assert np.isinf(result.error("trace_c0_1"))
        assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))

    def test_two_names_for_one_thing_give_the_fluxes_of_one(self):
        """Trace and tabulated shift do the same: their sum is determined, neither alone."""
        trace = PolynomialTrace(0, limits=LIMITS, c0=5.0) + PolynomialTrace(
            1, limits=LIMITS, c0=5.5
        )
        model = Source(GaussianProfile(stddev=1.5), trace) + ColumnPolynomial(0, limits=ROWS)
        flux = spectrum(13)
        result = VarProFitter()(model, observed(light(scene(), flux), 1))
        assert "not determined" in result.message
        assert np.isinf(result.error("trace_c0_0_0"))
        assert_allclose(result["trace_c0_0_0"] + result["trace_c0_1_0"], 11.3, atol=0.02)
        assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))
        assert np.isfinite(result.error("flux_0")).all()

    def test_identical_sources_are_undetermined_and_say_so(self):
        twin = Source(GaussianProfile(stddev=1.2), trace_c0=11.0)
        result = LinearFitter()(twin + twin.copy() + ColumnPolynomial(0, limits=ROWS),
                                observed(light(scene(), spectrum(14)), 2))  # fmt: skip
        assert np.isnan(result["flux_0"]).all()
        assert np.isnan(result["flux_1"]).all()
        assert np.isfinite(result["c0_2"]).all()


class TestReproducible:
    def test_same_answer_bit_for_bit(self):
        image = observed(light(scene(), spectrum(15)), 3)
        for fitter, model in ((VarProFitter(), start()), (VarProFitter(shared=False), start())):
            first, second = fitter(model, image), fitter(model, image)
            for a, b in zip(first.values, second.values, strict=True):
                assert_array_equal(a, b)
            assert_array_equal(first.covariance, second.covariance)

    @pytest.mark.parametrize("shared", [True, False])
    def test_size_of_the_chunks_does_not_matter(self, monkeypatch, shared):
        image = observed(light(scene(), spectrum(16)), 4)
        whole = VarProFitter(shared=shared)(start(), image)
        monkeypatch.setattr(problem, "CHUNK_BYTES", 1)
        chunks = list(problem.Problem(whole.form, image).chunks(1))
        assert len(chunks) > 3
        pieces = VarProFitter(shared=shared)(start(), image)
        for name in whole.names:
            assert_allclose(pieces[name], whole[name], rtol=1e-9)
            assert_allclose(pieces.error(name), whole.error(name), rtol=1e-9)

    def test_single_system_does_not_depend_on_chunks(self, monkeypatch):
        truth = models.Gaussian2D(50, 30, 12, 6, 2.5) + models.Const2D(3)
        image = observed(truth(X, Y), 5, 1.0)
        whole = VarProFitter()(truth, image, batch=None)
        monkeypatch.setattr(problem, "CHUNK_BYTES", 1)
        pieces = VarProFitter()(truth, image, batch=None)
        for name in whole.names:
            assert_allclose(pieces[name], whole[name], rtol=1e-8)
            assert_allclose(pieces.error(name), whole.error(name), rtol=1e-8)

    def test_nothing_given_is_changed(self):
        model, image = start(), observed(light(scene(), spectrum(17)), 6)
        values, kept = model.parameters.copy(), image.data.copy()
        result = VarProFitter()(model, image)
        assert_array_equal(model.parameters, values)
        assert_array_equal(image.data, kept)
        assert result.template is not model


def test_passes_that_do_not_suffice_are_a_failure_with_a_reason():
    image = observed(light(scene(), spectrum(18)), 7)
    result = VarProFitter(max_iterations=2)(scene(stddev=4.0, center=8.0), image)
    assert not result.success
    assert "not converged" in result.message
    assert "failed" in repr(result)


def test_wings_are_found_as_well_as_the_core():
    truth = Source(MoffatProfile(gamma=2.0, alpha=2.5), PolynomialTrace(1, limits=LIMITS, c0=11.3))
    flux = spectrum(19)
    image = observed(light(truth, flux), 8)
    model = Source(MoffatProfile(gamma=1.5, alpha=4.0), PolynomialTrace(1, limits=LIMITS, c0=11))
    result = VarProFitter()(model + ColumnPolynomial(0, limits=ROWS), image)
    for name, value in (("gamma_0", 2.0), ("alpha_0", 2.5)):
        assert abs(result[name] - value) < 4 * result.error(name)
    assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))


@pytest.mark.parametrize(
    "settings", [{"max_iterations": 0}, {"tolerance": 0.0}, {"tolerance": np.nan}]
)
def test_refuses_settings_that_mean_nothing(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        VarProFitter(**settings)


def test_refuses_a_model_without_linear_parameters():
    model = Source(GaussianProfile())
    model.flux.fixed = True
    with pytest.raises(ValueError, match="model: expected a free linear parameter"):
        VarProFitter()(model, SpectralImage(np.ones((5, 4))))
