"""Two overlapping orders of one star: bias in the blend, efficiency, pulls, seconds.

The profile is a box with ripples and wings, which no Gaussian or Moffat describes; the orders are
farther apart at one end than at the other. Rows are given with errors of a shift and a bend.
"""

import time

import numpy as np
from scipy.special import erf

import specmodels as sm

SHAPE, NEAR = (256, 2048), 30
SETTINGS = {
    "14 pixels apart at one end": {},
    "20 pixels apart, second order fainter": dict(nearest=20.0, second=0.2),
    "narrower profile, fainter star": dict(half_width=7.0, peak=1000.0),
}


def run(*, quick=False):
    """Rows of the table: settings and order, and how well its fluxes come out."""
    seeds = range(301, 302 if quick else 304)
    return [row for name, options in SETTINGS.items() for row in _rows(name, seeds, options)]


def _rows(name, seeds, options):
    found = [_measured(seed, **options) for seed in seeds]
    for k in range(2):
        own = [one[k] for one in found]
        yield {
            "frame": name,
            "order": k + 1,
            "largest bias where blended": f"{max(abs(o['bias']) for o in own):.1e}",
            "efficiency": round(float(np.mean([o["efficiency"] for o in own])), 3),
            "worst": round(min(o["efficiency"] for o in own), 3),
            "pull": round(float(np.mean([o["pull"] for o in own])), 3),
            "status": f"{sum(o['ok'] for o in own)} of {len(own)} ok",
            "CPU s": round(float(np.median([o["seconds"] for o in own])), 1),
        }


def make_orders(seed, *, nearest=14.0, second=0.45, half_width=11.0, peak=1e4):
    """Draw a frame of two orders.

    Returns
    -------
    image : `~specmodels.SpectralImage`
    rows, flux, error : ndarray, shape (2, n_column)
        Traces, counts of the orders, and their smallest possible errors.
    """
    rng = np.random.default_rng(seed)
    n_row, n_column = SHAPE
    u, y = np.linspace(0, 1, n_column), np.arange(n_row)[:, None]
    first = 70 + 18 * (1 - u) ** 2
    rows = np.array([first, first + nearest + 100 * u**1.7])
    profiles = np.array([_profile(y - row, half_width) for row in rows])
    places, depths = rng.uniform(0, 1, 30), rng.uniform(0, 0.6, 30)
    lines = 1 - np.sum(depths * np.exp(-0.5 * ((u[:, None] - places) / 0.002) ** 2), axis=1)
    flux = np.array([np.exp(-(((u - 0.4) / 0.6) ** 2)), second * np.exp(-(((u - 0.7) / 0.6) ** 2))])
    flux *= 2 * half_width * peak * np.maximum(lines, 0.1)
    light = np.einsum("kx,kyx->yx", flux, profiles) + 3.0
    data, mask = rng.poisson(light) + rng.normal(0, 8, SHAPE), rng.random(SHAPE) < 0.005
    hits = rng.random(SHAPE) < 5e-4
    data += np.where(hits, 250 * (1 + rng.pareto(1.5, SHAPE)), 0)
    variance = light + 64
    weights = np.where(mask | hits, 0.0, 1 / variance)
    basis = np.concatenate([profiles, np.ones((1, *SHAPE))])
    information = np.einsum("ayx,byx,yx->xab", basis, basis, weights, optimize=True)
    error = np.sqrt(np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)).T[:2]
    return sm.SpectralImage(data, variance=variance, mask=mask), rows, flux, error


def _profile(t, half_width):
    box = 0.5 * (erf((t + half_width) / 1.8) - erf((t - half_width) / 1.8))
    box *= 1 + 0.15 * np.cos(2 * np.pi * t / 9) * (np.abs(t) < half_width)
    wings = (1 + (t / 14) ** 2) ** -1.6
    return 0.95 * box / box.sum(axis=0) + 0.05 * wings / wings.sum(axis=0)


def _measured(seed, **options):
    image, rows, flux, smallest = make_orders(seed, **options)
    rng, u = np.random.default_rng(seed + 1000), np.linspace(-1, 1, SHAPE[1])
    given = [sm.Order(row + rng.normal(0, 0.5) + rng.normal(0, 0.3) * u**2) for row in rows]
    start = time.process_time()
    result = sm.OptimalExtraction(orders=given)(image)
    tables = result.tables()
    seconds = time.process_time() - start
    status = list(result.report()["status"])
    near = np.diff(rows, axis=0)[0] < NEAR
    out = []
    for k, table in enumerate(tables.values()):
        found, error = (table[key].value for key in ("flux", "flux_error"))
        off = (found - flux[k]) / smallest[k]
        out.append({
            "bias": float(np.nanmedian((found / flux[k] - 1)[near])),
            "efficiency": float(1 / np.sqrt(np.nanmean(np.clip(off, -50, 50) ** 2))),
            "pull": float(np.nanstd((found - flux[k]) / error)),
            "ok": status[k] == "ok", "seconds": seconds,
        })  # fmt: skip
    return out
