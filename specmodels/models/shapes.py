"""Shapes of sources on the direct image: which squares of light are dispersed for each of them.

Strategies, which take a `DirectImage` and return the squares: `SegmentShapes` is the plain one,
`GrownShapes` the one that comes close to the light there is.
"""

from abc import ABC, abstractmethod

import numpy as np

from ..numerics.dispersal import Squares
from ..numerics.rendering import subpixel_centres, subpixel_means
from ..numerics.source_light import footprints, shared_light

__all__ = ["GrownShapes", "SegmentShapes", "SourceShapes"]


class SourceShapes(ABC):
    """Base of strategies. A subclass must define ``__call__``."""

    @abstractmethod
    def __call__(self, direct):
        """Labels of the sources, shape (n_source,), and their light.

        Parameters
        ----------
        direct : `~specmodels.models.direct_image.DirectImage`

        Returns
        -------
        labels : ndarray of int, shape (n_source,)
        squares : `~specmodels.numerics.dispersal.Squares`
        """

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({settings})"


class SegmentShapes(SourceShapes):
    """The pixels of each segment, as squares of even light; masked ones are left out.

    Nothing is assumed, but light outside the segment is lost, compact sources become wider, and a
    pixel that several sources share is given to one.
    """

    def __call__(self, direct):
        labels, prints = footprints(direct.segmentation, 0)
        prints = prints.of(prints.inside & ~direct.mask[prints.rows, prints.columns])
        light = direct.data[:, prints.rows, prints.columns]
        return labels, _squares(prints, light[:, :, None, None])


class GrownShapes(SourceShapes):
    r"""Light shared with neighbours, continued beyond the segment, and interpolated within pixels.

    A smooth model of all sources (see `~specmodels.numerics.source_light`) tells which share of
    each pixel is whose. Where the model stands far above the noise, the shares of the data are
    dispersed, where it does not, the model; in between their mean with weights by
    :math:`(f S)^2` against :math:`\sigma^2`, for a model S that is good to a fraction f.

    Parameters
    ----------
    grow : int
        Pixels by which the box of a segment grows to each side.
    subpixels : int
        Parts of a pixel along each axis.
    accuracy : float
        Fraction f to which the smooth model is trusted.
    keep : float
        Pixels outside the segment are kept where the model is above this many standard deviations.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, grow=8, subpixels=2, accuracy=0.3, keep=0.02):
        if grow < 0 or int(grow) != grow or subpixels < 1 or int(subpixels) != subpixels:
            raise ValueError(
                "grow, subpixels: expected whole numbers of at least zero and one, got "
                f"{grow!r}, {subpixels!r}"
            )
        if not (accuracy > 0 and keep >= 0):
            raise ValueError(
                f"accuracy, keep: expected a positive number and none below zero, got "
                f"{accuracy!r}, {keep!r}"
            )
        self.grow, self.subpixels = int(grow), int(subpixels)
        self.accuracy, self.keep = float(accuracy), float(keep)

    def __call__(self, direct):
        labels, prints = footprints(direct.segmentation, self.grow)
        mean = direct.mean
        own, total = shared_light(mean, direct.error, prints, direct.mask)
        sigma = direct.error[prints.rows, prints.columns]
        kept = prints.inside | (own > self.keep * sigma)
        prints, own, total, sigma = prints.of(kept), own[kept], total[kept], sigma[kept]
        share = np.divide(own, total, out=prints.inside.astype(float), where=total > 0)
        trust = (self.accuracy * own) ** 2
        weight = trust / (trust + sigma**2)
        weight[direct.mask[prints.rows, prints.columns]] = 0.0
        smooth = ((1 - weight) * own)[:, None, None]
        weighted = (weight * share)[:, None, None]
        filled = _without_holes(direct, prints, total)
        light = np.stack([
            _color(band, mean, prints)[:, None, None] * smooth
            + weighted * subpixel_means(_like(band, mean, filled, direct.mask), prints.rows,
                                        prints.columns, self.subpixels)
            for band in direct.data
        ])  # fmt: skip
        return labels, _squares(prints, light)


def _without_holes(direct, prints, total):
    """The mean image with masked pixels replaced by the smooth model."""
    filled = np.array(direct.mean)
    masked = direct.mask[prints.rows, prints.columns]
    filled[prints.rows[masked], prints.columns[masked]] = total[masked]
    return filled


def _like(band, mean, filled, mask):
    """A band with its holes filled."""
    return filled if band is mean else np.where(mask, filled, band)


def _color(band, mean, prints):
    """Flux of each source in a band relative to the mean of the bands, by entry."""
    inside = prints.inside
    source = prints.source[inside]
    pixel = prints.rows[inside], prints.columns[inside]
    flux, whole = (np.bincount(source, image[pixel], prints.n_source).astype(float)
                   for image in (band, mean))  # fmt: skip
    ratio = np.divide(flux, whole, out=np.ones_like(flux), where=whole > 0)
    return np.maximum(ratio, 0.0)[prints.source]


def _squares(prints, light):
    """Squares of light, shape (n_band, n_entry, n, n) by row and column within the pixel."""
    n = light.shape[-1]
    offsets = subpixel_centres(n)
    shape = light.shape[1:]
    x = np.broadcast_to(prints.columns[:, None, None] + offsets, shape).ravel()
    y = np.broadcast_to(prints.rows[:, None, None] + offsets[:, None], shape).ravel()
    source = np.broadcast_to(prints.source[:, None, None], shape).ravel()
    order = np.lexsort((x, y, source))
    return Squares(
        x[order].astype(float), y[order].astype(float),
        light.reshape(len(light), -1)[:, order] / n**2, np.full(len(order), 0.5 / n),
        np.searchsorted(source[order], np.arange(prints.n_source + 1)),
    )  # fmt: skip
