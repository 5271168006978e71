"""Sums over spectra: bins, lines, and their errors, against the truth; and covariance in files."""

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.numerics import SpectrumCovariance
from tests.evaluators.extraction.test_tilted import tilted_slit


@pytest.fixture(scope="module")
def tilted():
    image, star = tilted_slit(3)
    return sm.OptimalExtraction(n_sources=1)(image), star


@pytest.fixture(scope="module")
def straight():
    image, truth = sm.datasets.make_slit(n_sources=1)
    return sm.OptimalExtraction(n_sources=1)(image), truth


def pixels(wavelength):
    return (np.asarray(wavelength) - 1.0) / 0.001


class TestBins:
    def test_light_is_conserved(self, tilted):
        result, _ = tilted
        table = result.table("source")
        wavelength = table["wavelength"].value
        edges = np.linspace(wavelength[20], wavelength[-20], 7)
        bins = result.rebin(edges)
        one = result.rebin(edges[[0, -1]] * u.um)
        assert_allclose(bins["flux"].sum(), one["flux"][0])
        whole = result.rebin(edges[[0, -1]] * 1000 * u.nm)
        assert_allclose(whole["flux"], one["flux"])

    def test_errors_hold_against_the_truth(self, tilted):
        result, star = tilted
        wavelength = result.table("source")["wavelength"].value
        edges = np.arange(wavelength[16], wavelength[-16], 0.008)
        bins = result.rebin(edges)
        fine = np.linspace(pixels(edges[0]), pixels(edges[-1]), 8 * (len(edges) - 1) * 20 + 1)
        middle = 0.5 * (fine[1:] + fine[:-1])
        truth = star(middle).reshape(len(edges) - 1, -1).mean(axis=1) * 8
        assert not bins["mask"].any()
        wrong = bins["flux"].value - truth
        chi2 = wrong @ np.linalg.solve(bins.meta["covariance"].value, wrong) / len(wrong)
        assert abs(chi2 - 1) < 4 * np.sqrt(2 / len(wrong))
        total, variance = np.sum(wrong), np.sum(bins.meta["covariance"].value)
        assert abs(total) < 3 * np.sqrt(variance)

    def test_covariance_is_that_of_the_samples(self, tilted):
        result, _ = tilted
        edges = result.table("source")["wavelength"].value[20:60:10]
        bins = result.rebin(edges)
        weights = np.zeros((1, len(result.image.x)))
        weights[0, 30:40] = 1.0
        weights[0, [30, 40]] = 0.5
        sums, covariance = result.weighted_sums(weights)
        assert_allclose(sums[0], bins["flux"][1], rtol=0.01)
        assert_allclose(covariance[0, 0], bins.meta["covariance"][1, 1], rtol=0.05)
        assert_allclose(
            np.sqrt(np.diagonal(bins.meta["covariance"].value)), bins["flux_error"].value
        )

    def test_bins_beyond_the_spectrum_are_masked(self, tilted):
        bins = tilted[0].rebin([0.5, 0.8, 1.1, 1.2])
        assert list(bins["mask"]) == [True, True, False]

    def test_columns_of_a_straight_slit_are_summed_with_what_they_share(self, straight):
        result, _ = straight
        table = result.table("source")
        step = np.diff(table["wavelength"].value)[0]
        edges = table["wavelength"].value[[100, 104]] - 0.5 * step
        bins = result.rebin(edges)
        assert_allclose(bins["flux"][0].value, table["flux"][100:104].value.sum(), rtol=1e-6)
        expected = np.sqrt(np.sum(result.covariance("source")[100:104, 100:104]))
        assert_allclose(bins["flux_error"][0].value, expected, rtol=1e-6)

    @pytest.mark.parametrize("edges", [[1.0], [1.2, 1.1], [[1, 2], [3, 4]]])
    def test_wrong_edges_are_named(self, straight, edges):
        with pytest.raises(ValueError, match="edges"):
            straight[0].rebin(edges)
        with pytest.raises(ValueError, match="name"):
            straight[0].rebin([1, 2], name="nobody")


class TestLines:
    def test_a_line_is_measured_less_its_continuum(self, tilted):
        result, _ = tilted
        center, width = 1.180, 0.016
        flux, error = result.line_flux(center, width, continuum=[(1.16, 1.171), (1.189, 1.2)])
        truth = 1500 * 1.3 * np.sqrt(2 * np.pi)
        curve = 300 * np.sin(np.arange(160, 201) / 40)
        bend = np.sum(curve[12:29]) - 17 * np.interp(20, [0, 40], curve[[0, 40]])
        assert abs(flux.value - truth) < 4 * error.value + abs(bend)
        whole, _ = result.line_flux(center * u.um, width * u.um)
        assert whole > flux

    def test_what_makes_no_sense_is_refused(self, tilted):
        with pytest.raises(ValueError, match="width"):
            tilted[0].line_flux(1.18, -1.0)
        with pytest.raises(ValueError, match="continuum"):
            tilted[0].line_flux(1.18, 0.01, continuum=[(5, 6)])
        flux, _ = tilted[0].line_flux(0.9, 0.01)
        assert np.isnan(flux)


