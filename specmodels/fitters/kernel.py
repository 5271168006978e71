"""The classical two steps of optimal extraction: a kernel from coadded columns, then the fluxes."""

import numpy as np
from scipy import ndimage

from ..models.linear_form import LinearForm
from .base import Fitter
from .linear import LinearFitter
from .varpro import VarProFitter

__all__ = ["KernelSliceFitter"]


class KernelSliceFitter(Fitter):
    """Fit the shape of a model to a coadded slice of columns, then its linear parameters to all.

    This is the extraction kernel of Horne (1986): right for a rectified trace of constant width,
    and the fastest. Where the trace is curved or the width varies use `VarProFitter`, which fits
    all columns at once.

    Parameters
    ----------
    fitter : Fitter, optional
        For the coadded slice; default `VarProFitter`.
    columns : tuple of float, optional
        First and last column of the slice; default: around the brightest.
    n_columns : int, optional
        Width of the slice around the brightest column; default: all columns.

    Raises
    ------
    ValueError
        If `n_columns` is not positive or, in a call, the slice holds no usable pixel.
    """

    def __init__(self, fitter=None, *, columns=None, n_columns=None):
        if n_columns is not None and n_columns < 1:
            raise ValueError(f"n_columns: expected 1 or more, got {n_columns!r}")
        self.fitter = VarProFitter() if fitter is None else fitter
        self.columns, self.n_columns = columns, n_columns

    def __call__(self, model, image, *, batch="columns"):
        """Fit; see `Fitter`. The errors are those for a known kernel."""
        if not LinearForm(model).nonlinear:
            return LinearFitter()(model, image, batch=batch)
        kernel = self.fitter(model, self.coadd(image))
        result = LinearFitter()(kernel.template, image, batch=batch)
        return result.replace(success=kernel.success, message=kernel.message)

    def coadd(self, image):
        """Mean of the columns of the slice: an image of one column.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`

        Returns
        -------
        `~specmodels.SpectralImage`, shape (n_spatial, 1)
        """
        where = self._slice(image)
        filled, weights = image.columns(where)
        good = weights > 0
        count = np.count_nonzero(good, axis=1)
        if not count.any():
            raise ValueError(f"columns: no usable pixel in columns {image.x[where]}")
        total = filled.sum(axis=1)
        variance = np.ones(good.shape) if image.variance is None else image.variance[:, where]
        spread = np.where(good, variance, 0.0).sum(axis=1)
        safe = np.maximum(count, 1)
        spread = np.where(count > 0, spread / safe**2, np.nan)
        return type(image)(
            (total / safe)[:, None], variance=spread[:, None],
            x=[np.mean(image.x[where])], y=image.y, name=image.name, unit=image.unit,
        )  # fmt: skip

    def _slice(self, image):
        """Slice of the columns to coadd."""
        if self.columns is not None:
            return slice(*np.searchsorted(image.x, (self.columns[0], self.columns[1] + 0.5)))
        if self.n_columns is None or self.n_columns >= image.shape[1]:
            return slice(None)
        light = ndimage.uniform_filter1d(image.filled.sum(axis=0), self.n_columns)
        start = int(np.argmax(light)) - self.n_columns // 2
        start = int(np.clip(start, 0, image.shape[1] - self.n_columns))
        return slice(start, start + self.n_columns)
