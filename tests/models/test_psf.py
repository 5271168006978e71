"""Tabulated profiles against the formulas they were made of, and real tables."""

import time

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.modeling import fitting
from astropy.nddata import NDData
from astropy.table import Table
from numpy.testing import assert_allclose
from photutils.psf import GaussianPRF, GriddedPSFModel, ImagePSF

from specmodels.models.effective_psf import EffectivePSF
from specmodels.models.profiles import GaussianProfile, MoffatProfile
from specmodels.models.psf import TabulatedPSF
from specmodels.models.sources import Source

OFFSETS = np.linspace(-15, 15, 481)
COLUMNS = np.array([0.0, 100.0, 400.0])
WIDTHS = np.array([1.0, 1.3, 2.0])
Y = np.arange(61.0)[:, np.newaxis]
CENTER = 30.27


def gaussians(offsets=OFFSETS, widths=WIDTHS):
    return np.exp(-0.5 * (offsets / widths[:, np.newaxis]) ** 2)


def effective_gaussians(offsets=OFFSETS, widths=WIDTHS):
    return GaussianProfile().evaluate(offsets, 0.0, widths[:, np.newaxis])


@pytest.fixture(params=["density", "effective"])
def psf(request):
    if request.param == "density":
        return TabulatedPSF(gaussians(), OFFSETS, COLUMNS)
    return EffectivePSF(effective_gaussians(), OFFSETS, COLUMNS)


class TestTable:
    def test_is_exact_at_its_columns(self, psf):
        for column, width in zip(COLUMNS, WIDTHS, strict=True):
            expected = GaussianProfile().evaluate(Y, CENTER, width)
            assert_allclose(psf.evaluate(column, Y, CENTER, 1.0), expected, atol=1e-7)

    def test_is_linear_between_its_columns(self, psf):
        ends = [psf.evaluate(column, Y, CENTER, 1.0) for column in COLUMNS[1:]]
        expected = 0.75 * ends[0] + 0.25 * ends[1]
        assert_allclose(psf.evaluate(175.0, Y, CENTER, 1.0), expected, atol=1e-15)

    def test_is_constant_beyond_them(self, psf):
        inside, outside = (psf.evaluate(x, Y, CENTER, 1.0) for x in (400.0, 900.0))
        assert_allclose(inside, outside)

    def test_unit_of_the_table_does_not_matter(self, psf):
        other = type(psf)(psf.table * [[1e-9], [3.0], [1e12]], OFFSETS, COLUMNS)
        ones, others = (m.evaluate(50.0, Y, CENTER, 1.0) for m in (psf, other))
        assert_allclose(ones, others, atol=1e-14)

    def test_scale_widens_it(self):
        psf = TabulatedPSF(gaussians(), OFFSETS, COLUMNS)
        expected = GaussianProfile().evaluate(Y, CENTER, 1.3 * 1.4)
        assert_allclose(psf.evaluate(100.0, Y, CENTER, 1.4), expected, atol=1e-7)
        assert psf.scale.fixed

    def test_full_width_is_that_of_its_rows(self, psf):
        one = type(psf)(psf.table[1], OFFSETS)
        pixel = 0 if type(psf) is TabulatedPSF else 1 / 12
        assert_allclose(one.fwhm(2.0), 2 * 2.3548 * np.sqrt(1.3**2 + pixel), rtol=0.02)

    def test_is_zero_outside_of_the_table(self, psf):
        far = psf.evaluate(0.0, np.array([-50.0, 10.0, 50.0, 90.0]), CENTER, 1.0)
        assert_allclose(far, 0, atol=1e-12)

    def test_one_row_serves_all_columns(self):
        psf = TabulatedPSF(gaussians()[0], OFFSETS)
        expected = GaussianProfile().evaluate(Y, CENTER, 1.0)
        assert_allclose(psf.evaluate(77.0, Y, CENTER, 1.0), expected, atol=1e-7)

    def test_cumulative_runs_from_zero_to_one(self, psf):
        y = np.array([-20.0, CENTER, 80.0])
        assert_allclose(psf.cumulative(100.0, y, CENTER, 1.0), [0, 0.5, 1], atol=1e-6)

    def test_uneven_offsets(self):
        offsets = np.sinh(np.linspace(-3, 3, 301)) * 1.5
        psf = TabulatedPSF(gaussians(offsets), offsets, COLUMNS)
        expected = GaussianProfile().evaluate(Y, CENTER, 1.0)
        assert_allclose(psf.evaluate(0.0, Y, CENTER, 1.0), expected, atol=1e-5)

    def test_recovers_centre_and_scale(self, psf):
        x, y = (grid.ravel() for grid in np.meshgrid(np.arange(0, 400, 40.0), Y[:, 0]))
        data = psf.evaluate(x, y, CENTER, 1.05)
        start = type(psf)(psf.table, OFFSETS, COLUMNS, center=29.5, fixed={"scale": False})
        fitted = fitting.TRFLSQFitter()(start, x, y, data)
        assert_allclose(fitted.parameters, [CENTER, 1.05], rtol=1e-6)

    def test_own_table_is_kept_apart_from_the_caller(self):
        table = gaussians()
        psf = TabulatedPSF(table, OFFSETS, COLUMNS)
        table[:] = 7
        assert_allclose(psf.table, gaussians())

    def test_an_image_takes_little_time(self, psf):
        x, y = np.arange(2048.0)[np.newaxis], np.arange(60.0)[:, np.newaxis]
        center = 30 + 0.002 * x
        elapsed = []
        for _ in range(3):
            start = time.perf_counter()
            psf.evaluate(x, y, center, 1.0)
            elapsed.append(time.perf_counter() - start)
        assert min(elapsed) < 0.3  # usually 0.01

    @pytest.mark.parametrize(
        ("table", "offsets", "columns", "message"),
        [
            (np.ones((2, 5)), np.arange(4), None, "shape"),
            (np.ones((2, 5)), np.arange(5), [0.0], "shape"),
            (np.ones((2, 3)), np.arange(3), None, "four or more"),
            (np.ones((2, 5)), np.arange(5)[::-1], None, "offsets"),
            (np.ones((2, 5)), np.arange(5), [1, 1], "columns"),
            (np.full((1, 5), np.nan), np.arange(5), None, "finite"),
            (np.zeros((1, 5)), np.arange(5), None, "light"),
        ],
    )
    def test_refuses_what_is_no_table(self, table, offsets, columns, message):
        with pytest.raises(ValueError, match=message):
            TabulatedPSF(table, offsets, columns)


