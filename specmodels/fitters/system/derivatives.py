"""What a system differentiates: its images, and chi-square, by the non-linear parameters."""

from functools import partial

import numpy as np

from ...models.linear import Outer
from ...numerics.sparse_rows import all_transposed
from ..columns.elimination import Slopes
from ..columns.passes import Pass
from .pixels import cut

__all__ = ["Differentiated"]

# Derivatives of pixels that are held at once, or as many as there are pixels.
MOST_SLOPES = 5e5


class Differentiated:
    """The derivatives of a `~specmodels.fitters.system.SystemProblem`, of which it is a part."""

    def linearise(self, theta, *, bounded=True):
        """Solve, and differentiate by the others: a `~specmodels.fitters.columns.passes.Pass`.

        Coefficients at a bound stay there, or, if they are not `bounded`, follow the others as if
        there were none.
        """
        equations, coefficients, _, residual = self.solve(theta)
        equations = equations if bounded else equations.unbounded
        weights, n_free = equations.weights, len(self.parameters.entries)
        gradient, information = np.zeros(n_free), np.zeros((n_free, n_free))
        mixed = np.zeros((equations.n, n_free))
        for number, rows, place, slopes in self._all_slopes(theta, coefficients):
            part, *own = equations.entries.rows(number, rows)
            weighted = equations.weighted(slopes, part)
            gradient[place] += weighted @ residual[part]
            information[np.ix_(place, place)] += weighted @ slopes.T
            mixed[:, place] += all_transposed(*own, weighted, equations.n)
        response = equations.solve(np.where(_held(equations), 0.0, mixed))
        response[_held(equations)[:, 0]] = 0.0
        information -= mixed.T @ response
        chi2 = np.sum(residual * equations.weighted(residual)) + sum(
            strength * penalty.square(coefficients)
            for penalty, strength in zip(self.penalties.all, equations.strengths, strict=True)
        )
        return Pass(
            coefficients[:, None], coefficients[:, None], None, np.array([chi2]),
            np.array([np.count_nonzero(weights)]), gradient[:, None], information[..., None],
            response[..., None],
        )  # fmt: skip

    def gradient(self, theta):
        """Half the descent of chi-square by each free parameter, shape (n_free, 1)."""
        equations, coefficients, _, residual = self.solve(theta)
        weighted = np.concatenate([equations.weighted(residual[part], part)
                                   for part in self.slices])  # fmt: skip
        out = np.zeros((len(self.parameters.entries), 1))
        for number, rows, place, slopes in self._all_slopes(theta, coefficients):
            part = equations.entries.rows(number, rows)[0]
            out[place, 0] += slopes @ weighted[part]
        return out

    def _all_slopes(self, theta, coefficients):
        """Image, rows, entries of the parameters and derivatives that are not zero, by parts."""
        for number, rows in self.parts(max(MOST_SLOPES, len(self.data))):
            slopes = self.slopes(number, theta, coefficients, rows=rows)
            seen = slopes.any(axis=1)
            if seen.any():
                yield number, rows, np.asarray(self.parameters.places[number])[seen], slopes[seen]

    def parts(self, most=MOST_SLOPES):
        """Numbers of images and rows of them whose derivatives, so many, are held together.

        Correlated noise ties all pixels of an image, which are then one part.
        """
        for number, (place, image) in enumerate(
            zip(self.parameters.places, self.images, strict=True)
        ):
            ny, nx = image.shape
            step = int(most // (nx * max(len(place), 1))) if self.noise is None else ny
            for start in range(0, ny, max(step, 1)):
                yield number, slice(start, min(start + max(step, 1), ny))

    def slopes(self, number, theta, coefficients, *, rows=None, without=()):
        """Derivatives of (some rows of) an image by its free parameters, shape (n_own, n_pixel).

        Linear parameters at the positions `without` are taken to be zero.
        """
        rows = slice(0, self.images[number].shape[0]) if rows is None else rows
        form, inputs = self.forms[number], cut(self.inputs[number], rows)
        base, free, coupling = self.parameters.of(number, theta)
        values = self.layout.in_region(coefficients, base, number, (rows, slice(None)))
        for k in form.declared_linear.intersection(without):
            values[k] = np.zeros(np.shape(values[k]))
            if k in values.terms:
                values.terms[k] = partial(_nothing, values.terms[k])
        shape = rows.stop - rows.start, self.images[number].shape[1]
        found = form.derivatives(values, inputs, {*free, *coupling}, factored=True)
        found = {k: d if isinstance(d, Outer) else Outer(d) for k, d in found.items()}
        jacobian = Slopes.of(found, free, coupling, shape).jacobian(shape).reshape(len(free), -1)
        return jacobian if np.isfinite(np.sum(jacobian)) else np.nan_to_num(jacobian)


def _nothing(terms, index):
    """Zeros in place of the values of terms."""
    return np.zeros_like(terms(index))


def _held(equations):
    none = np.zeros((equations.n, 1), dtype=bool)
    return none if equations.held is None else equations.held[:, None]
