"""How much a flux depends on where in a pixel the trace lies: noise-free data, in steps of 0.1."""

import numpy as np

import specmodels as sm

from . import methods
from .inputs import Slit

SHAPE = (60, 512)
FLUX, SKY, READ_NOISE = 5000.0, 20.0, 5.0
WIDTHS = (0.6, 0.8, 1.2)
METHODS = {
    "specmodels": methods.specmodels_automatic,
    "specreduce Horne, Gaussian": methods.specreduce_gaussian,
    "specreduce Horne, interpolated": methods.specreduce_interpolated,
    "specreduce boxcar": methods.specreduce_boxcar,
}
GOAL = 1e-3


def run(*, quick=False):
    """One row for each width and method: range of flux over truth, straight and tilted trace."""
    steps = np.arange(0.0, 1.0, 0.5 if quick else 0.1)
    rows = []
    for sigma in WIDTHS:
        for name, method in METHODS.items():
            found = [np.median(_ratio(method, sigma, 29.0 + step)) for step in steps]
            tilted = _ratio(method, sigma, 29.0 + np.linspace(-2.5, 2.5, SHAPE[1]))
            inner = tilted[16:-16]
            rows.append({
                "sigma of core": sigma, "method": name,
                "least flux/truth": min(found), "largest": max(found), "range": np.ptp(found),
                "rms along tilted trace": np.std(inner), "goal": GOAL,
                "met": bool(np.ptp(found) <= GOAL) if name == "specmodels" else None,
            })  # fmt: skip
    return rows


def _ratio(method, sigma, trace):
    slit = noiseless(sigma, trace)
    try:
        flux, _ = method(slit)
    except methods.FAILURES:
        return np.full(SHAPE[1], np.nan)
    return flux[0] / slit.flux[0]


def noiseless(sigma, trace):
    """Slit of one source with wide wings, without noise; the variances are those of real data."""
    rows = np.arange(SHAPE[0])[:, None]
    trace = np.broadcast_to(trace, SHAPE[1])
    gaussian = sm.GaussianProfile()
    profile = 0.9 * gaussian.evaluate(rows, trace, sigma)
    profile = profile + 0.1 * gaussian.evaluate(rows, trace, 3 * sigma)
    light = FLUX * profile + SKY
    image = sm.SpectralImage(
        light, components={"read": np.full(SHAPE, READ_NOISE**2), "poisson": light},
        wavelength=np.linspace(1.0, 1.8, SHAPE[1]), wavelength_unit="um",
    )  # fmt: skip
    flux = np.full((1, SHAPE[1]), FLUX)
    return Slit(image, flux, np.ones_like(flux), trace[None], profile[None])
