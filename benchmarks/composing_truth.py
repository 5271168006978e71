"""Sums of light and detector noise fitted together, against what was put in.

Frames of a star, a sky of wavelength and noise of the detector, with white noise and masked pixels.
Two kinds of noise: Fourier terms of each row, drawn from the prior that they are fitted with; and
noise that is correlated in readout time, pieces of longer series whose spectrum is a power law.
Beside the joint fits stands the best sequence of steps: the noise cleaned first with the star
masked, then one fit of star and sky.
"""

import numpy as np

import specmodels as sm

SHAPES = (32, 2048), (64, 512)
FRAMES = {"Fourier": 400, "correlated": 100}
SIGMA, STDDEV, BINNED, HARMONICS = 2.0, 1.6, 20, 6
STRENGTH, OFFSET = 0.5, 1.0  # of the Fourier terms
AMPLITUDE, EXPONENT = 0.15 * SIGMA**2, 1.0  # of the correlated noise
SERIES = 4  # times the length of the frame, from which it is cut
KNOT = 2.0  # pixels between breakpoints of the sky


def run(*, quick=False):
    """One row for each kind of noise and shape of frame."""
    rows = []
    for kind, frames in FRAMES.items():
        for shape in SHAPES:
            frames_here = 4 if quick else frames
            found = [_figures(kind, shape, seed) for seed in range(frames_here)]
            rows.append(_row(kind, shape, found))
    return rows


def _row(kind, shape, found):
    mean = {key: np.mean([one[key] for one in found], axis=0) for key in found[0]}
    error = {key: np.std([one[key] for one in found], axis=0, ddof=1) / len(found) ** 0.5
             for key in found[0]}  # fmt: skip
    pull, summed = mean["pull"] ** 0.5, mean["summed"] ** 0.5
    return {
        "noise": kind, "frame": f"{shape[0]} × {shape[1]}", "frames": len(found),
        "pull": pull, "its error": error["pull"] / (2 * pull),
        "pull of sums": summed, "its error ": error["summed"] / (2 * summed),
        "sums, errors / from the diagonal": mean["ratio"],
        "chi2/dof": mean["chi2"], "its error  ": error["chi2"],
        "strength learnt / true": mean["strength"], "slope learnt": mean.get("slope"),
        "error, joint": mean["joint"] ** 0.5, "error, steps": mean["steps"] ** 0.5,
        "error of sums, joint": mean["joint sums"] ** 0.5,
        "error of sums, steps": mean["steps sums"] ** 0.5,
        "errors of steps / quoted": (mean["steps pull"]) ** 0.5,
    }  # fmt: skip


def _figures(kind, shape, seed):
    """What one frame says."""
    image, flux = _frame(kind, shape, seed)
    fit = sm.LinearFitter()(_light(shape) + _noise(kind, shape), image)
    out = _pulls(fit, flux)
    first = next(iter(fit.strengths.values()))
    out["strength"] = first / (STRENGTH if kind == "Fourier" else AMPLITUDE)
    if kind == "correlated":
        out["slope"] = list(fit.strengths.values())[1]
    steps = _pulls(_in_steps(kind, image, shape), flux)
    return out | {"steps": steps["joint"], "steps sums": steps["joint sums"],
                  "steps pull": steps["pull"]}  # fmt: skip


def _pulls(fit, flux):
    """Mean squares of pulls and of errors, of single fluxes and of sums of columns."""
    left, error = fit["flux_0"] - flux, fit.error("flux_0")
    bins = np.kron(np.eye(len(flux) // BINNED), np.ones(BINNED))
    bins = np.pad(bins, ((0, 0), (0, len(flux) - bins.shape[1])))
    variance = np.diag(fit.covariance_of(*({"flux_0": one} for one in bins)))
    sums = bins @ left
    return {
        "pull": np.mean((left / error) ** 2), "summed": np.mean(sums**2 / variance),
        "ratio": np.mean(np.sqrt(variance / (bins @ error**2))), "chi2": fit.reduced_chi2,
        "joint": np.mean(left**2), "joint sums": np.mean(sums**2),
    }  # fmt: skip


def _center(shape):
    return shape[0] / 2 + 0.3


def _light(shape):
    star = sm.Source(sm.GaussianProfile(stddev=STDDEV), trace_c0=_center(shape), name="star",
                     fixed={"trace_c0": True, "stddev": True})  # fmt: skip
    knots = np.linspace(0.9, 2.1, int(1.2 * shape[1] / KNOT))
    return star + sm.MasterBackgroundSpectrum(knots, name="sky")


def _noise(kind, shape):
    if kind == "correlated":
        return sm.CorrelatedNoise(name="noise")
    noise = sm.FourierNoise(n_harmonics=HARMONICS, period=float(shape[1]), name="noise")
    noise.coefficient_prior = sm.FlickerPrior(offset=OFFSET)
    return noise


def _frame(kind, shape, seed):
    """An image and the true fluxes."""
    rng = np.random.default_rng([seed, *shape])
    y, x = np.arange(shape[0])[:, None], np.arange(shape[1])
    wavelength = 1 + (x + 0.25 * (y - shape[0] / 2)) / shape[1]
    flux = 300 + 100 * np.sin(x / 37)
    light = flux * sm.GaussianProfile(stddev=STDDEV)(y - _center(shape))
    light = light + 40 + 20 * np.cos(2 * np.pi * 6 * wavelength)
    readout = sm.Readout(fast_axis=-1, line_overhead=12)
    noise = _fourier(rng, shape) if kind == "Fourier" else _series(rng, shape, readout)
    white = rng.normal(0, SIGMA, shape)
    image = sm.SpectralImage(
        light + noise + white, variance=np.full(shape, SIGMA**2), mask=rng.random(shape) < 0.03,
        wavelength=wavelength, readout=readout,
    )  # fmt: skip
    return image, flux


def _fourier(rng, shape):
    k = np.arange(1, HARMONICS + 1)[:, None]
    phase = 2 * np.pi * k * np.arange(shape[1]) / shape[1]
    terms = np.concatenate([np.cos(phase), np.sin(phase)])
    spread = np.tile((STRENGTH * k[:, 0]) ** -0.5, 2)
    offsets = rng.normal(0, (OFFSET / STRENGTH) ** 0.5, (shape[0], 1))
    return offsets + rng.normal(0, spread, (shape[0], len(spread))) @ terms


def _series(rng, shape, readout):
    clock = readout.coordinates(shape)["clock"].astype(int)
    size = 2 * (SERIES * (clock.max() + 1) // 2)
    frequency = np.fft.rfftfreq(size)
    frequency[0] = np.inf
    spectrum = np.fft.rfft(rng.normal(size=size)) * np.sqrt(
        AMPLITUDE * (2 * frequency) ** -EXPONENT
    )
    start = size // 2 - clock.max() // 2
    return np.fft.irfft(spectrum, size)[start + clock]


def _in_steps(kind, image, shape):
    """Star and sky fitted after noise was cleaned: of sky alone, with the star masked."""
    far = np.abs(image.y - _center(shape)) > 4 * STDDEV
    masked = image.replace(mask=image.mask | ~far[:, None])
    knots = np.linspace(0.9, 2.1, int(1.2 * shape[1] / KNOT))
    sky = sm.MasterBackgroundSpectrum(knots, name="sky")
    first = sm.LinearFitter()(sky + _noise(kind, shape), masked)
    cleaned = image.replace(data=image.data - first.components()["noise"])
    return sm.LinearFitter()(_light(shape), cleaned)