class TestFromWavelengths:
    wavelengths = np.array([0.5, 1.0, 2.0, 4.0])

    def profile(self, column_wavelengths, unit=1):
        table = gaussians(widths=0.5 + self.wavelengths)
        return TabulatedPSF.from_wavelengths(
            table, OFFSETS, self.wavelengths * unit, column_wavelengths
        )

    @pytest.mark.parametrize("direction", [1, -1])
    def test_rows_lie_where_the_detector_has_their_wavelength(self, direction):
        found = np.linspace(0.8, 3, 221)[::direction]
        psf = self.profile(found)
        for wavelength in (1.0, 2.0):
            column = np.interp(wavelength, found[::direction], np.arange(221)[::direction])
            expected = GaussianProfile().evaluate(Y, CENTER, 0.5 + wavelength)
            assert_allclose(psf.evaluate(column, Y, CENTER, 1.0), expected, atol=1e-6)

    def test_first_and_last_column_are_interpolated(self):
        psf = self.profile(np.linspace(0.8, 3, 221))
        assert_allclose(psf.columns[[0, -1]], [0, 220])
        first = psf.evaluate(0.0, Y, CENTER, 1.0)
        below, above = (GaussianProfile().evaluate(Y, CENTER, s) for s in (1.0, 1.5))
        assert_allclose(first, 0.4 * below + 0.6 * above, atol=1e-6)

    def test_units_and_columns_without_wavelength(self):
        bare = np.linspace(0.8, 3, 221)
        bare[[0, 1, 100]] = np.nan
        plain, with_units = self.profile(bare), self.profile(bare * 1e4 * u.AA, unit=u.um)
        assert_allclose(plain.columns, with_units.columns)
        assert plain.columns[0] == 2

    @pytest.mark.parametrize("columns", [[1.0, 2, 1.5], [1.0, 1.0], [np.nan, np.nan], []])
    def test_refuses_columns_whose_wavelength_turns(self, columns):
        with pytest.raises(ValueError, match="column_wavelengths"):
            self.profile(np.array(columns))

    def test_refuses_wavelengths_that_fall(self):
        with pytest.raises(ValueError, match="wavelengths"):
            TabulatedPSF.from_wavelengths(gaussians(), OFFSETS, [3, 2, 1], [1.0, 2.0])


class TestFromCube:
    """Images of a two-dimensional Gaussian, whose sum along dispersion is known."""

    oversampling = 4
    wavelengths = np.array([1.0, 2.0, 3.0])

    def cube(self):
        position = (np.arange(121) - 60) / self.oversampling
        prf = GaussianProfile()
        prf.pixel_size = 1 / self.oversampling
        along, across = (prf.evaluate(position, 0.0, s[:, np.newaxis]) for s in (WIDTHS, WIDTHS))
        return across[:, :, np.newaxis] * along[:, np.newaxis, :]

    @pytest.mark.parametrize("dispersion_axis", [-1, 0])
    def test_gives_the_profile_across(self, dispersion_axis):
        psf = TabulatedPSF.from_cube(
            self.cube(), self.wavelengths, self.oversampling, np.linspace(1, 3, 401),
            dispersion_axis=dispersion_axis,
        )  # fmt: skip
        for column, width in zip((0.0, 200.0, 400.0), WIDTHS, strict=True):
            expected = GaussianProfile().evaluate(Y, CENTER, width)
            assert_allclose(psf.evaluate(column, Y, CENTER, 1.0), expected, atol=5e-5)

    def test_refuses_one_image(self):
        with pytest.raises(ValueError, match="cube"):
            TabulatedPSF.from_cube(self.cube()[0], [1.0], 4, [1.0, 2.0])


