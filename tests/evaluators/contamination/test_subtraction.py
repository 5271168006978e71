"""Contamination subtraction: what is removed, what its error says, and what is reported."""

import asdf
import numpy as np
import pytest
from astropy.io import fits

import specmodels as sm
from specmodels.slitless import Cutout


@pytest.fixture(scope="module")
def field():
    exposure, truth = sm.datasets.make_slitless(seed=7, n_sources=14)
    scene = sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
    return exposure, truth, scene, sm.ContaminationSubtraction(scene)(exposure)


def left(result, truth):
    """Light of neighbours that is left, relative to what there was."""
    wrong = there = 0.0
    for slit in result.slits:
        light = truth.contamination(slit.cutout)
        hit = light > slit.error
        wrong += np.abs(slit.contamination - light)[hit].sum()
        there += light[hit].sum()
    return wrong / there


def test_fitted_spectra_remove_more_than_flat_ones(field):
    exposure, truth, scene, result = field
    flat = sm.ContaminationSubtraction(scene, fit_spectra=False)(exposure)
    assert left(result, truth) < 0.05 < 0.15 < left(flat, truth)


def test_corrected_cutouts_hold_their_own_source(field):
    _, truth, _, result = field
    for slit in result.slits:
        own = truth.scene.image(slit.cutout.key, slit.cutout.window)
        np.testing.assert_allclose(slit.corrected, slit.data - slit.contamination)
        assert np.std((slit.corrected - own) / slit.error) < 2.5


def test_error_of_the_model_is_that_of_its_scatter():
    pulls = []
    for seed in range(4):
        exposure, truth = sm.datasets.make_slitless(seed=seed, noise=2.0)
        scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
        clean = sm.ContaminationSubtraction(scene, sm.SceneFitter(ridge=0), shape_error=0)
        for slit in clean(exposure).slits:
            wrong = slit.contamination - truth.contamination(slit.cutout)
            sigma = np.sqrt(slit.variance)
            pulls.append((wrong / np.where(sigma > 0, sigma, 1))[sigma > 0.05])
    pulls = np.concatenate(pulls)
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.15)


def test_errors_grow_by_those_of_the_model(field):
    exposure, _, scene, result = field
    slit = result.slits[0]
    np.testing.assert_allclose(slit.error**2, 0.01 + slit.variance)
    assert slit.variance.max() > 0
    flat = sm.ContaminationSubtraction(scene, fit_spectra=False)(exposure)
    assert not flat.slits[0].variance.any()


def test_result_is_a_mapping_by_label(field):
    result = field[-1]
    first = result.slits[0]
    assert result[first.name] is result[first.cutout.label] is result[first.cutout.key]
    assert len(result) == len(result.slits)
    assert first.cutout.key in list(result)
    with pytest.raises(KeyError, match="no cutout 99"):
        result[99]
    assert "14 cutouts" in repr(result)


def test_spectra_come_near_the_truth_within_their_errors(field):
    _, truth, _, result = field
    assert len(result.spectra) == len(truth.scene)
    brightest = max(truth.scene.entries, key=lambda entry: entry.light)
    spectrum = result.spectrum(brightest.key)
    true = truth.scene.spectrum(brightest.key)(spectrum.spectral_axis.value) * brightest.light
    np.testing.assert_allclose(spectrum.flux.value, true, rtol=0.05)
    assert np.all(spectrum.uncertainty.array > 0)
    assert spectrum.meta["label"] == brightest.label


def test_spectra_can_be_written(field, tmp_path):
    result = field[-1]
    path = sm.write(result, tmp_path / "spectra.fits")
    with fits.open(path) as hdus:
        names = {hdu.name for hdu in hdus}
    assert {f"{label}_{order}".upper() for label, order in result.scene} <= names
    with asdf.open(sm.write(result, tmp_path / "spectra.asdf")) as file:
        assert set(file["spectra"]) == set(result.tables())


def test_report_names_every_source(field):
    exposure, truth, _, _ = field
    selection = sm.SourceSelection(n_brightest=5)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism, selection=selection)
    stranger = Cutout(77, 1, (slice(5, 15), slice(40, 90)))
    shown = sm.SlitlessExposure(exposure.data, exposure.variance,
                                cutouts=(*exposure.cutouts, stranger))  # fmt: skip
    result = sm.ContaminationSubtraction(scene)(shown)
    report = result.report()
    assert len(report) == 15
    assert np.sum(report["fitted"]) == 5
    assert "not among the 5 brightest" in set(report["reason"])
    assert "no source (77, 1)" in report["reason"][-1]


def test_cutout_without_a_source_loses_all_light_of_the_scene(field):
    exposure, _, scene, _ = field
    window = slice(20, 60), slice(40, 120)
    shown = sm.SlitlessExposure(exposure.data, exposure.variance, cutouts=(Cutout(99, 1, window),))
    result = sm.ContaminationSubtraction(scene)(shown)
    slit = result.slits[0]
    assert slit.own is None
    assert "99" in slit.reason
    np.testing.assert_allclose(slit.contamination, result.simulated_image[window])
    assert slit.variance.max() > 0
    assert result.plot() is not None


def test_several_exposures_give_several_results(field):
    exposure, _, scene, single = field
    results = sm.ContaminationSubtraction([scene, scene])([exposure, exposure])
    assert len(results) == 2
    for result in results:
        for slit, reference in zip(result.slits, single.slits, strict=True):
            np.testing.assert_allclose(slit.contamination, reference.contamination, atol=0.2)
    assert np.all(results[0].slits[0].variance <= single.slits[0].variance + 1e-12)


def test_caller_keeps_what_was_given(field):
    exposure, _, scene, _ = field
    before = exposure.data.copy(), scene.coefficients.copy()
    sm.ContaminationSubtraction(scene)(exposure)
    np.testing.assert_array_equal(exposure.data, before[0])
    np.testing.assert_array_equal(scene.coefficients, before[1])


def test_plot_shows_the_cutouts_wanted(field):
    result = field[-1]
    figure = result.plot([result.slits[0].name])
    titles = [axis.get_title("left") for axis in figure.axes]
    assert f"{result.slits[0].name}: contamination" in titles
    figure = result.plot()
    assert sum(ax.get_label() != "<colorbar>" for ax in figure.axes) == 16


def test_wrong_kinds_are_refused(field):
    exposure, _, scene, _ = field
    with pytest.raises(TypeError, match="scene"):
        sm.ContaminationSubtraction("scene")
    with pytest.raises(TypeError, match="fitter"):
        sm.ContaminationSubtraction(scene, sm.LinearFitter())
    with pytest.raises(ValueError, match="one for each scene"):
        sm.ContaminationSubtraction([scene, scene])([exposure])
    with pytest.raises(ValueError, match="shape"):
        sm.ContaminationSubtraction(scene)(np.ones((4, 4)))
    with pytest.raises(ValueError, match="shape_error"):
        sm.ContaminationSubtraction(scene, shape_error=-0.1)


def test_errors_with_inexact_shapes_are_those_of_the_scatter():
    pulls = []
    for seed in range(3):
        exposure, truth = sm.datasets.make_slitless(seed=seed, n_sources=14)
        scene = sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
        for slit in sm.ContaminationSubtraction(scene, shape_error=0.01)(exposure).slits:
            light = truth.contamination(slit.cutout)
            wrong = slit.contamination - light
            pulls.append((wrong / np.sqrt(slit.variance + 1e-12))[light > 0.1])
    spread = np.concatenate(pulls)
    assert 0.7 < 1.4826 * np.median(np.abs(spread)) < 1.4
