"""One pass over the pixels: linear parameters solved per column, the others differentiated.

This is variable projection: for given values of the non-linear parameters the linear ones follow
from normal equations, and what is left is a small problem in the non-linear ones alone (Golub and
Pereyra 1973, SIAM J. Numer. Anal. 10, 413; the Jacobian is that of Kaufman 1975, BIT 15, 49). The
pixels are visited in chunks of columns, so that memory does not grow with the image.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..models.linear import Outer
from ..numerics import NormalEquations
from .separable import separable_sums

__all__ = ["Pass", "Problem"]

CHUNK_BYTES = 1_500_000
SUMS = ("gradient", "information", "response")


@dataclass(frozen=True, eq=False)
class Pass:
    """Result of one pass; `n_batch` is the number of columns, or one for a single system.

    Attributes
    ----------
    values, particular : ndarray, shape (n_linear, n_batch)
        Linear parameters; the latter finite also where the data do not determine them.
    covariance : ndarray, shape (n_linear, n_linear, n_batch)
        Their covariance, the non-linear parameters held.
    chi2 : ndarray, shape (n_batch,)
        Chi-square.
    n_data : ndarray of int, shape (n_batch,)
        Pixels used.
    gradient : ndarray, shape (n_free, n_system)
        Half the negative derivative of chi-square by the free non-linear parameters; `n_system` is
        one where they are shared.
    information : ndarray, shape (n_free, n_free, n_system)
        Their Fisher information, the linear parameters eliminated.
    response : ndarray, shape (n_linear, n_free, n_batch)
        Derivative of the linear parameters by the non-linear ones, with the sign turned.
    """

    values: np.ndarray
    particular: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_data: np.ndarray
    gradient: np.ndarray | None = None
    information: np.ndarray | None = None
    response: np.ndarray | None = None


class Problem:
    """A model on the pixels of an image.

    Parameters
    ----------
    form : `~specmodels.models.linear.LinearForm`
        The model, split by linearity.
    image : `~specmodels.exposure.SpectralImage`
        Data and weights.
    batch : {"columns", None}
        Whether each column has its own linear parameters, or all pixels share them.
    shared : bool
        Whether the non-linear parameters are shared by the columns.
    columns : ndarray of int, optional
        The columns to use; default all.
    """

    def __init__(self, form, image, *, batch="columns", shared=True, columns=None):
        if batch not in ("columns", None):
            raise ValueError(f"batch: expected 'columns' or None, got {batch!r}")
        if form.model.n_inputs not in (1, 2) or form.model.n_outputs != 1:
            raise ValueError(
                "model: expected one or two inputs (row, or column and row) and one output, got "
                f"{form.model.n_inputs} and {form.model.n_outputs}"
            )
        self.form, self.image, self.batch, self.shared = form, image, batch, shared
        self.index = np.arange(image.shape[1]) if columns is None else np.asarray(columns)
        self.n_columns = len(self.index)
        self.n_batch = self.n_columns if batch == "columns" else 1

    def take(self, columns):
        """Return the problem of a subset of the columns."""
        return Problem(self.form, self.image, batch=self.batch, shared=self.shared,
                       columns=self.index[columns])  # fmt: skip

    def chunks(self, n_images):
        """Slices of columns such that `n_images` images of them fit the cache."""
        width = self.chunk_width(n_images)
        for start in range(0, self.n_columns, width):
            yield slice(start, min(start + width, self.n_columns))

    def chunk_width(self, n_images):
        """Number of columns such that `n_images` images of them fit the cache."""
        return max(16, int(CHUNK_BYTES / (8 * self.image.shape[0] * max(n_images, 1))))

    def pixels(self, chunk):
        """Inputs, data and weights of a chunk; data are zero where they have no weight."""
        columns = self.index[chunk]
        contiguous = columns[-1] - columns[0] + 1 == len(columns)
        where = slice(columns[0], columns[-1] + 1) if contiguous else columns
        weights = self.image.weights[:, where]
        data = self.image.filled[:, where]
        y = self.image.y[:, None]
        inputs = (y,) if self.form.model.n_inputs == 1 else (self.image.x[where][None], y)
        return inputs, data, weights

    def local(self, values, chunk):
        """Values of a chunk: those given per column are cut."""
        return [v[chunk] if np.ndim(v) and np.shape(v)[-1] == self.n_columns else v for v in values]

    def solve(self, values, *, ridge=0.0):
        """Solve for the linear parameters, the others held at `values`. Returns a `Pass`."""
        equations = []
        for chunk in self.chunks(len(self.form.linear) + 2):
            inputs, data, weights = self.pixels(chunk)
            equations.append(self._equations(self.local(values, chunk), inputs, data, weights)[0])
        return self._solved(_joined(equations, self.batch), ridge)

    def _equations(self, values, inputs, data, weights):
        offset, columns = self.form.columns(values, inputs)
        columns = [_two_dimensional(columns[k], data.shape) for k in self.form.linear]
        offset = np.where(weights > 0, offset, 0.0) if np.any(offset) else 0.0
        return NormalEquations.from_columns(columns, data - offset, weights), columns, offset

    def _solved(self, equations, ridge):
        solution = equations.solve(ridge=ridge)
        return Pass(solution.values, solution.particular, solution.covariance,
                    equations.chi2(solution.particular), equations.n_data)  # fmt: skip

    def linearise(self, values, free, coupling):
        """Solve for the linear parameters and differentiate by the others.

        Parameters
        ----------
        values : list of float or ndarray
            One for each parameter of the model; arrays have one value per column.
        free : sequence of int
            Positions of the free non-linear parameters.
        coupling : dict of int to ndarray, shape (n_free, n_columns) or (n_free, 1)
            Derivatives of tied parameters by the free ones.

        Returns
        -------
        Pass
        """
        if self.batch is None:
            return self._linearise_single(values, free, coupling)
        passes, start = [], 0
        width = self.chunk_width(2 * len(free) + len(coupling) + len(self.form.linear) + 4)
        while start < self.n_columns:
            chunk = slice(start, min(start + width, self.n_columns))
            one, separable = self._linearise_chunk(values, chunk, free, coupling)
            passes.append(one)
            start = chunk.stop
            if separable:  # no images of derivatives, so that the rest needs no chunks
                width = self.n_columns
        return _joined_passes(passes, self.shared)

    def _linearise_chunk(self, values, chunk, free, coupling):
        """The pass of a chunk of columns, and whether its images were a column times a row."""
        inputs, data, weights = self.pixels(chunk)
        local = self.local(values, chunk)
        equations, columns, offset = self._equations(local, inputs, data, weights)
        solved = self._solved(equations, 0.0)
        slopes = {k: s if s.shape[1] == 1 else s[:, chunk] for k, s in coupling.items()}
        derivatives = self._derivatives(local, solved.particular, inputs, (free, slopes))
        if _is_separable(columns, derivatives, slopes):
            listed, pixels = [derivatives[k] for k in free], (data - offset, weights)
            sums = separable_sums(solved, columns, listed, pixels, shared=self.shared)
            return replace(solved, **dict(zip(SUMS, sums, strict=True))), True
        residual = _residual(data - offset, columns, solved.particular)
        jacobian = _jacobian(derivatives, data.shape, free, slopes)
        return _projected(solved, columns, residual, weights, jacobian, self.shared), False

    def _linearise_single(self, values, free, coupling):
        """As `linearise` where all pixels share the linear parameters: two passes over them."""
        solved = self.solve(values)
        gradient, information, mixed = 0.0, 0.0, 0.0
        for chunk in self.chunks(2 * len(free) + len(coupling) + len(self.form.linear) + 4):
            inputs, data, weights = self.pixels(chunk)
            local = self.local(values, chunk)
            offset, columns = self.form.columns(local, inputs)
            columns = [_two_dimensional(columns[k], data.shape) for k in self.form.linear]
            residual = _residual(
                np.where(weights > 0, data - offset, 0), columns, solved.particular
            )
            derivatives = self._derivatives(local, solved.particular, inputs, (free, coupling))
            jacobian = _jacobian(derivatives, data.shape, free, coupling)
            weighted = jacobian * weights
            gradient = gradient + np.einsum("pyb,yb->p", weighted, residual)
            information = information + np.einsum("pyb,qyb->pq", weighted, jacobian, optimize=True)
            flat = [np.broadcast_to(c, data.shape) for c in columns]
            mixed = mixed + np.array([[np.vdot(c, j) for j in weighted] for c in flat])
        covariance = np.nan_to_num(solved.covariance[..., 0])
        response = covariance @ mixed
        return Pass(
            solved.values, solved.particular, solved.covariance, solved.chi2, solved.n_data,
            gradient[:, None], (information - mixed.T @ response)[..., None], response[..., None],
        )  # fmt: skip

    def _derivatives(self, values, linear_values, inputs, parameters):
        """Derivatives of the model by the free and the tied parameters, by position."""
        values, (free, coupling) = list(values), parameters
        for k, value in zip(self.form.linear, linear_values, strict=True):
            values[k] = value
        return self.form.derivatives(values, inputs, {*free, *coupling}, separable=True)


def _is_separable(columns, derivatives, coupling):
    """Whether all images are a column of pixels times a row."""
    return (
        not coupling
        and all(column.shape[1] == 1 for column in columns)
        and all(isinstance(derivative, Outer) for derivative in derivatives.values())
    )


def _jacobian(derivatives, shape, free, coupling):
    """Derivatives by the free parameters, tied ones followed, shape (n_free, *shape)."""
    jacobian = np.empty((len(free), *shape))
    for row, k in enumerate(free):
        jacobian[row] = derivatives[k]
    for k, slopes in coupling.items():
        for row in np.flatnonzero(slopes.any(axis=1)):
            jacobian[row] += slopes[row] * np.asarray(derivatives[k])
    return jacobian


def _two_dimensional(column, shape):
    """The column as it is where its second axis is shared, else with the shape of the data."""
    column = np.asarray(column, dtype=float)
    if column.ndim == 2 and column.shape == (shape[0], 1):
        return column
    return np.broadcast_to(column, shape)


def _residual(data, columns, values):
    residual = np.array(data)
    for column, value in zip(columns, values, strict=True):
        residual -= column * value
    return residual


def _projected(solved, columns, residual, weights, jacobian, shared):
    """The pass of one chunk with gradient and information, the linear parameters eliminated."""
    n_free = len(jacobian)
    weighted = jacobian * weights
    mixed = np.empty((len(columns), n_free, residual.shape[1]))
    for i, column in enumerate(columns):
        if column.shape[1] == 1:
            mixed[i] = np.einsum("pyb,y->pb", weighted, column[:, 0])
        else:
            mixed[i] = np.einsum("pyb,yb->pb", weighted, column)
    covariance = np.nan_to_num(solved.covariance)
    response = np.einsum("klb,lpb->kpb", covariance, mixed)
    if shared:
        gradient = (weighted.reshape(n_free, -1) @ residual.reshape(-1))[:, None]
        information = weighted.reshape(n_free, -1) @ jacobian.reshape(n_free, -1).T
        information -= np.einsum("kpb,kqb->pq", mixed, response, optimize=True)
        information = information[..., None]
    else:
        gradient = np.einsum("pyb,yb->pb", weighted, residual)
        information = np.empty((n_free, n_free, residual.shape[1]))
        for p in range(n_free):
            for q in range(p, n_free):
                product = np.einsum("yb,yb->b", weighted[p], jacobian[q])
                product -= np.einsum("kb,kb->b", mixed[:, p], response[:, q])
                information[p, q] = information[q, p] = product
    return Pass(solved.values, solved.particular, solved.covariance, solved.chi2, solved.n_data,
                gradient, information, response)  # fmt: skip


def _joined(equations, batch):
    """Normal equations of all chunks: side by side for columns, summed for a single system."""
    if batch is None:
        total = equations[0].total()
        for other in equations[1:]:
            total = total + other.total()
        return total
    if len(equations) == 1:
        return equations[0]
    return NormalEquations(
        *(np.concatenate([getattr(e, key) for e in equations], axis=-1)
          for key in ("matrix", "vector", "data_chi2", "n_data"))
    )  # fmt: skip


def _joined_passes(passes, shared):
    def side_by_side(key):
        return np.concatenate([getattr(p, key) for p in passes], axis=-1)

    def system(key):
        return sum(getattr(p, key) for p in passes) if shared else side_by_side(key)

    keys = ("values", "particular", "covariance", "chi2", "n_data")
    return Pass(*(side_by_side(key) for key in keys), system("gradient"), system("information"),
                side_by_side("response"))  # fmt: skip