class TestFromPhotutils:
    def test_image_gives_what_photutils_evaluates(self):
        y, x = np.mgrid[-40:41, -40:41] / 4
        data = GaussianPRF(x_fwhm=3, y_fwhm=4)(x, y)
        image = ImagePSF(data, oversampling=4, x_0=0, y_0=10.3)
        psf = EffectivePSF.from_photutils(image)
        rows, columns = np.mgrid[0:21, -10:11]
        expected = image(columns, rows).sum(axis=1)
        got = psf.evaluate(0.0, np.arange(21.0), 10.3, 1.0)
        assert_allclose(got, expected / expected.sum(), atol=1e-3)
        gaussian = GaussianProfile(10.3, 4 / 2.3548200450309493)
        assert_allclose(got, gaussian(np.arange(21.0)), atol=1e-4)

    @pytest.mark.parametrize(("axis", "along"), [(-1, 0), (0, 1)])
    def test_grid_changes_along_dispersion(self, axis, along):
        y, x = np.mgrid[-40:41, -40:41] / 4
        positions = [(0, 0), (100, 0), (0, 100), (100, 100)]
        fwhm = {0: 3.0, 100: 5.0}
        data = [GaussianPRF(x_fwhm=fwhm[p[along]], y_fwhm=fwhm[p[along]])(x, y) for p in positions]
        cube = NDData(np.array(data), meta={"grid_xypos": positions, "oversampling": 4})
        psf = EffectivePSF.from_photutils(GriddedPSFModel(cube), dispersion_axis=axis)
        assert_allclose(psf.columns, [0, 100])
        for column in (0, 100):
            expected = GaussianProfile().evaluate(Y, CENTER, fwhm[column] / 2.3548200450309493)
            assert_allclose(psf.evaluate(float(column), Y, CENTER, 1.0), expected, atol=1e-4)


class TestRealTables:
    def test_nirspec_lookup_holds_the_response_of_pixels(self, shared_data):
        with fits.open(shared_data / "refs" / "nirspec_psf_lookup.fits") as hdus:
            table = hdus["PROF"].data[:, :, 0].T.astype(float)  # of a point source
            offsets, wavelengths = hdus["YSLIT"].data, hdus["WAVE"].data
        found = np.linspace(0.7, 5.2, 512)
        psf = EffectivePSF.from_wavelengths(table, offsets, wavelengths, found)
        x = np.arange(512.0)[np.newaxis]
        image = psf.evaluate(x, Y, 30 + 0.004 * x, 1.0)
        assert_allclose(image.sum(axis=0), 1, atol=1e-4)
        assert image.max() > image[:, -1].max()
        column = np.interp(wavelengths[20], found, np.arange(512))
        at_node = psf.evaluate(column, offsets[::32], 0.0, 1.0)
        assert_allclose(at_node, table[20, ::32] / table[20, ::32].sum(), atol=1e-4)

    def test_lrs_widths_make_a_source_which_recovers_its_flux(self, shared_data):
        rows = Table.read(shared_data / "refs" / "lrs_psf_data_jw06620-obs13.fits")
        wavelengths, widths = np.asarray(rows["wave"]), np.asarray(rows["sigma"])
        found = np.linspace(13.5, 5.2, 300)  # falls along the detector, as LRS does
        table = gaussians(widths=widths) / widths[:, np.newaxis]
        psf = TabulatedPSF.from_wavelengths(table, OFFSETS, wavelengths, found)
        x, y = (grid.ravel() for grid in np.meshgrid(np.arange(300.0), np.arange(40.0)))
        source = Source(psf, flux=2.0, trace_c0=19.4)
        start = Source(psf, flux=1.0, trace_c0=19.0)
        fitted = fitting.TRFLSQFitter()(start, x, y, source(x, y))
        assert_allclose(fitted.parameters, source.parameters, rtol=1e-6)
        expected = GaussianProfile(19.4, np.interp(found[150], wavelengths, widths))
        assert_allclose(source(np.full(40, 150.0), np.arange(40.0)), 2 * expected(np.arange(40.0)),
                        atol=5e-3)  # fmt: skip


def test_profile_with_wings_keeps_only_what_the_table_holds():
    table = MoffatProfile().evaluate(OFFSETS, 0.0, 2.0, 1.5)
    psf = TabulatedPSF(table, OFFSETS)
    assert_allclose(psf.evaluate(0.0, Y, CENTER, 1.0).sum(), 1, atol=1e-12)
