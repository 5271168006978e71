"""Oversampling of a slit of the MIRI low-resolution spectrometer, on a real WCS."""

from importlib import resources

import asdf
import numpy as np
import pytest
from scipy.special import erf

import specmodels as sm


@pytest.fixture(scope="module")
def exposure():
    """A datamodel of a star, not resolved, whose trace is inclined; and its true light."""
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    path = resources.files("gwcs") / "tests" / "data" / "miri_lrs_wcs.asdf"
    if not path.is_file():
        pytest.skip("this version of gwcs comes without the WCS of the spectrometer")
    with asdf.open(path, lazy_load=False, memmap=False) as tree:
        wcs = tree["wcs"]
    y, x = np.mgrid[:420, :400].astype(float)
    wavelength = wcs(x, y)[2]
    known = np.isfinite(wavelength)
    # A star stays at its place in the focal plane.
    drift = 0.0042159 * (y - 200)
    away = (x - 329.3 - drift) / (0.6 * np.sqrt(2))
    half = 0.5 / (0.6 * np.sqrt(2))
    light = np.where(known, 15 * (erf(away + half) - erf(away - half)) + 1, 0)
    error = np.sqrt(0.05**2 + 0.002 * light)
    data = light + error * np.random.default_rng(0).normal(size=light.shape)
    model = datamodels.ImageModel(
        data=np.where(known, data, np.nan).astype("f4"), err=error.astype("f4"),
        dq=np.where(known, 0, 1).astype("u4"),
    )  # fmt: skip
    model.meta.instrument.name, model.meta.instrument.detector = "MIRI", "MIRIMAGE"
    model.meta.exposure.type, model.meta.wcs = "MIR_LRS-FIXEDSLIT", wcs
    model.meta.bunit_data = "MJy/sr"
    yield model, light
    model.close()


def test_light_wcs_and_file(exposure, tmp_path):
    model, light = exposure
    result = sm.TraceOversampling()(model)
    (fit,) = result.fits.values()
    assert abs(fit.unit / 0.1106 - 1) < 1e-3
    assert 1.4 < fit.pixels.drift < 1.8
    bright = light > 5
    made = result.to_source()
    halves = 0.5 * (made.data[:, ::2] + made.data[:, 1::2])
    assert abs(np.nansum(halves[bright]) / light[bright].sum() - 1) < 1e-3
    trace = result.trace.T
    known = np.isfinite(trace)
    assert np.sqrt(np.mean((trace - light)[known] ** 2)) < 0.005 * light.max()
    assert made.meta.wcs.available_frames[0] == "coordinates"
    assert model.meta.wcs.available_frames[0] == "detector"
    for column in (320.0, 330.0):
        found = made.meta.wcs(2 * (column + 0.5) - 0.5, 200.0)
        np.testing.assert_allclose(found, model.meta.wcs(column, 200.0), rtol=1e-12)
    path = sm.write(result, tmp_path / "lrs_os.fits")
    from stdatamodels.jwst import datamodels

    with datamodels.open(path) as again:
        np.testing.assert_array_equal(again.data, made.data)
        assert again.trace_model.shape == made.data.shape


def test_spectrum_of_an_aperture(exposure):
    result = sm.TraceOversampling()(exposure[0])
    (name,) = result.fits
    spectrum = result.aperture_spectrum(name, 1.1, subtract_ground=True)
    assert abs(np.median(spectrum.flux.value) / 30 - 1) < 0.02
    assert 3 < spectrum.spectral_axis.value.min() < spectrum.spectral_axis.value.max() < 15
