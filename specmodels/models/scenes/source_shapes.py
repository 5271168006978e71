"""Shapes of sources on the direct image: which squares of light are dispersed for each of them.

Strategies, which take a `DirectImage` and return the squares: `SegmentShapes` is the plain one,
`GrownShapes` the one that comes close to the light there is.
"""

from abc import ABC, abstractmethod

import numpy as np

from ...numerics.dispersal import Squares
from ...numerics.footprints import footprints
from ...numerics.rendering import subpixel_means
from ...numerics.source_light import shared_light

__all__ = ["GrownShapes", "SegmentShapes", "SourceShapes"]


class SourceShapes(ABC):
    """Base of strategies. A subclass must define ``__call__``."""

    @abstractmethod
    def __call__(self, direct):
        """Labels of the sources, shape (n_source,), and their light.

        Parameters
        ----------
        direct : `~specmodels.models.scenes.direct_image.DirectImage`

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
    r"""Light shared with neighbours, continued beyond the segment, and spread within pixels.

    A smooth model of all sources (see `~specmodels.numerics.source_light`) tells which share of
    each pixel is whose, and how it lies within the pixel. To the model of a source, its share of
    what the data have beyond the model of all is added, interpolated within pixels by a spline
    which conserves the flux of each: all of it where the model stands far above the noise, nothing
    where it does not, in between with weights by :math:`(f S)^2` against :math:`\sigma^2`, for a
    model S that is good to a fraction f.

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

    def __init__(self, *, grow=8, subpixels=3, accuracy=0.1, keep=0.02):
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
        model = shared_light(mean, direct.error, prints, direct.mask)
        # What may have light beyond the model: pixels of footprints that are not masked.
        lit = (model.total > 0) & ~direct.mask[prints.rows, prints.columns]
        lit = prints.rows[lit], prints.columns[lit]
        sigma = direct.error[prints.rows, prints.columns]
        kept = prints.inside | (model.own > self.keep * sigma)
        model, sigma = model.of(kept), sigma[kept]
        prints, own = model.prints, model.own
        share = np.divide(own, model.total, out=prints.inside.astype(float), where=model.total > 0)
        trust = (self.accuracy * own) ** 2
        weight = share * trust / (trust + sigma**2)
        weight[direct.mask[prints.rows, prints.columns]] = 0.0
        smooth = model.within_pixels(self.subpixels)
        light = np.empty((len(direct.data), *smooth.shape))
        for out, band in zip(light, direct.data, strict=True):
            color = _color(band, mean, prints)
            beyond = _beyond(band, prints, color * own, lit)
            rest = subpixel_means(beyond, prints.rows, prints.columns, self.subpixels)
            out[...] = color[:, None, None] * smooth + weight[:, None, None] * rest
        return labels, _squares(prints, light)


def _beyond(band, prints, light, lit):
    """What an image has beyond the light of all sources in pixels that are lit, zero elsewhere."""
    model, out = np.zeros(band.shape), np.zeros(band.shape)
    np.add.at(model, (prints.rows, prints.columns), light)
    out[lit] = band[lit] - model[lit]
    return out


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
    n_entry, n = light.shape[1:3]
    return Squares(
        prints.columns.astype(float), prints.rows.astype(float), light / n**2,
        np.full(n_entry, 0.5), prints.start,
    )  # fmt: skip
