"""A small simulated grism field with its truth: `make_slitless`. Nothing is read or fetched."""

from dataclasses import dataclass

import numpy as np

from ..models.scenes.direct_image import DirectImage
from ..models.scenes.grism import Grism
from ..models.scenes.scene import GrismScene
from ..models.spectra import LegendreSpectrum
from ..slitless import Cutout, SlitlessExposure

__all__ = ["SlitlessTruth", "analytic_grism", "make_slitless"]

FIRST, LAST = 1.0, 2.0


def moved(x, y, wavelength, order):
    """Where light falls: a trace 90 pixels long in first order, tilted and a little curved."""
    t = (wavelength - FIRST) / (LAST - FIRST)
    stretch = 1 + 1e-4 * (x - 100) - 5e-5 * (y - 60)
    return (x + order * (20 + 90 * t * stretch + 2 * t**2),
            y + order * (2 * t + 1.5 * t**2) + 1e-3 * (x - 100) * t)  # fmt: skip


def moved_upwards(x, y, wavelength, order):
    """The same, turned by a right angle: an exposure of another orientation."""
    up, right = moved(y, x, wavelength, order)
    return right, up


def analytic_grism(shape=(140, 280), *, orders=(1,), vertical=False):
    """A grism with an analytic transform and a smooth sensitivity.

    Parameters
    ----------
    shape : tuple of int
        Of the detector.
    orders : sequence of int
        The response of order n is that of the first divided by n squared.
    vertical : bool
        Whether light is dispersed along columns.

    Returns
    -------
    `~specmodels.models.scenes.grism.Grism`
    """
    wavelength = np.linspace(FIRST - 0.1, LAST + 0.1, 400)
    t = (wavelength - FIRST) / (LAST - FIRST)
    band = np.clip(np.minimum(t, 1 - t) / 0.05, 0, 1) * (1 + 0.3 * t)
    return Grism(
        moved_upwards if vertical else moved, {order: (FIRST, LAST) for order in orders},
        {order: (wavelength, 300 * band / max(order, 1) ** 2) for order in orders}, shape,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class SlitlessTruth:
    """What was put into a simulated grism field.

    Attributes
    ----------
    direct : `~specmodels.models.scenes.direct_image.DirectImage`
        Without noise, with the segmentation map.
    observed_direct : DirectImage
        With noise.
    grism : `~specmodels.models.scenes.grism.Grism`
    scene : `~specmodels.models.scenes.scene.GrismScene`
        Of the noiseless direct image, with the true coefficients.
    """

    direct: DirectImage
    observed_direct: DirectImage
    grism: Grism
    scene: GrismScene

    @property
    def image(self):
        """The grism image without noise."""
        return self.scene.simulated_image

    def contamination(self, cutout):
        """True light of all other sources in a cutout."""
        return self.image[cutout.window] - self.scene.image(cutout.key, cutout.window)


def make_slitless(*, seed=0, rng=None, n_sources=10, shape=(140, 280), field=(140, 160), noise=0.1,
                  direct_noise=0.01, spectrum=None, scatter=0.3, grism=None):  # fmt: skip
    """Simulate a grism image of Gaussian galaxies, with cutouts and the direct image.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    n_sources : int
        Number of sources.
    shape, field : tuple of int
        Shape of the detector, and of the part of the direct image that holds sources.
    noise, direct_noise : float
        Standard deviation of the pixels of the grism image and the direct image.
    spectrum : SourceSpectrum, optional
        Family of the spectra; default: Legendre series of degree three.
    scatter : float
        Standard deviation of the coefficients around the flat spectrum.
    grism : Grism, optional
        Default: `analytic_grism`.

    Returns
    -------
    exposure : `~specmodels.slitless.SlitlessExposure`
    truth : SlitlessTruth
    """
    rng = np.random.default_rng(seed if rng is None else rng)
    grism = analytic_grism(shape) if grism is None else grism
    light, labels = _field(rng, n_sources, grism.shape, field, direct_noise)
    direct = DirectImage(light, labels, error=direct_noise)
    spectrum = LegendreSpectrum(3) if spectrum is None else spectrum
    scene = GrismScene.from_direct_image(direct, grism=grism, spectrum=spectrum)
    spread = scatter * rng.normal(size=len(scene.coefficients))
    scene = scene.with_coefficients(scene.coefficients + spread)
    data = scene.simulated_image + noise * rng.normal(size=grism.shape)
    cutouts = [Cutout(*entry.key, _window(scene, entry.key)) for entry in scene.entries]
    exposure = SlitlessExposure(data, np.full(grism.shape, noise**2), cutouts=tuple(cutouts))
    observed = light + direct_noise * rng.normal(size=grism.shape)
    return exposure, SlitlessTruth(direct, DirectImage(observed, labels, error=direct_noise), grism,
                                   scene)  # fmt: skip


def _field(rng, n_sources, shape, field, direct_noise):
    """Light of Gaussian galaxies, and the segments in which each is the brightest."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    low = 12 * np.ones(2)
    centers = low + rng.uniform(size=(n_sources, 2)) * (np.minimum(field, shape) - 2 * low)
    widths, peaks = rng.uniform(0.9, 2.2, n_sources), 10 ** rng.uniform(-0.5, 0.7, n_sources)
    each = np.stack([p * np.exp(-0.5 * ((y - cy) ** 2 + (x - cx) ** 2) / w**2)
                     for (cy, cx), w, p in zip(centers, widths, peaks, strict=True)])  # fmt: skip
    brightest = each.argmax(axis=0)
    labels = np.where(each.max(axis=0) > 3 * direct_noise, brightest + 1, 0)
    return each.sum(axis=0), labels


def _window(scene, key):
    """Rows and columns that hold nearly all light of a source."""
    image = scene.image(key)
    rows = np.flatnonzero(np.any(np.abs(image) > 1e-3 * np.abs(image).max(), axis=1))
    columns = np.flatnonzero(np.any(np.abs(image) > 1e-3 * np.abs(image).max(), axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
