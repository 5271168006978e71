"""Sources along traces, alone, blended, and over a sky."""

import numpy as np
import pytest
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose

from specmodels.models.linear import TiedTo
from specmodels.models.linear_form import LinearForm, linear_parameters
from specmodels.models.profiles import BoxProfile, GaussianProfile, MoffatProfile
from specmodels.models.psf import TabulatedPSF
from specmodels.models.sky import ColumnPolynomial
from specmodels.models.sources import Source
from specmodels.models.traces import PolynomialTrace, SplineTrace, TabulatedTrace

N_ROWS, N_COLUMNS = 40, 60
X, Y = np.arange(float(N_COLUMNS))[np.newaxis], np.arange(float(N_ROWS))[:, np.newaxis]
GRID = tuple(np.broadcast_arrays(X, Y))
LIMITS = (0, N_COLUMNS - 1)


@pytest.fixture
def tilted():
    trace = PolynomialTrace(2, limits=LIMITS, c0=19.6, c1=4.0, c2=-1.5)
    return Source(MoffatProfile(gamma=2.0, alpha=4.0), trace, flux=5.0, name="target")


class TestSource:
    def test_has_parameters_of_its_parts(self, tilted):
        expected = ("flux", "trace_c0", "trace_c1", "trace_c2", "gamma", "alpha")
        assert tilted.param_names == expected
        assert tilted.gamma.bounds == MoffatProfile().gamma.bounds

    def test_only_the_flux_is_linear(self, tilted):
        assert linear_parameters(tilted) == ("flux",)

    def test_each_column_holds_the_profile_at_the_trace(self, tilted):
        image = tilted(*GRID)
        for column in (0, 17, 59):
            center = tilted.trace_position(np.array(float(column)))
            profile = MoffatProfile(center, 2.0, 4.0)
            assert_allclose(image[:, column], 5 * profile(Y[:, 0]), rtol=1e-12)

    def test_light_of_every_column_is_the_flux(self, tilted):
        y = np.arange(-3000.0, 3000.0)[:, np.newaxis]
        assert_allclose(tilted.evaluate(X, y, *tilted.parameters).sum(axis=0), 5, rtol=1e-8)

    def test_rows_and_columns_broadcast_as_the_full_grid_does(self, tilted):
        values = tilted.parameters
        assert_allclose(tilted.evaluate(X, Y, *values), tilted.evaluate(*GRID, *values), atol=1e-14)

    def test_flux_and_width_may_differ_from_column_to_column(self, tilted):
        flux, gamma = np.linspace(1, 9, N_COLUMNS)[np.newaxis], np.linspace(1, 3, N_COLUMNS)
        values = [flux, *tilted.parameters[1:4], gamma[np.newaxis], 4.0]
        image = tilted.evaluate(X, Y, *values)
        one = [9.0, *tilted.parameters[1:4], 3.0, 4.0]
        last = tilted.evaluate(X[:, -1:], Y, *one)
        assert_allclose(image[:, -1:], last)

    def test_shape_may_differ_from_column_to_column_on_a_straight_trace(self):
        source = Source(GaussianProfile(), trace_c0=20.0)
        widths = np.linspace(1, 3, N_COLUMNS)[np.newaxis]
        image = source.evaluate(X, Y, 1.0, 20.0, widths)
        assert_allclose(image[:, 30], GaussianProfile(20.0, widths[0, 30])(Y[:, 0]))

    def test_width_model_replaces_the_width(self):
        width = PolynomialTrace(1, limits=LIMITS, c0=2.0, c1=0.5)
        source = Source(GaussianProfile(), width=width, trace_c0=20.0)
        assert source.param_names == ("flux", "trace_c0", "width_c0", "width_c1")
        image = source(*GRID)
        assert_allclose(image[:, -1], GaussianProfile(20.0, 2.5)(Y[:, 0]))
        assert_allclose(source.evaluate(X, Y, *source.parameters), image, atol=1e-14)

    @pytest.mark.parametrize(
        "trace",
        [
            SplineTrace([0, 30, 59], degree=2, c0=18, c1=19, c2=22, c3=20),
            TabulatedTrace([0, 59], [18.0, 22.0]),
            models.Polynomial1D(1, c0=18, c1=0.05),
            models.Linear1D(0.05, 18) | models.Identity(1),
        ],
        ids=lambda t: type(t).__name__,
    )
    def test_any_one_dimensional_model_is_a_trace(self, trace):
        source = Source(GaussianProfile(stddev=1.2), trace)
        center = (source(*GRID) * Y).sum(axis=0)
        assert_allclose(center, trace(X[0]), atol=1e-6)

    def test_parts_come_back_with_its_values(self, tilted):
        tilted.trace_c1 = 3.0
        tilted.gamma.fixed = True
        tilted.alpha = 5.0
        profile, trace = tilted.part("profile"), tilted.part("trace")
        assert (profile.gamma, profile.alpha) == (2.0, 5.0)
        assert profile.gamma.fixed
        assert trace.c1 == 3.0
        assert tilted.part("width") is None
        again = tilted.with_parts(profile=profile)
        assert_allclose(again(*GRID), tilted(*GRID))
        assert again.name == "target"

    def test_does_not_change_with_the_parts_it_was_made_of(self):
        profile, trace = GaussianProfile(), PolynomialTrace(0, c0=20)
        source = Source(profile, trace)
        before = source(*GRID)
        profile.stddev, trace.c0 = 5.0, 3.0
        assert_allclose(source(*GRID), before)

    def test_takes_constraints_of_its_parts(self):
        profile = GaussianProfile(stddev=1.5)
        profile.stddev.fixed = True
        profile.stddev.bounds = (1, 2)
        source = Source(profile, TabulatedTrace([0, 1], [3.0, 4.0]))
        assert source.fixed == {"flux": False, "trace_c0": True, "stddev": True}
        assert source.bounds["stddev"] == (1, 2)

    def test_ties_of_its_parts_are_kept(self):
        trace = PolynomialTrace(1, c0=20)
        trace.c1.tied = TiedTo("c0", factor=0.1)
        source = Source(GaussianProfile(), trace)
        assert source.trace_c1.tied == TiedTo("trace_c0", factor=0.1)
        assert source.part("trace").c1.tied == trace.c1.tied

    def test_full_width_in_each_column(self):
        width = PolynomialTrace(1, limits=LIMITS, c0=2.0, c1=0.5)
        source = Source(GaussianProfile(), width=width)
        assert_allclose(source.fwhm(X[0]), GaussianProfile.fwhm(width(X[0])))

    def test_tabulated_profile_knows_the_column(self):
        offsets, columns = np.linspace(-10, 10, 201), np.array([0.0, 59.0])
        widths = np.array([1.0, 2.0])
        table = np.exp(-0.5 * (offsets / widths[:, np.newaxis]) ** 2)
        source = Source(TabulatedPSF(table, offsets, columns), trace_c0=20.2)
        image = source(*GRID)
        for column, width in ((0, 1.0), (59, 2.0)):
            expected = GaussianProfile(20.2, width)(Y[:, 0])
            assert_allclose(image[:, column], expected, atol=1e-6)

    def test_deblends_two_sources_over_a_sky(self):
        def scene(first, second, distance):
            left = Source(MoffatProfile(gamma=2, alpha=4), flux=first, trace_c0=18.0)
            right = Source(MoffatProfile(gamma=2, alpha=4), flux=second, trace_c0=18.0 + distance)
            sky = ColumnPolynomial(1, limits=(0, N_ROWS - 1), c0=1.0, c1=0.3)
            model = left + right + sky
            model.gamma_1.tied, model.alpha_1.tied = TiedTo("gamma_0"), TiedTo("alpha_0")
            model.trace_c0_1.tied = TiedTo("trace_c0_0", offset=distance)
            return model

        truth, sigma = scene(100.0, 40.0, 5.0), 0.5
        data = truth(*GRID) + np.random.default_rng(2).normal(0, sigma, GRID[0].shape)
        start = scene(70.0, 70.0, 5.0)
        start.trace_c0_0, start.gamma_0 = 17.5, 2.5
        fitter = fitting.TRFLSQFitter(calc_uncertainties=True)
        weights = np.full(data.shape, 1 / sigma)
        fitted = fitter(start, *GRID, data, weights=weights)
        names = fitted.cov_matrix.param_names
        errors = np.sqrt(np.diag(fitted.cov_matrix.cov_matrix))
        deviation = [getattr(fitted, n).value - getattr(truth, n).value for n in names]
        assert np.abs(deviation / errors).max() < 4
        assert fitted.gamma_1 == fitted.gamma_0

    def test_negative_source_of_a_nod_is_a_source(self, tilted):
        nod = tilted - Source(GaussianProfile(stddev=2), trace_c0=8.0, flux=2.0)
        assert linear_parameters(nod) == ("flux_0", "flux_1")
        form = LinearForm(nod)
        _, columns = form.columns(form.values, (X, Y))
        light = np.broadcast_to(columns[form.linear[1]], (N_ROWS, N_COLUMNS)).sum(axis=0)
        assert_allclose(light, -1, atol=1e-4)

    def test_refuses_what_is_no_profile(self):
        with pytest.raises(TypeError, match="profile"):
            Source(models.Gaussian1D())

    @pytest.mark.parametrize("part", ["trace", "width"])
    def test_refuses_what_is_no_curve(self, part):
        with pytest.raises(TypeError, match=part):
            Source(GaussianProfile(), **{part: models.Gaussian2D()})

    @pytest.mark.parametrize("part", ["trace", "width"])
    def test_refuses_a_number_for_a_curve(self, part):
        with pytest.raises(TypeError, match=part):
            Source(GaussianProfile(), **{part: 20.0})

    def test_refuses_a_width_for_a_profile_without(self):
        class Fixed(BoxProfile):
            width_parameter = None

        with pytest.raises(ValueError, match="width"):
            Source(Fixed(), width=PolynomialTrace(0))


class TestColumnPolynomial:
    def test_is_the_same_in_every_column(self):
        sky = ColumnPolynomial(1, limits=(0, N_ROWS - 1), c0=3.0, c1=1.0)
        image = sky(*GRID)
        assert_allclose(image, np.linspace(2, 4, N_ROWS)[:, np.newaxis] * np.ones(N_COLUMNS))

    def test_first_coefficient_is_the_mean(self):
        sky = ColumnPolynomial(2, limits=(-0.5, N_ROWS - 0.5), c0=3.0, c1=1.0)
        assert_allclose(sky(*GRID).mean(), 3.0)

    @pytest.mark.parametrize(("degree", "limits"), [(-1, (0, 1)), (0.5, (0, 1)), (1, (4, 4))])
    def test_refuses_bad_settings(self, degree, limits):
        with pytest.raises(ValueError, match=r"degree|limits"):
            ColumnPolynomial(degree, limits=limits)
