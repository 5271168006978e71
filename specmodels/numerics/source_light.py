"""How the light of overlapping sources is shared out, continued, and spread within pixels.

Each source is a sum of Gaussians of common centre and ellipse and graded widths (a multi-Gaussian
expansion, Emsellem et al. 1994), with fluxes that cannot be negative. All fluxes are fitted at
once, by multiplicative updates (Lee & Seung 2001), so that what one source leaves is open to its
neighbours; in turn with them centres and ellipses, by damped Gauss-Newton steps, so that segments
which cut each other off do not rule the shapes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from .footprints import Footprints

__all__ = ["SourceLight", "shared_light"]

WIDTHS = np.array([0.6, 1.0, 1.6, 2.5, 4.0])  # of the Gaussians, in units of the source's ellipse
PIXEL = 1 / 12  # variance of a pixel: Gaussians seen by pixels are wider by as much
SMALLEST_VARIANCE = 0.1  # of an ellipse along an axis, in square pixels: a PSF cannot be narrower
MODEL_ERROR = 0.1  # relative, so that bright cores do not rule the fit of the wings
START_POWER = -2.0  # of the width, for the fluxes at the start: compact
N_ROUNDS, N_STEPS, N_UPDATES, N_LAST_UPDATES = 2, 2, 40, 200
LOOSE_CENTER, LOOSE_SHAPE = 0.5, 0.7  # how far ellipses may move, in units of their size
DAMPING, LARGEST_STEP, PART = 0.1, 0.3, 0.8


class _Problem(NamedTuple):
    """Pixels with data and weights, and to which of them each entry of the footprints belongs."""

    prints: Footprints
    place: np.ndarray
    data: np.ndarray
    weights: np.ndarray

    def total(self, own):
        """Sum of what the sources have in each pixel."""
        return np.bincount(self.place, own, len(self.data))


@dataclass(frozen=True, eq=False)
class SourceLight:
    """Smooth model of the light of all sources.

    Attributes
    ----------
    prints : Footprints
    ellipses : ndarray, shape (5, n_source)
        Centre in x and y, variance along x and along y, covariance.
    flux : ndarray, shape (n_source, n_width)
        Of the Gaussian of each width.
    own, total : ndarray, shape (n_entry,)
        Light of the source, and of all sources together, in each entry of the footprints.
    """

    prints: Footprints
    ellipses: np.ndarray
    flux: np.ndarray
    own: np.ndarray
    total: np.ndarray

    def of(self, keep):
        """The entries for which `keep` is True."""
        return SourceLight(self.prints.of(keep), self.ellipses, self.flux, self.own[keep],
                           self.total[keep])  # fmt: skip

    def within_pixels(self, offsets):
        """Light of the sources in equal parts of their pixels, which average to that of the pixel.

        Parameters
        ----------
        offsets : ndarray, shape (n,)
            Centres of the parts, relative to that of the pixel.

        Returns
        -------
        ndarray, shape (n_entry, n, n)
            By row and column within the pixel.
        """
        n = len(offsets)
        out = np.empty((len(self.own), n, n))
        for i in range(n):
            for j in range(n):
                parts = _gaussians(self.prints, self.ellipses, (offsets[j], offsets[i]),
                                   PIXEL / n**2)  # fmt: skip
                out[:, i, j] = np.einsum("ek,ek->e", parts, self.flux[self.prints.source])
        mean = out.mean(axis=(1, 2))
        ratio = np.divide(self.own, mean, out=np.zeros_like(mean), where=mean > 0)
        out *= ratio[:, None, None]
        out[mean == 0] = self.own[mean == 0, None, None]
        return out


def shared_light(image, error, prints, mask=None):
    """Smooth model of the light of each source, in each entry of the footprints.

    Parameters
    ----------
    image, error : ndarray, shape (n_y, n_x)
        Finite; errors positive.
    prints : Footprints
    mask : ndarray of bool, shape (n_y, n_x), optional
        Pixels to leave out of the fit; the model is given there, too.

    Returns
    -------
    SourceLight
    """
    flat = prints.rows * image.shape[1] + prints.columns
    pixels, place = np.unique(flat, return_inverse=True)
    data, sigma = image.ravel()[pixels], error.ravel()[pixels]
    weights = 1 / (sigma**2 + (MODEL_ERROR * np.maximum(data, 0)) ** 2)
    if mask is not None:
        weights = np.where(mask.ravel()[pixels], 0.0, weights)
    problem = _Problem(prints, place, data, weights)
    light = np.where(prints.inside & (weights[place] > 0), np.maximum(data[place], 0.0), 0.0)
    start, level = _moments(prints, light)
    # The start is a compact source: wide wings come up only where the data ask for them.
    flux = np.maximum(level, 1e-300)[:, None] * WIDTHS**START_POWER / np.sum(WIDTHS**START_POWER)
    ellipses = start
    for _ in range(N_ROUNDS):
        flux = _fluxes(problem, ellipses, flux, N_UPDATES)
        for _ in range(N_STEPS):
            ellipses, flux = _step(problem, start, ellipses, flux)
    flux = _fluxes(problem, ellipses, flux, N_LAST_UPDATES)
    own = np.einsum("ek,ek->e", _gaussians(prints, ellipses), flux[prints.source])
    return SourceLight(prints, ellipses, flux, own, problem.total(own)[place])


def _moments(prints, light):
    """Ellipses and light of the segments, shapes (5, n_source) and (n_source,)."""

    def mean(values):
        return np.bincount(prints.source, light * values, prints.n_source) / total

    total = np.bincount(prints.source, light, prints.n_source)
    # A segment without positive light is given a shape all the same.
    dark = prints.inside & (total[prints.source] <= 0)
    light = np.where(dark, 1e-12, light)
    total = np.bincount(prints.source, light, prints.n_source)
    total = np.where(total > 0, total, 1.0)
    center_x, center_y = mean(prints.columns), mean(prints.rows)
    x = prints.columns - center_x[prints.source]
    y = prints.rows - center_y[prints.source]
    shapes = mean(x * x) - PIXEL, mean(y * y) - PIXEL, mean(x * y)
    return _possible(np.stack([center_x, center_y, *shapes])), total


def _possible(ellipses):
    """Ellipses with variances that are large enough and a covariance that goes with them."""
    x, y, xx, yy, xy = ellipses
    xx, yy = np.maximum(xx, SMALLEST_VARIANCE), np.maximum(yy, SMALLEST_VARIANCE)
    limit = 0.9 * np.sqrt(xx * yy)
    return np.stack([x, y, xx, yy, np.clip(xy, -limit, limit)])


def _inverses(ellipses, pixel):
    """Inverse of the covariance of each Gaussian, (xx, yy, xy), and root of the determinant."""
    squared = WIDTHS**2
    xx = ellipses[2][:, None] * squared + pixel
    yy = ellipses[3][:, None] * squared + pixel
    xy = ellipses[4][:, None] * squared
    determinant = xx * yy - xy**2
    return (yy / determinant, xx / determinant, -xy / determinant), np.sqrt(determinant)


def _distances(prints, ellipses, inverse, offset):
    """Distance from the centre times the inverse covariance, and times it again."""
    source = prints.source
    x = (prints.columns + offset[0] - ellipses[0][source])[:, None]
    y = (prints.rows + offset[1] - ellipses[1][source])[:, None]
    xx, yy, xy = (part[source] for part in inverse)
    along_x, along_y = xx * x + xy * y, xy * x + yy * y
    return along_x, along_y, along_x * x + along_y * y


def _gaussians(prints, ellipses, offset=(0.0, 0.0), pixel=PIXEL):
    """Gaussians of unit flux seen by pixels, or by parts of pixels, shape (n_entry, n_width)."""
    inverse, root = _inverses(ellipses, pixel)
    *_, squared = _distances(prints, ellipses, inverse, offset)
    return np.exp(-0.5 * squared) / (2 * np.pi * root)[prints.source]


def _fluxes(problem, ellipses, flux, n_updates):
    """Fluxes of all Gaussians after some multiplicative updates."""
    prints, n_width = problem.prints, len(WIDTHS)
    columns = (prints.source[:, None] * n_width + np.arange(n_width)).ravel()
    values = _gaussians(prints, ellipses).ravel()
    matrix = sparse.csr_array((values, (np.repeat(problem.place, n_width), columns)),
                              shape=(len(problem.data), flux.size))  # fmt: skip
    weighted = (matrix.T * problem.weights).tocsr()
    wanted = np.maximum(weighted @ problem.data, 0.0)
    normal = weighted @ matrix  # of few Gaussians that overlap, where the images have many pixels
    flux = flux.ravel()
    for _ in range(n_updates):
        found = normal @ flux
        flux = flux * np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
    return flux.reshape(prints.n_source, n_width)


def _step(problem, start, ellipses, flux):
    """Ellipses and fluxes after a step of each source towards what all others leave."""
    prints, source = problem.prints, problem.prints.source
    size = np.sqrt(start[2] + start[3])
    shapes = LOOSE_SHAPE * np.stack([start[2], start[3], np.sqrt(start[2] * start[3])])
    scale = np.concatenate([np.stack([LOOSE_CENTER * size, LOOSE_CENTER * size]), shapes])
    own, slopes = _derivatives(prints, ellipses, flux)
    slopes = np.concatenate([slopes * scale[:, source], own[None]])
    weights = problem.weights[problem.place]
    residual = weights * (problem.data - problem.total(own))[problem.place]
    n = len(slopes)
    matrix, gradient = np.zeros((prints.n_source, n, n)), np.zeros((prints.n_source, n))
    for i in range(n):
        gradient[:, i] = np.bincount(source, slopes[i] * residual, prints.n_source)
        for j in range(i, n):
            value = np.bincount(source, slopes[i] * slopes[j] * weights, prints.n_source)
            matrix[:, i, j] = matrix[:, j, i] = value
    gradient[:, :5] -= ((ellipses - start) / scale).T
    diagonal = np.arange(n)
    matrix[:, diagonal[:5], diagonal[:5]] += 1.0
    matrix[:, diagonal, diagonal] *= 1 + DAMPING
    matrix[:, 5, 5] = np.maximum(matrix[:, 5, 5], 1e-30)
    step = np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    step = PART * np.clip(step, -LARGEST_STEP, LARGEST_STEP)
    return _possible(ellipses + step[:, :5].T * scale), flux * (1 + step[:, 5:])


def _derivatives(prints, ellipses, flux):
    """Light of the sources in each entry, and its derivatives by their ellipses, (5, n_entry)."""
    inverse, root = _inverses(ellipses, PIXEL)
    x, y, squared = _distances(prints, ellipses, inverse, (0.0, 0.0))
    source = prints.source
    light = np.exp(-0.5 * squared) * (flux / (2 * np.pi * root))[source]
    xx, yy, xy = (part[source] for part in inverse)
    wide = light * WIDTHS**2
    slopes = (light * x, light * y, 0.5 * wide * (x * x - xx), 0.5 * wide * (y * y - yy),
              wide * (x * y - xy))  # fmt: skip
    return light.sum(axis=1), np.stack([slope.sum(axis=1) for slope in slopes])
