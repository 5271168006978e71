"""Slices that share the spectrum of their source, against simulated truth."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.fitters.windowed.common_spectrum import with_common_spectrum

SHAPE = (26, 400)
LINES = np.array([60.3, 120.0, 200.6, 290.2])
FRACTIONS, SHIFTS = (1.0, 0.4, 0.25), (0.0, 0.37, -0.21)


@pytest.fixture(scope="module")
def slices():
    """Three slices that see one source with narrow lines, shifted by parts of a column.

    Returns
    -------
    fits : dict of str to WindowedFit
    spectra : dict of str to ndarray
        Factors by which the true light of each column is that of the simulated slit.
    """
    image, truth = sm.datasets.make_undersampled_slit(seed=1, shape=SHAPE, diffuse=0.0)
    rng = np.random.default_rng(3)
    fits, spectra = {}, {}
    smooth = np.polynomial.Polynomial.fit(image.x, truth.flux[0], 8)(image.x)
    for number, (fraction, shift) in enumerate(zip(FRACTIONS, SHIFTS, strict=True)):
        place = image.x + shift
        lines = np.exp(-0.5 * ((place[:, None] - LINES) / 0.8) ** 2) @ [0.1, 0.5, 2.0, 8.0]
        slow = fraction * (1 + 0.05 * np.cos(image.x / 120 + number))
        light = slow * (1 + lines) * smooth / truth.flux[0]
        data = truth.image * light
        variance = 0.003**2 * data.max() * np.maximum(data, 0.01 * data.max())
        one = image.replace(
            data=data + rng.normal(size=SHAPE) * np.sqrt(variance), variance=variance,
            wavelength=1 + 0.001 * place, mask=np.zeros(SHAPE, bool), name=str(number),
        )  # fmt: skip
        fits[str(number)] = sm.WindowedFitter()(None, one)
        spectra[str(number)] = truth.flux[0] * light
    return fits, spectra


def scale_errors(fits, spectra):
    """Errors of scales by slice; how the area of a profile is counted changes slowly."""
    out, columns = {}, np.arange(SHAPE[1])
    for name, fit in fits.items():
        ratio = fit.scale / spectra[name]
        slow = np.polynomial.Polynomial.fit(columns, ratio, 6, w=spectra[name])(columns)
        out[name] = (ratio / slow - 1) * spectra[name]
    return out


def test_faint_slices_gain_from_bright_ones_and_lines_stay(slices):
    fits, spectra = slices
    shared = with_common_spectrum(fits, 10.0)
    before, after = scale_errors(fits, spectra), scale_errors(shared, spectra)
    columns = np.arange(SHAPE[1])
    on_line = np.min(np.abs(columns[:, None] - LINES), axis=1) < 2.5
    for name, fit in fits.items():
        sigma = np.sqrt(fit.column_covariance[0, 0])
        quiet = ~on_line & (columns > 5) & (columns < 395)
        alone, together = (np.std((e[name] / sigma)[quiet]) for e in (before, after))
        assert together < (1.02 if name == "0" else 0.75) * alone
        own, shared_rms = (
            np.sqrt(np.mean((e[name] / sigma)[on_line] ** 2)) for e in (before, after)
        )
        assert shared_rms < 1.1 * own
        pulls = after[name] / np.sqrt(shared[name].column_covariance[0, 0])
        assert 0.8 < np.std(pulls[quiet]) < 1.35


def test_what_one_slice_sees_alone_stays(slices):
    fits, _ = slices
    fit = fits["1"]
    values = np.array(fit.values)
    values[0, 250:253] += 20 * np.sqrt(fit.column_covariance[0, 0, 250:253])
    odd = replace(fit, values=values)
    shared = with_common_spectrum({**fits, "1": odd}, 10.0)
    change = (shared["1"].scale - odd.scale) / np.sqrt(fit.column_covariance[0, 0])
    assert np.abs(change[250:253]).max() < 0.5


def test_covariance_is_that_of_both_measurements(slices):
    fits, _ = slices
    for name, fit in with_common_spectrum(fits, 10.0).items():
        known = fit.column_covariance[0, 0] > 0
        before = fits[name].column_covariance[0, 0][known]
        expected = 1 / (1 / before + fit.scale_prior[known])
        assert_allclose(fit.column_covariance[0, 0][known], expected, rtol=1e-6)


@pytest.mark.parametrize("change", ["one slice", "faint", "no wavelength"])
def test_slices_that_cannot_share_are_left_alone(slices, change):
    fits, _ = slices
    if change == "one slice":
        fits = {"0": fits["0"]}
    if change == "no wavelength":
        fits = {name: replace(fit, image=fit.image.replace(wavelength=None))
                for name, fit in fits.items()}  # fmt: skip
    threshold = np.inf if change == "faint" else 10.0
    assert with_common_spectrum(fits, threshold) == fits
