"""A fitted model whose parameters repeat over columns, lines or exposures: it evaluates alone."""

import numpy as np
from astropy.modeling import Model

__all__ = ["FittedModel"]


class FittedModel(Model):
    """A fitted composition as a model of column and row, without free parameters.

    Made by fits; repeated parameters have the values of the nearest pixel of the image that was
    fitted, and there are none beyond its edges, where the model is NaN.
    """

    n_inputs = 2
    n_outputs = 1
    coordinates = ("x", "y")

    def __init__(self, form, layout, coefficients, base, number, image, **settings):
        self._fit = (form, layout, coefficients, base, number)
        self._x, self._y = image.x, image.y
        super().__init__(**settings)

    def __repr__(self):
        names = [leaf.name or type(leaf).__name__ for leaf, _ in self._fit[0].leaves()]
        return f"<FittedModel: {' + '.join(names)}, on {len(self._y)} x {len(self._x)} pixels>"

    def evaluate(self, x, y):
        """Value of the model at columns and rows."""
        form, layout, coefficients, base, number = self._fit
        x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        column, row = (_nearest(values, known)
                       for values, known in ((x, self._x), (y, self._y)))  # fmt: skip
        keys = [_at(group.keys[number], row, column) for group in layout.groups]
        values = layout.local(coefficients, base, number, keys=keys)
        inputs = (x, y) if form.model.n_inputs == 2 else (y,)
        value = np.broadcast_to(form.value(values, inputs), x.shape)
        return np.where((column >= 0) & (row >= 0), value, np.nan)


def _nearest(values, known):
    """Index of the nearest pixel, -1 beyond the edges."""
    place = np.interp(values, known, np.arange(len(known)))
    step = 0.5
    inside = (values >= known[0] - step) & (values <= known[-1] + step)
    return np.where(inside, np.rint(place), -1).astype(int)


def _at(key, row, column):
    """Repetition of pixels, from an array that may have one row or column only."""
    return key[np.where(key.shape[0] == 1, 0, row), np.where(key.shape[1] == 1, 0, column)]
