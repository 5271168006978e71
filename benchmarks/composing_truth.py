"""Sums of light and detector noise fitted together, against what was put in.

Frames of a star, a sky of wavelength and noise of the detector, with white noise and masked pixels.
Two kinds of noise: Fourier terms of each row, drawn from the prior that they are fitted with; and
noise that is correlated in readout time, pieces of longer series whose spectrum is a power law.
Beside the joint fits stands the best sequence of steps: the noise cleaned first with the star
masked, then one fit of star and sky.
"""

import numpy as np

import specmodels as sm
from tests.combined_scenes import fourier_stripes

KINDS = "Fourier", "correlated"
SHAPES = (32, 2048), (64, 512)
FRAMES, FRAMES_IN_STEPS = {"Fourier": 400, "correlated": 100}, 25
SIGMA, STDDEV, BINNED, HARMONICS = 2.0, 1.6, 20, 6
STRENGTH, OFFSET = 0.5, 1.0  # of the Fourier terms
AMPLITUDE, EXPONENT = 0.15 * SIGMA**2, 1.0  # of the correlated noise
SQUARES = "square", "square of sums"
SERIES = 4  # times the length of the frame, from which it is cut
KNOT = 4.0  # pixels between breakpoints of the sky


def run(*, quick=False):
    """One row for each kind of noise and shape of frame."""
    rows = []
    for kind in KINDS:
        for shape in SHAPES:
            found = [figures(kind, shape, seed) for seed in range(4 if quick else FRAMES[kind])]
            rows.append(row(kind, shape, found))
    return rows


def row(kind, shape, found):
    """Means over frames, and their errors."""
    mean = {key: np.mean([one[key] for one in found], axis=0) for key in found[0] if key != "steps"}
    error = {key: np.std([one[key] for one in found], axis=0, ddof=1) / len(found) ** 0.5
             for key in found[0] if key != "steps"}  # fmt: skip
    pull, summed = mean["pull"] ** 0.5, mean["summed"] ** 0.5
    both = [(one, one["steps"]) for one in found if one["steps"] is not None]
    joint, steps = ({key: np.mean([pair[k][key] for pair in both]) for key in ("pull", *SQUARES)}
                    for k in (0, 1))  # fmt: skip
    return {
        "noise": kind, "frame": f"{shape[0]} × {shape[1]}", "frames": len(found),
        "pull": pull, "±": error["pull"] / (2 * pull),
        "pull of sums": summed, "± ": error["summed"] / (2 * summed),
        "error of sums / from the diagonal": mean["ratio"],
        "chi2/dof": mean["chi2"], "±  ": error["chi2"],
        "strength learnt / true": mean["strength"], "slope learnt": mean["slope"],
        "variance / of steps": joint["square"] / steps["square"],
        "of sums": joint["square of sums"] / steps["square of sums"],
        "pull of steps": steps["pull"] ** 0.5,
    }  # fmt: skip


def figures(kind, shape, seed):
    """What one frame says."""
    image, flux = _frame(kind, shape, seed)
    fit = sm.LinearFitter()(_light(shape) + _noise(kind, shape), image)
    strength, slope = ([*fit.strengths.values(), np.nan])[:2]
    strength /= STRENGTH if kind == "Fourier" else AMPLITUDE
    steps = None
    if seed < FRAMES_IN_STEPS:
        steps = _pulls(_in_steps(kind, image, shape), flux)
    return _pulls(fit, flux) | {"strength": strength, "slope": slope, "steps": steps}


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
        "square": np.mean(left**2), "square of sums": np.mean(sums**2),
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
    if kind == "Fourier":
        noise = fourier_stripes(rng, shape, HARMONICS, STRENGTH, OFFSET)
    else:
        noise = _series(rng, shape, readout)
    white = rng.normal(0, SIGMA, shape)
    image = sm.SpectralImage(
        light + noise + white, variance=np.full(shape, SIGMA**2), mask=rng.random(shape) < 0.03,
        wavelength=wavelength, readout=readout,
    )  # fmt: skip
    return image, flux


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
