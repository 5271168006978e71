"""Fitted models whose parameters repeat over columns, lines or exposures: they evaluate alone."""

import numpy as np
from astropy.modeling import Model

from ..models.composition import varying

__all__ = ["FittedModel", "model_set"]

PIXELS_AT_ONCE = 20_000


class FittedModel(Model):
    """A fitted composition as a model of column and row, without free parameters.

    Made by fits; repeated parameters have the values of the nearest pixel of the image that was
    fitted, and there are none beyond its edges, where the model is NaN.
    """

    n_inputs = 2
    n_outputs = 1
    coordinates = ("x", "y")

    def __init__(self, form, values, image, **settings):
        # `values(row, column)` are those of all parameters at pixels, by their place.
        self._form, self._values = form, values
        self._x, self._y = image.x, image.y
        super().__init__(**settings)

    def __repr__(self):
        names = [leaf.name or type(leaf).__name__ for leaf, _ in self._form.leaves()]
        return f"<FittedModel: {' + '.join(names)}, on {len(self._y)} x {len(self._x)} pixels>"

    def evaluate(self, x, y):
        """Value of the model at columns and rows."""
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        told = _of_grid(x, y)
        if told is None:  # one row of pixels: a column would be taken for that of a grid
            flat = x.reshape(1, -1), y.reshape(1, -1)
            parts = [tuple(one[:, start : start + PIXELS_AT_ONCE] for one in flat)
                     for start in range(0, x.size, PIXELS_AT_ONCE)]  # fmt: skip
        else:
            step = max(PIXELS_AT_ONCE // max(x.shape[1], 1), 1)
            parts = [(told[0], told[1][start : start + step])
                     for start in range(0, x.shape[0], step)]  # fmt: skip
        found = [self._evaluated(*part).ravel() for part in parts]
        return np.concatenate([np.zeros(0), *found]).reshape(x.shape)

    def _evaluated(self, x, y):
        """Value at a grid of one row and one column, or at a row of pixels."""
        column, row = (_nearest(values, known)
                       for values, known in ((x, self._x), (y, self._y)))  # fmt: skip
        inputs = (x, y) if self._form.model.n_inputs == 2 else (y,)
        shape = np.broadcast_shapes(x.shape, y.shape)
        value = np.broadcast_to(self._form.value(self._values(row, column), inputs), shape)
        return np.where((column >= 0) & (row >= 0), value, np.nan)


def _of_grid(x, y):
    """The row of columns and the column of rows of a grid of pixels; None of other pixels."""
    if x.ndim != 2 or not x.size:
        return None
    told = varying(x), varying(y)
    grid = told[0].shape[0] == told[1].shape[1] == 1
    return told if grid and all((np.diff(one.ravel()) > 0).all() for one in told) else None


def _nearest(values, known):
    """Index of the nearest pixel, -1 beyond the edges."""
    place = np.interp(values, known, np.arange(len(known)))
    step = 0.5
    inside = (values >= known[0] - step) & (values <= known[-1] + step)
    return np.where(inside, np.rint(place), -1).astype(int)


def model_set(template, values, n_columns):
    """Rebuild the tree of `template` with one model per column where any value is per column."""
    per_column = any(np.ndim(v) for v in values)
    values = list(values)

    def rebuild(model):
        if hasattr(model, "op"):
            left = rebuild(model.left)
            right = rebuild(model.right)
            compound = type(model)(model.op, left, right, name=model.name)
            return compound
        own = dict(zip(model.param_names, values[: len(model.param_names)], strict=True))
        del values[: len(model.param_names)]
        new = model.copy()
        if per_column:
            own = {n: np.broadcast_to(v, (n_columns,)).copy() for n, v in own.items()}
            new._initialize_parameters((), {**own, "n_models": n_columns})
            new._initialize_slices()
        else:
            for n, v in own.items():
                setattr(new, n, v)
        return new

    return rebuild(template)