class TestCovariance:
    def test_band_and_low_rank_are_the_whole(self, tilted):
        result, _ = tilted
        name = "source"
        seen = result.seen_spectra
        whole = result.fit.covariance_of_rows(seen.rows(name)[40:300].toarray())
        ours = result.covariance(name)[40:300, 40:300]
        weights = np.repeat(np.eye(13), 20, axis=1)
        expected = np.sqrt(np.diagonal(weights @ whole @ weights.T))
        assert_allclose(np.sqrt(np.diagonal(weights @ ours @ weights.T)), expected, rtol=2e-3)
        assert_allclose(np.diagonal(ours), np.diagonal(whole), rtol=1e-9)

    def test_fits_and_asdf_keep_it(self, tilted, tmp_path):
        from specutils import SpectrumList

        result, _ = tilted
        own = result.sample_covariance("source")
        sm.write(result, tmp_path / "a.fits")
        sm.write(result, tmp_path / "a.asdf")
        (spectrum,) = SpectrumList.read(tmp_path / "a.fits")
        assert_allclose(spectrum.meta["covariance"].dense(), own.dense(), rtol=1e-12)
        assert_allclose(np.sqrt(spectrum.meta["covariance"].variances), spectrum.uncertainty.array)
        with fits.open(tmp_path / "a.fits") as hdus:
            assert [hdu.name for hdu in hdus[1:]] == ["source", "COVARIANCE"]
        with asdf.open(tmp_path / "a.asdf") as file:
            again = SpectrumCovariance(**file["covariance"]["source"])
            assert_allclose(again.dense(), own.dense(), rtol=1e-12)
        inside = result.spectrum.meta["specmodels"]["covariance"]
        assert_allclose(inside.variances, own.variances)

    def test_resolution_is_about_a_pixel(self, tilted):
        width = tilted[0].table("source")["resolution"]
        assert_allclose(width.to_value("um"), 0.0012, rtol=0.05)


class TestGrids:
    def test_a_spectrum_is_given_where_the_user_wants_it(self, tilted):
        result, star = tilted
        grid = np.linspace(1.03, 1.37, 200)
        spectrum = result.spectrum_at(grid)
        wrong = spectrum.flux.value - star(pixels(grid))
        assert np.std(wrong / spectrum.uncertainty.array) < 1.2
        assert not spectrum.mask.any()
        assert result.spectrum_at([0.5, 1.2] * u.um).mask.tolist() == [True, False]
        own = result.table("source")["wavelength"].value[50:60]
        assert_allclose(
            result.spectrum_at(own).flux.value, result.table("source")["flux"][50:60].value
        )

    def test_the_grid_is_that_of_the_spectra(self, straight):
        result, _ = straight
        axis = result.table("source")["wavelength"]
        grid = 0.5 * (axis.value[20:40] + axis.value[21:41])
        image = result.image
        again = sm.OptimalExtraction(n_sources=1, wavelengths=grid)(image).spectrum
        flux = result.table("source")["flux"].value
        assert_allclose(again.spectral_axis.value, grid)
        assert_allclose(again.flux.value, 0.5 * (flux[20:40] + flux[21:41]), rtol=1e-6)
        whole = result.covariance("source")[20:41, 20:41]
        mean = 0.5 * (np.eye(20, 21) + np.eye(20, 21, 1))
        expected = np.sqrt(np.diagonal(mean @ whole @ mean.T))
        assert_allclose(again.uncertainty.array, expected, rtol=1e-6)

    def test_wrong_settings_are_named(self, straight):
        with pytest.raises(ValueError, match="wavelengths"):
            sm.OptimalExtraction(wavelengths=[2, 1])
        with pytest.raises(ValueError, match="wavelength_terms"):
            sm.OptimalExtraction(wavelength_terms="yes")
        image = straight[0].image.replace(wavelength=None)
        with pytest.raises(ValueError, match="wavelength for each pixel"):
            sm.OptimalExtraction(wavelength_terms=True)(image)


def test_the_word_of_the_user_wins():
    image, _ = tilted_slit(2)
    assert sm.OptimalExtraction(n_sources=1, wavelength_terms=False)(image).seen_spectra is None
    slightly, star = tilted_slit(2, tilt=0.05)
    assert sm.OptimalExtraction(n_sources=1)(slightly).seen_spectra is None
    forced = sm.OptimalExtraction(n_sources=1, wavelength_terms=True)(slightly)
    assert forced.seen_spectra is not None
    axis = forced.table("source")["wavelength"].value
    wrong = forced.table("source")["flux"].value - star(pixels(axis))
    assert np.std((wrong / forced.table("source")["flux_error"].value)[15:-15]) < 1.2
