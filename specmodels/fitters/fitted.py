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
        if x.ndim != 2:
            return self.evaluate(x.reshape(-1, 1), y.reshape(-1, 1)).reshape(x.shape)
        out = np.empty(x.shape)
        step = max(PIXELS_AT_ONCE // max(x.shape[1], 1), 1)
        for start in range(0, len(x) if x.size else 0, step):
            rows = slice(start, start + step)
            out[rows] = self._evaluated(x[rows], y[rows])
        return out

    def _evaluated(self, x, y):
        """Value at some pixels, of which those of a grid are told by one row and one column."""
        shape, told = x.shape, (varying(x), varying(y))
        grid = told[0].shape[0] == told[1].shape[1] == 1
        if grid and all(np.all(np.diff(one.ravel()) > 0) for one in told):
            x, y = told
        column, row = (_nearest(values, known)
                       for values, known in ((x, self._x), (y, self._y)))  # fmt: skip
        inputs = (x, y) if self._form.model.n_inputs == 2 else (y,)
        value = np.broadcast_to(self._form.value(self._values(row, column), inputs), shape)
        return np.where((column >= 0) & (row >= 0), value, np.nan)


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
