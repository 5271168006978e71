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
from .source_light_kernels import block_sums, gaussians, parts_of_pixels, step_sums

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
    overlaps: "_Overlaps"

    def total(self, own):
        """Sum of what the sources have in each pixel."""
        return np.bincount(self.place, own, len(self.data))


class _Overlaps(NamedTuple):
    """Pairs of entries of one pixel, and in which block of pairs of sources each of them is."""

    pairs: np.ndarray
    block: np.ndarray
    sources: np.ndarray

    @classmethod
    def of(cls, prints, place):
        """Pairs of the entries of footprints that lie at the same place, shape (n_entry,)."""
        order = np.argsort(place, kind="stable")
        ranked, pairs, lag = place[order], [np.zeros((0, 2), np.int64)], 1
        while (same := np.flatnonzero(ranked[lag:] == ranked[:-lag])).size:
            pairs.append(np.stack([order[same], order[same + lag]], axis=1))
            lag += 1
        pairs = np.concatenate(pairs)
        one, other = prints.source[pairs].T
        keys, block = np.unique(one * prints.n_source + other, return_inverse=True)
        return cls(pairs, block + prints.n_source, np.stack(np.divmod(keys, prints.n_source)))

    def matrix(self, sums, n_source):
        """Sparse symmetric matrix of blocks: of sources first, then of pairs of them."""
        own, (one, other) = np.arange(n_source), self.sources
        rows, columns = np.concatenate([own, one, other]), np.concatenate([own, other, one])
        blocks = np.concatenate([sums, sums[n_source:].transpose(0, 2, 1)])
        order = np.lexsort((columns, rows))
        pointer = np.searchsorted(rows[order], np.arange(n_source + 1))
        size = n_source * sums.shape[1]
        return sparse.bsr_array((blocks[order], columns[order], pointer), shape=(size, size))


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

    def within_pixels(self, n):
        """Light of the sources in equal parts of their pixels, which average to that of the pixel.

        Parameters
        ----------
        n : int
            Parts along each axis.

        Returns
        -------
        ndarray, shape (n_entry, n, n)
            By row and column within the pixel.
        """
        prints, (inverses, root) = self.prints, _inverses(self.ellipses, PIXEL / n**2)
        out = parts_of_pixels(prints.rows, prints.columns, prints.start, self.ellipses, inverses,
                              self.flux / (2 * np.pi * root), n)  # fmt: skip
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
    problem = _Problem(prints, place, data, weights, _Overlaps.of(prints, place))
    light = np.where(prints.inside & (weights[place] > 0), np.maximum(data[place], 0.0), 0.0)
    start, level = _moments(prints, light)
    # The start is a compact source: wide wings come up only where the data ask for them.
    flux = np.maximum(level, 1e-300)[:, None] * WIDTHS**START_POWER / np.sum(WIDTHS**START_POWER)
    ellipses, values = start, _gaussians(prints, start)
    for _ in range(N_ROUNDS):
        flux = _fluxes(problem, values, flux, N_UPDATES)
        for _ in range(N_STEPS):
            ellipses, flux = _step(problem, start, ellipses, values, flux)
            values = _gaussians(prints, ellipses)
    flux = _fluxes(problem, values, flux, N_LAST_UPDATES)
    own = np.einsum("ek,ek->e", values, flux[prints.source])
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
    return np.stack([yy, xx, -xy]) / determinant, np.sqrt(determinant)


def _gaussians(prints, ellipses):
    """Gaussians of unit flux seen by pixels, shape (n_entry, n_width)."""
    inverses, root = _inverses(ellipses, PIXEL)
    return gaussians(prints.rows, prints.columns, prints.start, ellipses, inverses,
                     1 / (2 * np.pi * root))  # fmt: skip


def _fluxes(problem, values, flux, n_updates):
    """Fluxes of all Gaussians, whose values are given, after some multiplicative updates."""
    prints, overlaps = problem.prints, problem.overlaps
    weights = problem.weights[problem.place]
    light = values * (weights * problem.data[problem.place])[:, None]
    wanted = np.stack([np.bincount(prints.source, own, prints.n_source) for own in light.T], axis=1)
    wanted = np.maximum(wanted, 0.0).ravel()
    sums = block_sums(values, weights, prints.start, overlaps.pairs, overlaps.block,
                      prints.n_source + overlaps.sources.shape[1])  # fmt: skip
    normal, flux = overlaps.matrix(sums, prints.n_source), flux.ravel()
    for _ in range(n_updates):
        found = normal @ flux
        flux = flux * np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
    return flux.reshape(prints.n_source, len(WIDTHS))


def _step(problem, start, ellipses, values, flux):
    """Ellipses and fluxes after a step of each source towards what all others leave."""
    prints, place = problem.prints, problem.place
    size = np.sqrt(start[2] + start[3])
    shapes = LOOSE_SHAPE * np.stack([start[2], start[3], np.sqrt(start[2] * start[3])])
    scale = np.concatenate([np.stack([LOOSE_CENTER * size, LOOSE_CENTER * size]), shapes])
    own = np.einsum("ek,ek->e", values, flux[prints.source])
    residual = (problem.data - problem.total(own))[place]
    inverses, root = _inverses(ellipses, PIXEL)
    matrix, gradient = step_sums(
        prints.rows, prints.columns, prints.start, ellipses, inverses, flux / (2 * np.pi * root),
        WIDTHS, problem.weights[place], residual, scale,
    )  # fmt: skip
    gradient[:, :5] -= ((ellipses - start) / scale).T
    diagonal = np.arange(6)
    matrix[:, diagonal[:5], diagonal[:5]] += 1.0
    matrix[:, diagonal, diagonal] *= 1 + DAMPING
    matrix[:, 5, 5] = np.maximum(matrix[:, 5, 5], 1e-30)
    step = np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    step = PART * np.clip(step, -LARGEST_STEP, LARGEST_STEP)
    return _possible(ellipses + step[:, :5].T * scale), flux * (1 + step[:, 5:])
