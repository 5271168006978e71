"""Simulated slitlets that share one sky, with its truth: `make_slitlets`."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from scipy.special import erf

from ..exposure import Exposure
from ..models import BarShadow, GaussianProfile
from ..spectral_image import SpectralImage

__all__ = ["SlitletTruth", "make_slitlets"]

UNIT = u.MJy / u.sr


@dataclass(frozen=True, eq=False)
class SlitletTruth:
    """What was put into simulated slitlets.

    Attributes
    ----------
    backgrounds, sources : dict of str to ndarray
        Light of the sky and of the sources in each pixel.
    throughputs : dict of str to ndarray
        What fraction of the sky each pixel sees, without the grey factor.
    levels : dict of str to float
        Grey factors.
    sky : callable
        ``sky(wavelength)``: the sky as the pixels see it.
    """

    backgrounds: dict
    sources: dict
    throughputs: dict
    levels: dict
    sky: object


def make_slitlets(
    *, seed=0, rng=None, n_background=5, n_science=3, shape=(17, 256), snr=20.0, contaminated=0,
    level_scatter=0.01, n_lines=8, tilt=0.15, hit_fraction=0.002, bad_fraction=0.003,
):  # fmt: skip
    """Simulate micro-shutter slitlets: one sky with narrow lines, bars across, tilted.

    The sky is as bright as `snr` says; shutters are five pixels high. Background slitlets are
    called ``BKG_1``, …, and have no source, but the first `contaminated` of them.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    n_background, n_science : int
        Number of slitlets of each kind.
    shape : tuple of int
        Rows and columns of each.
    snr : float
        Signal-to-noise ratio of the sky in a pixel.
    contaminated : int
        Number of background slitlets with a faint source.
    level_scatter : float
        Standard deviation of the grey factors.
    n_lines : int
        Lines of the sky, narrower than two pixels.
    tilt : float
        Pixels along the dispersion by which a line moves from one row to the next.
    hit_fraction, bad_fraction : float
        Fractions of pixels with unflagged cosmic rays, and of flagged bad pixels.

    Returns
    -------
    exposure : `~specmodels.Exposure`
        With variances, masks, wavelengths in micron and positions along the slit in shutters.
    truth : SlitletTruth
        What was put in.
    """
    rng = np.random.default_rng(seed if rng is None else rng)
    sky = _Sky(rng, n_lines, 4.0 / shape[1])
    names = [f"BKG_{k + 1}" for k in range(n_background)]
    names += [f"target_{k + 1}" for k in range(n_science)]
    images, parts = [], {}
    for number, name in enumerate(names):
        is_background = number < n_background
        strength = 10 ** rng.uniform(-0.5, 1.0)
        if is_background:
            strength = 0.4 if number < contaminated else 0.0
        image, parts[name] = _slitlet(name, sky, rng, shape, tilt, snr, level_scatter, strength,
                                      (hit_fraction, bad_fraction))  # fmt: skip
        images.append(image)
    backgrounds, sources, throughputs, levels = (
        {name: part[k] for name, part in parts.items()} for k in range(4)
    )
    return Exposure(images), SlitletTruth(backgrounds, sources, throughputs, levels, sky)


class _Sky:
    """A sloping continuum with narrow lines, averaged over pixels, in MJy/sr."""

    def __init__(self, rng, n_lines, step):
        self.step, self.width = step, 0.7 * step
        self.centers = np.sort(rng.uniform(1.1, 4.9, n_lines))
        self.strengths = rng.uniform(0.3, 1.0, n_lines)

    def __call__(self, wavelength):
        wavelength = np.asarray(wavelength, dtype=float)
        lines = 1.0
        for center, strength in zip(self.centers, self.strengths, strict=True):
            z = (wavelength - center) / (np.sqrt(2) * self.width)
            half = self.step / (2 * np.sqrt(2) * self.width)
            lines = lines + strength * (erf(z + half) - erf(z - half))
        return 0.12 * (wavelength / 2) ** -0.8 * lines


def _slitlet(name, sky, rng, shape, tilt, snr, level_scatter, strength, fractions):
    """One slitlet, and its background, source, throughput and level."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    wavelength = 1.0 + sky.step * (x + tilt * (y - shape[0] / 2) + rng.uniform(-0.5, 0.5))
    position = (y - (shape[0] - 1) / 2 - rng.uniform(-1, 1)) / 5.0
    throughput = BarShadow(3, center=0.0, height=0.9, sigma=0.12)(position)
    level = 1 + level_scatter * rng.normal()
    background = level * throughput * sky(wavelength)
    profile = GaussianProfile().evaluate(y, shape[0] / 2 + rng.uniform(-1.5, 1.5), 1.0)
    source = strength * (1 + 0.4 * np.sin(3 * wavelength)) * profile
    read, gain = _noise(snr, 0.08)
    variance = read**2 + (background + source) / gain
    data = background + source + np.sqrt(variance) * rng.normal(size=shape)
    hits = rng.random(shape) < fractions[0]
    data += np.where(hits, 20 * read * (1 + rng.pareto(1.5, shape)), 0)
    bad = rng.random(shape) < fractions[1]
    image = SpectralImage(
        np.where(bad, np.nan, data), mask=bad, wavelength=wavelength, wavelength_unit=u.um,
        components={"read": np.full(shape, read**2), "poisson": (background + source) / gain},
        spatial=position, unit=UNIT, name=name,
    )  # fmt: skip
    return image, (background, source, throughput, level)


def _noise(snr, level, electrons=6.0):
    """Read noise and electrons per unit for which a sky of this level has this ratio."""
    counts = 0.5 * (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * electrons**2))
    return electrons * level / counts, counts / level
