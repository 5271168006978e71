"""Time series of a moving star: scatter of the white light over its limit, seconds, megabytes."""

import time

import numpy as np

import specmodels as sm
from specmodels.evaluators.time_series.series import FEW, MANY, SOME

from .measure import memory

SHAPE = (64, 2048)
SETTINGS = {
    "bright": dict(snr=300.0, motion=0.05, seeing=0.03),
    "moves by a third, seeing by a tenth": dict(snr=300.0, motion=0.3, seeing=0.1),
    "moves by a pixel": dict(snr=300.0, motion=1.0, seeing=0.03),
    "undersampled, moves by a third": dict(snr=300.0, motion=0.3, seeing=0.05, sigma=0.64),
    "wide, seeing by a tenth": dict(snr=300.0, motion=0.3, seeing=0.1, sigma=2.1),
    "faint": dict(snr=20.0, motion=0.05, seeing=0.03),
}


def run(*, quick=False):
    """Rows of the table: settings, and how well the light curve comes out."""
    number = 250 if quick else 1000
    return [_row(name, number, options) for name, options in SETTINGS.items()]


def _row(name, number, options):
    series, truth = sm.datasets.make_time_series(
        seed=77, n_integrations=number, shape=SHAPE, **options
    )
    drawn = _cpu(lambda: [series[i] for i in range(20)])[0] / 20
    spent, result = _cpu(lambda: sm.OptimalExtraction()(series))
    # Those that tell trace and profile are read more than once.
    reads = number + 2 * min(number, MANY) + min(number, SOME) + 2 * FEW + 1
    few = series[: min(number, 60)]
    peak, kept = memory(lambda: sm.OptimalExtraction()(few))
    one = sum(a.nbytes for a in (few.first.data, few.first.variance, few.first.mask))
    one += sum(a.nbytes for a in few.first.components.values())
    white = result.white_light()
    seen = ~result.mask().all(axis=0)
    ratio = white["flux"].value / truth.flux[:, seen].sum(axis=1)
    dimmed = truth.flux.sum(axis=1) < 0.998 * truth.flux.sum(axis=1).max()
    depth = np.mean(ratio[dimmed]) / np.mean(ratio[~dimmed]) - 1
    ratio /= ratio.mean()
    limit = _limit(series, truth, seen)
    return {
        "series": name,
        "integrations": number,
        "scatter of white light / limit": round(float(np.std(ratio) / limit), 3),
        "scatter / quoted error": round(
            float(np.std(ratio) / np.median(white["flux_error"] / white["flux"])), 3
        ),
        "error of the depth, ppm": round(1e6 * float(depth), 1),
        "chi2/dof": round(float(np.median(result.reduced_chi2)), 3),
        "CPU ms per integration": round(1e3 * (spent - reads * drawn) / number, 1),
        "peak, in integrations": round((peak - kept) * 1e6 / one, 1),
    }


def _limit(series, truth, seen):
    """Smallest relative error of the white light: profile, trace and width known, sky free."""
    i = len(series) // 2
    rows = series.first.y
    light = truth.light(i, rows)
    sky = np.broadcast_to(truth.sky[i], light.shape)
    profile, variance = (light - sky) / truth.flux[i], light + truth.read_noise**2
    weights = np.where(series.first.mask, 0.0, 1 / variance)
    a, b, c = ((w * weights).sum(axis=0) for w in (profile**2, profile, np.ones(light.shape)))
    error = np.sqrt(c / (a * c - b**2))[seen]
    return float(np.sqrt(np.sum(error**2)) / truth.flux[i][seen].sum())


def _cpu(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result
