"""One profile for many exposures: `fit_together` beside each alone, and beside one fit of all."""

from functools import partial

import numpy as np
from astropy.modeling.models import Const2D

import specmodels as sm

from .measure import costs, memory
from .memory import input_megabytes

SHAPE = (30, 200)
GAMMA, ALPHA = 2.0, 2.8
SHARE = {"trace_*": False}
FIRST_SEED, N_SEEDS = 500, 8
FLUX = 25.0  # of a column, with a read noise of one: signal-to-noise ratio 6 or so
NUMBERS = (4, 16)


def run(*, quick=False):
    """One row for each number of exposures and each way to fit them."""
    rows = []
    for number in NUMBERS[:1] if quick else NUMBERS:
        nights = [make_night(FIRST_SEED + k, number) for k in range(3 if quick else N_SEEDS)]
        rows += _rows(number, nights, repeat=1 if quick else 3)
    return rows


def _rows(number, nights, repeat):
    """One row for each way to fit nights of so many exposures."""
    ways = {"each alone": _alone, "fit_together": _together, "one fit of all": _as_one}
    first = nights[0][0]
    calls = {name: partial(way, first) for name, way in ways.items()}
    used, size = costs(calls, repeat=repeat), input_megabytes(sm.Exposure(first))
    rows = []
    for name, way in ways.items():
        peak, kept = memory(calls[name])
        row = {"exposures": number, "by": name, **_truth(way, nights), "CPU, s": used[name].cpu}
        rows.append({**row, "(peak - result) / input": (peak - kept) / size})
    return rows


def make_night(seed, number):
    """Exposures of a star, each with its own spectrum, sky and place, and the total of each."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))
    images, totals = [], []
    for k in range(number):
        trace = sm.PolynomialTrace(0, c0=14.5 + rng.uniform(-2, 2))
        flux = FLUX * rng.uniform(0.5, 1.5, SHAPE[1])
        light = sm.Source(sm.MoffatProfile(gamma=GAMMA, alpha=ALPHA), trace)(x, y) * flux
        data = light + rng.uniform(2, 6) + rng.normal(size=SHAPE)
        images.append(sm.SpectralImage(data, variance=np.ones(SHAPE), name=f"exposure {k}"))
        totals.append(flux.sum())
    return images, np.array(totals)


def _model():
    source = sm.Source(sm.MoffatProfile(gamma=1.8, alpha=3.3), sm.PolynomialTrace(0, c0=14.5),
                       name="star")  # fmt: skip
    return source + sm.ColumnPolynomial(0, name="sky")


def _alone(images):
    fits = [sm.VarProFitter()(_model(), image) for image in images]
    return [(fit["alpha_0"], fit.error("alpha_0"), fit["flux_0"].sum()) for fit in fits]


def _together(images):
    found = sm.fit_together(_model(), images, share=SHARE, n_jobs=1, fitter=sm.VarProFitter())
    return [(fit["alpha_0"], fit.error("alpha_0"), fit["flux_0"].sum())
            for fit in found.fits.values()]  # fmt: skip


def _as_one(images):
    source = _model()[0]
    source.flux.fixed = True
    own = {key: sm.repeated_over(Const2D(name=key), "exposure", "column")
           for key in ("spectrum", "sky")}  # fmt: skip
    fit = sm.VarProFitter()(own["spectrum"] * source + own["sky"], images, share=SHARE)
    shape = fit["star.alpha"], fit.error("star.alpha")
    return [(*shape, flux.sum()) for flux in fit["spectrum.amplitude"]]


def _truth(way, nights):
    """Median error of the exponent, its scatter in these, and scatter of the total fluxes."""
    errors, pulls, ratios = [], [], []
    for images, totals in nights:
        alpha, error, total = np.array(way(images)).T
        errors += list(error)
        pulls += list((alpha - ALPHA) / error)
        ratios += list(total / totals)
    return {
        "error of the exponent": float(np.median(errors)),
        "scatter / error": float(np.std(pulls)),
        "bias of total flux, %": 100 * float(np.mean(ratios) - 1),
        "scatter of total flux, %": 100 * float(np.std(ratios)),
    }
