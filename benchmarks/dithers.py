"""One spectrum from several exposures: against the truth, and the mean of single extractions."""

import time

import numpy as np
from scipy.special import erf

import specmodels as sm

NY, NX = 40, 600
ROWS = (12.0, 20.0, 28.0, 16.0, 24.0, 31.0)
SCENES = {
    "three, S/N 10": {},
    "two, S/N 30": {"n": 2, "snr": 30.0},
    "six, S/N 2": {"n": 6, "snr": 2.0},
    "three, S/N 1": {"snr": 1.0},
    "three, S/N 100": {"snr": 100.0},
    "three, columns shifted by 0.37": {"grid": 0.37},
    "three, one behind clouds (0.5)": {"clouds": 0.5},
    "three, no variances": {"known": False},
    "three, a fifth of the pixels of each masked": {"masked": 0.2},
}


def run(*, quick=False):
    """One row for each scene: means over seeds."""
    seeds = range(1 if quick else 3)
    rows = []
    for scene, options in SCENES.items():
        found = [_figures(*nods(seed, **options)) for seed in seeds]
        rows.append({"scene": scene, **{key: np.mean([own[key] for own in found])
                                        for key in found[0]}})  # fmt: skip
    return rows


def nods(seed, n=3, *, snr=10.0, grid=0.0, clouds=1.0, known=True, masked=0.0):
    """Exposures, their true spectrum, and its smallest errors (profiles known, level free)."""
    rng = np.random.default_rng([seed, n, int(10 * snr)])
    y, x = np.mgrid[:NY, :NX].astype(float)
    noise = 60.0
    level = snr * np.sqrt(noise) * 2.3
    lines = rng.uniform(0, NX, 12), rng.uniform(0.5, 2, 12)

    def star(p):
        peaks = sum(h * np.exp(-0.5 * ((p - c) / 1.4) ** 2) for c, h in zip(*lines, strict=True))
        return level * (1 + 0.3 * np.sin(p / 60) + peaks)

    images, information = [], np.zeros(NX)
    for number in range(n):
        p, throughput = x - grid * number, clouds if number == n - 1 else 1.0
        row = ROWS[number] + 0.002 * x + rng.uniform(-0.5, 0.5)
        profile = _spread(y, row, rng.uniform(1.3, 1.8))
        image = throughput * star(p) * profile + rng.uniform(0.5, 1.0) * noise
        mask = rng.uniform(size=image.shape) < masked
        variance = image + 16
        data = image + rng.normal(size=image.shape) * np.sqrt(variance)
        information += _information(throughput * profile, np.where(mask, 0, 1 / variance))
        images.append(sm.SpectralImage(
            data, variance=variance if known else None, mask=mask, name=f"exposure {number + 1}",
            wavelength=(1 + 0.001 * p)[0], wavelength_unit="um"))  # fmt: skip
    return images, star(np.arange(NX)), information**-0.5


def _spread(y, center, sigma):
    ends = [erf((y + side - center) / sigma / 2**0.5) for side in (0.5, -0.5)]
    return 0.5 * (ends[0] - ends[1])


def _information(profile, weights):
    """Of the flux of each column where its level is free, shape (n_column,)."""
    mixed = np.sum(weights * profile, axis=0)
    return np.sum(weights * profile**2, axis=0) - mixed**2 / np.sum(weights, axis=0)


def _figures(images, true, least):
    start = time.process_time()
    result = sm.OptimalExtraction(n_sources=1)(images)
    seconds = time.process_time() - start
    table, inside = result.table("source"), slice(5, -5)
    flux, error = table["flux"].value, table["flux_error"].value
    wrong = ((flux - true) / least)[inside]
    return {
        "bias": np.mean(wrong), "pull": np.std(((flux - true) / error)[inside]),
        "efficiency": 1 / np.sqrt(np.mean(wrong**2)),
        "efficiency of the mean of single ones": _of_means(images, true, least, inside),
        "ok": np.mean(result.report()["status"] == "ok"), "CPU s": seconds,
    }  # fmt: skip


def _of_means(images, true, least, inside):
    """Efficiency of the weighted mean of spectra from each exposure, interpolated."""
    wave = images[0].wavelength
    top = bottom = 0.0
    for image in images:
        table = sm.OptimalExtraction(n_sources=1)(image).table("source")
        own = table["wavelength"].value
        flux, error = (np.interp(wave, own, table[key].value) for key in ("flux", "flux_error"))
        weight = np.where(np.isfinite(flux) & (error > 0), 1 / error**2, 0.0)
        top, bottom = top + weight * np.nan_to_num(flux), bottom + weight
    return 1 / np.sqrt(np.mean(((top / bottom - true) / least)[inside] ** 2))
