"""Simulated slits with their truth, and the figures of merit of an extraction.

The scenes and the judge next to the repository are used where they are present; elsewhere those of
`specmodels.datasets`, which are alike but smaller in what they offer.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import specmodels as sm

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "tools"
HAVE_SCENES = (TOOLS / "scenes.py").exists()
SHAPE = (60, 2048)


@dataclass(frozen=True, eq=False)
class Slit:
    """A simulated slit: the image, and the truth behind it.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
        What is to be extracted.
    flux, error, trace : ndarray, shape (n_source, n_column)
        True flux of each source, the smallest possible standard error of it, and the true trace.
    profiles : ndarray, shape (n_source, n_row, n_column)
        True profiles.
    """

    image: object
    flux: np.ndarray
    error: np.ndarray
    trace: np.ndarray
    profiles: np.ndarray

    @property
    def n_sources(self):
        """Number of sources."""
        return len(self.flux)

    def plain(self):
        """Arrays of data and variance (NaN where bad), and of good pixels, as peers want them."""
        good = ~self.image.mask
        data, variance = self.image.data, self.image.variance
        return *(np.where(good, a, np.nan).astype(float) for a in (data, variance)), good

    def judged(self, flux, error):
        """Figures of merit of each source, a list of dictionaries; see the judge's docstring."""
        truth = {"flux": self.flux[: len(flux)], "crlb": self.error[: len(flux)]}
        extraction = shared("judge").extraction if HAVE_SCENES else _figures
        return extraction(SimpleNamespace(truth=truth), flux, error)


def make_slit(seed, *, n_sources=1, snr=30.0, straight=False, flagged=False, noisy=False,
              shape=SHAPE):  # fmt: skip
    """Simulate a slit.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    n_sources : int
        Number of blended sources.
    snr : float
        Signal-to-noise ratio of the brightest pixel of the first source, in the median column.
    straight : bool
        Whether the trace runs along a row.
    flagged : bool
        Whether cosmic rays are flagged, or for the extraction to find.
    noisy : bool
        Whether Poisson variances are computed from the noisy data, as pipelines do.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    Slit
    """
    make = _from_scenes if HAVE_SCENES else _from_datasets
    slit = make(seed, n_sources, snr, straight, flagged, shape)
    return _with_noisy_variance(slit) if noisy else slit


def _from_scenes(seed, n_sources, snr, straight, flagged, shape):
    bend = {"tilt": 0.0, "curvature": 0.0} if straight else {}
    scene = shared("scenes").slit_scene(
        seed, n_sources=n_sources, snr=snr, flag_hits=flagged, shape=shape, **bend
    )
    truth = scene.truth
    return Slit(sm.read(scene.model).single, truth["flux"], truth["crlb"], truth["trace"],
                truth["profiles"])  # fmt: skip


def _from_datasets(seed, n_sources, snr, straight, flagged, shape):
    curvature = 0.0 if straight else 3.0
    image, truth = sm.datasets.make_slit(
        seed=seed, n_sources=n_sources, snr=snr, curvature=curvature, shape=shape
    )
    if flagged:
        image = image.replace(mask=image.mask | truth.hits)
    return Slit(image, truth.flux, truth.smallest_error, truth.trace, truth.profiles)


def _with_noisy_variance(slit):
    image = slit.image
    components = {**image.components, "poisson": np.maximum(image.data, 0.0)}
    noisy = image.replace(variance=None, components=components)
    return Slit(noisy, slit.flux, slit.error, slit.trace, slit.profiles)


def shared(name):
    """Import one of the shared tools by its name."""
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return __import__(name)


def _figures(scene, flux, error):
    """Figures of merit, as the judge next to the repository defines them."""
    out = []
    for true, smallest, found, quoted in zip(
        scene.truth["flux"], scene.truth["crlb"], flux, error, strict=True
    ):
        good = np.isfinite(found) & np.isfinite(smallest)
        wrong = (found - true)[good]
        pull, relative = wrong / quoted[good], wrong / smallest[good]
        out.append({
            "bias": np.median(relative), "flux_ratio": np.median(found[good] / true[good]),
            "pull": _robust_width(pull), "pull_rms": np.sqrt(np.mean(pull**2)),
            "efficiency": 1 / _robust_width(relative),
            "outliers": np.mean(np.abs(relative) > 5), "lost": 1 - good.mean(),
        })  # fmt: skip
    return out


def _robust_width(values):
    values = values[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))
