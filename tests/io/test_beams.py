"""Beams files: small ones with truth in the layout of real ones, and these where they are."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

import specmodels as sm
from specmodels.io.beams import Beams

from .beams_files import LABEL, NOISE, SHAPE, write_beams

FITTER = sm.SceneFitter(ridge=1)


LAYOUTS = {"linear": {}, "tabulated": {"table": True, "bend": 3.0, "grisms": ("GR150C", "GR150C")}}


@pytest.fixture
def linear(tmp_path):
    return tmp_path / "linear.beams.fits", write_beams(tmp_path / "linear.beams.fits")


@pytest.fixture
def tabulated(tmp_path):
    path = tmp_path / "table.beams.fits"
    return path, write_beams(path, **LAYOUTS["tabulated"])


def hidden_chi2(beam, seed=0, fitter=FITTER):
    """Chi-square per lit pixel of those that the fit has not seen."""
    scene, exposure = beam.scene(), beam.exposure
    hidden = np.random.default_rng(seed).random(exposure.shape) < 0.2
    seen = sm.SlitlessExposure(exposure.data, exposure.variance, exposure.mask | hidden,
                               known_light=exposure.known_light)  # fmt: skip
    model = fitter(scene, seen).scene.simulated_image
    tested = hidden & ~exposure.mask & (model > 0.05 * model.max())
    left = exposure.data - exposure.known_light - model
    return np.mean(left[tested] ** 2 * exposure.weights[tested])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hidden_pixels_are_predicted_where_light_falls_as_the_file_says(layout, tmp_path):
    found, moved = [], []
    for seed in range(4):
        write_beams(tmp_path / "x.fits", seed=seed, **LAYOUTS[layout])
        beam = next(iter(sm.read(tmp_path / "x.fits").beams.values()))
        found.append(hidden_chi2(beam, seed))
        moved.append(hidden_chi2(beam.shifted(y=0.5), seed))
    assert np.mean(found) < 1.1
    assert np.mean(moved) > 1.5  # the trace is told to a fraction of a pixel


def test_spectrum_is_that_of_the_source(linear):
    path, truths = linear
    beam = sm.read(path).beams["G102"]
    result = sm.ContaminationSubtraction(beam.scene(), FITTER)(beam.exposure)
    # The file has no sensitivity: a response of one per micron, 40e-4 of which are in a column.
    check(result.spectrum(LABEL), truths[0], 40e-4)


def check(spectrum, truth, step):
    wavelength = spectrum.spectral_axis.to_value("AA")
    seen = (wavelength > 9000) & (wavelength < 11200)
    wanted = np.interp(wavelength, truth.wavelength, truth.light)[seen] / step
    flux, error = spectrum.flux.value[seen], spectrum.uncertainty.array[seen]
    assert np.median(flux / wanted) == pytest.approx(1, abs=0.02)
    assert np.std((flux - wanted) / error) < 1.3
    assert np.median(error) < 0.3 * np.median(wanted)


def test_sensitivity_of_the_file_leaves_the_spectrum(tabulated):
    path, truths = tabulated
    beam = sm.read(path).beams["GR150C"]
    assert beam.grism.wavelength_range[1] == pytest.approx((0.861, 1.16), abs=0.006)
    result = sm.ContaminationSubtraction(beam.scene(), FITTER)(beam.exposure)
    # The table holds counts of a column, as the light of the truth does.
    check(result.spectrum(LABEL), truths[0], 1.0)


def test_light_of_neighbours_is_known(linear):
    path, truths = linear
    beam = sm.read(path).beams["X9"]
    np.testing.assert_allclose(beam.exposure.known_light, truths[1].others, rtol=1e-5)
    result = sm.ContaminationSubtraction(beam.scene())(beam.exposure)
    np.testing.assert_allclose(result[LABEL].contamination, truths[1].others, rtol=1e-5)
    assert not sm.read(path).beams["X9"].with_known_light().exposure.known_light.any()


def test_level_of_the_light_of_neighbours_can_be_fitted(tmp_path):
    pulls = []
    for seed in range(6):
        truths = write_beams(tmp_path / "x.fits", contam=0.5, seed=seed)
        for beam, truth in zip(sm.read(tmp_path / "x.fits").beams.values(), truths, strict=True):
            wrong = beam.exposure.known_light
            np.testing.assert_allclose(wrong, truth.others / 2, rtol=1e-5)
            scene = beam.scene().with_image(wrong)
            fit = FITTER(scene, beam.with_known_light().exposure)
            level = fit.values[scene.entry(0).terms][0]
            pulls.append((level - 2) / np.sqrt(fit.coefficient_covariance(0)[0, 0]))
            assert level == pytest.approx(2, abs=0.05)
    assert np.sqrt(np.mean(np.square(pulls))) < 1.7


def test_images_are_the_cutouts_as_they_are(linear):
    path, _ = linear
    exposure = sm.read(path)
    assert isinstance(exposure, Beams)
    assert list(exposure) == ["G102", "X9"]
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(
            np.where(exposure["X9"].mask, 0, exposure["X9"].data),
            np.where(hdus[11].data != 0, 0, hdus[9].data).astype(float),
        )
    image = exposure["G102"]
    assert image.mask.sum() == 1
    assert image.variance[0, 0] == pytest.approx(NOISE**2)
    assert str(image.unit) == "electron / s"
    assert np.interp(1.05, image.wavelength, np.arange(SHAPE[1])) == pytest.approx(77.1, abs=0.01)


def test_options_reach_images_and_models_alike(linear):
    path, _ = linear
    mask = np.zeros(SHAPE, bool)
    mask[:, 40] = True
    exposure = sm.read(path, mask={"G102": mask})
    np.testing.assert_array_equal(exposure.beams["G102"].exposure.mask, mask)
    assert exposure.beams["X9"].exposure.mask.sum() == 1
    with pytest.raises(ValueError, match="dispersion_axis"):
        sm.read(path, dispersion_axis=-2)


def test_impossible_contamination_is_not_used(tmp_path):
    write_beams(tmp_path / "x.fits", contam=1e15, grisms=("G102",))
    with pytest.warns(AstropyUserWarning, match="CONTAM of G102"):
        beam = sm.read(tmp_path / "x.fits").beams["G102"]
    assert not beam.exposure.known_light.any()


@pytest.mark.parametrize(("change", "message"), [
    (lambda hdus: hdus.pop(4), "lacks"),
    (lambda hdus: hdus[0].header.set("COUNT", 3), "3 cutouts"),
    (lambda hdus: hdus[3].header.remove("WCSNAMEE"), "BeamLinear2D"),
    (lambda hdus: hdus[3].header.remove("CRVAL1E"), "not complete"),
    (lambda hdus: hdus[3].header.set("CRVAL1E", 1e6), "wavelengths of G102"),
])  # fmt: skip
def test_files_that_do_not_fit_together_are_refused(linear, tmp_path, change, message):
    with fits.open(linear[0]) as hdus:
        change(hdus)
        hdus.writeto(tmp_path / "broken.fits")
    with pytest.raises(ValueError, match=message) as error:
        sm.read(tmp_path / "broken.fits")
    assert "broken.fits" in str(error.value)


def test_source_that_is_not_on_its_map_is_named(linear, tmp_path):
    with fits.open(linear[0]) as hdus:
        hdus[0].header["ID"] = 99
        hdus.writeto(tmp_path / "x.fits")
    with pytest.raises(ValueError, match="source 99"):
        sm.read(tmp_path / "x.fits").beams["G102"].scene()


@pytest.mark.parametrize("grism", ["G102", "G141"])
def test_hidden_pixels_of_wfc3_are_predicted(shared_data, grism):
    beam = sm.read(shared_data / "wfss" / "j033216m2743_00152.beams.fits").beams[grism]
    fitter = sm.ContaminationSubtraction.default_fitter
    assert np.mean([hidden_chi2(beam, seed, fitter) for seed in range(4)]) < 1.1
    # Its trace is where the file says, to a fraction of a pixel.
    chi2 = {}
    for y in (-1.0, 0.0, 1.0):
        fit = fitter(beam.shifted(y=y).scene(), beam.exposure)
        chi2[y] = np.sum(fit.residual() ** 2 * beam.exposure.weights)
    assert min(chi2, key=chi2.get) == 0


def test_niriss_trace_is_moved_by_hand(shared_data):
    with pytest.warns(AstropyUserWarning, match="CONTAM"):
        beams = sm.read(shared_data / "wfss" / "niriss_jw01324001001_test.beams.fits").beams
    beam = beams["GR150C"]
    fits_ = [FITTER(one.scene(), one.exposure) for one in (beam, beam.shifted(-41, -6))]
    assert fits_[1].chi2 < 0.3 * fits_[0].chi2
