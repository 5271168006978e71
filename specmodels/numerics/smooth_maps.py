"""Smooth functions in all pixels of a slice, from their values in few of them. Arrays only."""

import numpy as np
from numpy.polynomial import chebyshev, polynomial

__all__ = ["smooth_map"]

# Degrees of the polynomial along and across a slice; of the curve that it follows.
DEGREES, BEND = (9, 4), 2
# Columns in which values are computed, and where in each, between the ends of the slice: to fit
# them, and in columns between those to judge the fit.
N_COLUMNS = 48
FITTED, JUDGED = (0.0, 0.15, 0.5, 0.85, 1.0), (0.0, 0.07, 0.3, 0.7, 0.93, 1.0)


def smooth_map(function, inside, *, tolerance=1e-4):
    """Values of a function in the pixels of a slice, if a polynomial through a few tells them.

    Parameters
    ----------
    function : callable
        Of x and y of pixels of the slice, each of shape (n_point,); returns a sequence of arrays
        of the same shape.
    inside : ndarray of bool, shape (n_y, n_x)
        Pixels of the slice, which runs along the rows.
    tolerance : float
        Largest error in any pixel of those judged, its ends among them, in units of the change
        from one pixel to the next across the slice.

    Returns
    -------
    list of ndarray, each of shape (n_y, n_x), or None
        None where the function is not that smooth, not finite, or the slice so small that nothing
        would be saved.
    """
    columns = np.flatnonzero(inside.any(axis=0))
    n_point = N_COLUMNS * (len(FITTED) + len(JUDGED))
    if columns.size < 2 * N_COLUMNS or np.count_nonzero(inside) < 4 * n_point:
        return None
    low, high = inside.argmax(axis=0), len(inside) - 1 - inside[::-1].argmax(axis=0)
    places = columns[np.linspace(0, columns.size - 1, 2 * N_COLUMNS - 1).astype(int)]
    points = [_points(low, high, places[k::2], shares)
              for k, shares in enumerate((FITTED, JUDGED))]  # fmt: skip
    n_fitted = points[0].shape[1]
    y, x = np.concatenate(points, axis=1)
    if not inside[y, x].all():  # a slice with holes
        return None
    frame = _Frame.of(low, high, columns)
    rows, along = frame(y, x)
    terms = chebyshev.chebvander(along, DEGREES[0])[:, :, None]
    terms = (terms * polynomial.polyvander(rows, DEGREES[1])[:, None]).reshape(y.size, -1)
    # In columns of one to three rows points lie in the same one.
    apart = np.diff(y[:n_fitted].reshape(len(FITTED), -1), axis=0)
    if not (apart > 0).any():
        return None
    out = []
    for values in function(x + 0.0, y + 0.0):
        if not np.isfinite(values).all():
            return None
        found = np.linalg.lstsq(terms[:n_fitted], values[:n_fitted])[0]
        steps = np.diff(values[:n_fitted].reshape(len(FITTED), -1), axis=0)
        change = np.median(np.abs(steps[apart > 0] / apart[apart > 0]))
        if not np.abs(terms @ found - values)[n_fitted:].max() <= tolerance * change:
            return None
        out.append(frame.image(found.reshape(DEGREES[0] + 1, -1), inside.shape))
    return out


def _points(low, high, columns, shares):
    """Rows and columns of points, shape (2, n_share * n_column)."""
    height = high[columns] - low[columns]
    rows = [np.rint(low[columns] + share * height).astype(int) for share in shares]
    return np.array([np.concatenate(rows), np.tile(columns, len(shares))])


class _Frame:
    """Places along and across a slice, from -1 to 1."""

    def __init__(self, curve, height, ends):
        self.curve, self.height, self.ends = curve, height, ends

    @classmethod
    def of(cls, low, high, columns):
        """Frame of a slice, from its ends in each column."""
        ends = columns[0], columns[-1]
        middle = 0.5 * (low + high)[columns]
        curve = polynomial.polyfit(_scaled(columns, ends), middle, BEND)
        return cls(curve, max(0.5 * (high - low)[columns].max(), 1.0), ends)

    def __call__(self, y, x):
        along = _scaled(x, self.ends)
        return (y - polynomial.polyval(along, self.curve)) / self.height, along

    def image(self, coefficients, shape):
        """Values of the polynomial in all pixels: for each column one of the row."""
        rows, along = self(np.arange(shape[0])[:, None], np.arange(shape[1]))
        own = chebyshev.chebvander(along, DEGREES[0]) @ coefficients
        out = np.zeros(shape)
        for k in reversed(range(own.shape[1])):
            out *= rows
            out += own[:, k]
        return out


def _scaled(x, ends):
    return (2 * x - ends[0] - ends[1]) / (ends[1] - ends[0])
