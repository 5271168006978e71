"""Spectral orders that overlap: fluxes, shared spectra, distortions, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm

N_ROW, N_COLUMN = 50, 300
X, Y = np.arange(N_COLUMN), np.arange(N_ROW)[:, None]
U = X / (N_COLUMN - 1)
WAVELENGTH = np.array([2.8 - 1.9 * U, 1.5 - 0.8 * U])
THROUGHPUT = np.array([np.exp(-0.5 * ((WAVELENGTH[0] - 1.8) / 0.8) ** 2),
                       0.6 * np.exp(-0.5 * ((WAVELENGTH[1] - 1.0) / 0.5) ** 2)])  # fmt: skip
TRACE = np.array([14 + 3 * U**2, 19 + 18 * U])


def star(wavelength):
    line = 1 - 0.4 * np.exp(-0.5 * ((wavelength - 1.2) / 0.02) ** 2)
    return 900 * (1 + 0.3 * np.sin(4 * wavelength)) * line


def observed(seed, rows=TRACE, fluxes=None, sky=5.0, width=2.2):
    """Two orders (or others) of one star, the profile a Gaussian."""
    rng = np.random.default_rng(seed)
    fluxes = star(WAVELENGTH) * THROUGHPUT if fluxes is None else fluxes
    profile = sm.GaussianProfile()
    light = sky + sum(f * profile.evaluate(Y, t, width) for f, t in zip(fluxes, rows, strict=True))
    data = light + rng.normal(0, np.sqrt(light + 9))
    return sm.SpectralImage(data, variance=light + 9), fluxes


def orders(offset=(0.2, -0.15)):
    return [sm.Order(TRACE[k] + offset[k], wavelength=WAVELENGTH[k], throughput=THROUGHPUT[k])
            for k in range(2)]  # fmt: skip


class TestOwnFluxes:
    @pytest.mark.parametrize("seed", [1, 2])
    def test_fluxes_are_those_of_each_order_where_both_overlap(self, seed):
        image, fluxes = observed(seed)
        result = sm.OptimalExtraction(orders=orders())(image)
        for name, true in zip(("order 1", "order 2"), fluxes, strict=True):
            table = result.table(name)
            pull = (table["flux"].value - true) / table["flux_error"].value
            # Errors hold what the learnt profile adds to all columns alike, which does not scatter.
            assert abs(np.nanmean(pull)) < 0.35
            assert 0.8 < np.nanstd(pull) < 1.1
        assert list(result.report()["status"]) == ["ok", "ok"]

    def test_traces_are_found_by_their_distortion(self):
        image, _ = observed(3)
        result = sm.OptimalExtraction(orders=orders())(image)
        moved = result.trace("order 2") - result.trace("order 1")
        assert_allclose(moved, TRACE[1] - TRACE[0], atol=0.06)

    def test_wavelengths_are_those_of_the_orders(self):
        image, _ = observed(4)
        result = sm.OptimalExtraction(orders=orders())(image)
        assert_allclose(result.table("order 2")["wavelength"], WAVELENGTH[1])
        spectrum = result.spectra["order 1"]
        assert_allclose(spectrum.spectral_axis.value, np.sort(WAVELENGTH[0]))

    def test_orders_of_an_echelle_share_profile_and_distortion(self):
        rows = np.array([7 + 9 * k + (1 + 0.2 * k) * U**2 for k in range(5)])
        fluxes = np.array([500 + 100 * k + 50 * np.sin(9 * U + k) for k in range(5)])
        image, _ = observed(5, rows, fluxes, width=1.2)
        given = [sm.Order(row + 0.3 - 0.2 * U) for row in rows]
        result = sm.OptimalExtraction(
            orders=sm.Orders(given, distortion=1, common_distortion=True)
        )(image)
        shifts = [result.trace(name) - row for name, row in zip(result.sources, rows, strict=True)]
        assert_allclose(shifts, np.broadcast_to(shifts[0], rows.shape), atol=1e-9)
        for name, true in zip(result.sources, fluxes, strict=True):
            flux, error = (result.table(name)[key].value for key in ("flux", "flux_error"))
            assert abs(np.nanstd((flux - true) / error) - 1) < 0.15

    def test_traces_may_be_models_and_the_profile_given(self):
        image, fluxes = observed(6)
        limits = (0.0, N_COLUMN - 1.0)
        given = [sm.Order(sm.PolynomialTrace(2, limits=limits, c0=15.0, c1=1.5, c2=0.5)),
                 sm.Order(sm.PolynomialTrace(1, limits=limits, c0=28.0, c1=9.0))]  # fmt: skip
        profile = sm.GaussianProfile(stddev=2.0)
        result = sm.OptimalExtraction(orders=given, profile=profile)(image)
        pull = (result.table("order 2")["flux"].value - fluxes[1]) / result.table("order 2")[
            "flux_error"
        ].value
        assert abs(np.nanstd(pull) - 1) < 0.12
        assert abs(np.nanmean(pull)) < 0.2


class TestSharedSpectrum:
    def test_one_spectrum_is_found_from_both_orders(self):
        image, _ = observed(7)
        spectrum = sm.MasterBackgroundSpectrum(np.linspace(0.65, 2.85, 260))
        result = sm.OptimalExtraction(orders=sm.Orders(orders(), spectrum=spectrum))(image)
        alone = sm.OptimalExtraction(orders=orders())(image)
        for k, name in enumerate(result.sources):
            flux, error = (result.table(name)[key].value for key in ("flux", "flux_error"))
            pull = (flux - star(WAVELENGTH[k])) / error
            assert abs(np.nanmean(pull)) < 0.35
            assert abs(np.nanstd(pull) - 1) < 0.15
        own = alone.table("order 2")["flux_error"].value / THROUGHPUT[1]
        both = WAVELENGTH[1] > 0.95
        assert np.median(error[both]) < 0.9 * np.median(own[both])

    def test_it_is_a_composition_that_fitters_take(self):
        image, _ = observed(8)
        tables = [sm.Coordinate(f"wavelength {k}", (X, np.array([0.0]), WAVELENGTH[k][None]))
                  for k in range(2)]  # fmt: skip
        first, second = (sm.MasterBackgroundSpectrum(np.linspace(0.65, 2.85, 130), name=name)
                         for name in ("star", "again"))  # fmt: skip
        for n in second.param_names:
            getattr(second, n).tied = second.tied[n] = sm.TiedTo(f"{n}_2")
        seen = []
        for k, spectrum in enumerate((first, second)):
            source = sm.Source(sm.GaussianProfile(stddev=2.2), sm.TabulatedTrace(X, TRACE[k]),
                               flux=1.0, fixed={"flux": True, "stddev": True})  # fmt: skip
            factor = sm.Coordinate(f"throughput {k}", (X, np.array([0.0]), THROUGHPUT[k][None]))
            seen.append(source * (tables[k] | spectrum) * factor)
        fit = sm.LinearFitter()(seen[0] + seen[1] + sm.ColumnPolynomial(0), image)
        assert abs(fit.reduced_chi2 - 1) < 0.05
        assert_allclose(fit["c60_6"], fit["c60_2"])


class TestRefused:
    def test_what_is_no_order(self):
        with pytest.raises(TypeError, match=r"orders.*expected one Order"):
            sm.OptimalExtraction(orders=[TRACE[0]])

    def test_a_spectrum_that_is_none(self):
        with pytest.raises(TypeError, match=r"spectrum: expected a Model"):
            sm.Orders([sm.Order(TRACE[0])], spectrum=np.ones(3))

    def test_a_spectrum_of_orders_without_wavelengths(self):
        image, _ = observed(9)
        given = [sm.Order(row) for row in TRACE]
        with pytest.raises(ValueError, match=r"orders.*wavelengths of 'order 1'"):
            sm.OptimalExtraction(orders=sm.Orders(given, spectrum=sm.BSplineSpectrum()))(image)

    @pytest.mark.parametrize("setting", [{"n_sources": 2}, {"trace_degree": 1}])
    def test_settings_of_the_automatic_model(self, setting):
        with pytest.raises(ValueError, match=r"orders.*cannot be given together"):
            sm.OptimalExtraction(orders=orders(), **setting)

    def test_names_that_are_the_same(self):
        with pytest.raises(ValueError, match=r"names must differ"):
            sm.OptimalExtraction(orders=[sm.Order(row, name="one") for row in TRACE])

    def test_rows_of_another_image(self):
        image, _ = observed(10)
        with pytest.raises(ValueError, match=r"trace.*300 columns, got 299"):
            sm.OptimalExtraction(orders=[sm.Order(TRACE[0][:-1])])(image)

    @pytest.mark.parametrize("rows", [[[1.0]], [np.nan, 1.0]])
    def test_rows_that_cannot_be(self, rows):
        with pytest.raises(ValueError, match=r"trace"):
            sm.Order(rows)

    def test_an_image_without_light(self):
        image, _ = observed(11)
        dark = image.replace(data=np.zeros(image.shape), variance=np.ones(image.shape))
        with pytest.raises(ValueError, match=r"no light along the traces"):
            sm.OptimalExtraction(orders=orders())(dark)
