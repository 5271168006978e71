"""One pass over the pixels: linear parameters solved per column, the others differentiated.

This is variable projection: for given values of the non-linear parameters the linear ones follow
from normal equations, and what is left is a small problem in the non-linear ones alone (Golub and
Pereyra 1973, SIAM J. Numer. Anal. 10, 413; the Jacobian is that of Kaufman 1975, BIT 15, 49). The
pixels are visited in chunks of columns, so that memory does not grow with the image.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...models.linear import Outer
from ...numerics import NormalEquations
from .design import CHUNK_BYTES, Design, inputs_of, local_values
from .elimination import Slopes, as_image, eliminated, eliminated_from_jacobian
from .passes import SUMS, Pass, room_for

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels of some columns, and the sums that do not depend on the model."""

    inputs: tuple
    data: np.ndarray
    weights: np.ndarray
    memory: dict = field(default_factory=dict)

    @cached_property
    def weighted_data(self):
        """Data times weights."""
        return self.data * self.weights

    @property
    def sums(self):
        """Chi-square of no model, and the number of pixels, of each column."""
        if "sums" not in self.memory:
            chi2 = np.einsum("yb,yb->b", self.weighted_data, self.data)
            self.memory["sums"] = chi2, np.count_nonzero(self.weights > 0, axis=0)
        return self.memory["sums"]

    def less(self, offset):
        """The pixels with a part of the model subtracted that does not depend on the rest."""
        if not np.any(offset):
            return self
        data = self.data - np.where(self.weights > 0, offset, 0.0)
        return Pixels(self.inputs, data, self.weights)


class Problem:
    """A model on the pixels of an image.

    Parameters
    ----------
    form : `~specmodels.models.linear_form.LinearForm`
        The model, split by linearity.
    image : `~specmodels.SpectralImage`
        Data and weights.
    batch : {"columns", None}
        Whether each column has its own linear parameters, or all pixels share them.
    shared : bool
        Whether the non-linear parameters are shared by the columns.
    """

    def __init__(self, form, image, *, batch="columns", shared=True):
        if batch not in ("columns", None):
            raise ValueError(f"batch: expected 'columns' or None, got {batch!r}")
        if form.model.n_inputs not in (1, 2) or form.model.n_outputs != 1:
            raise ValueError(
                "model: expected one or two inputs (row, or column and row) and one output, got "
                f"{form.model.n_inputs} and {form.model.n_outputs}"
            )
        self.form, self.image, self.batch, self.shared = form, image, batch, shared
        # Columns of their own are taken again and again: all is worked out once.
        self._use(image.x, None if shared else image.columns(slice(None)))

    def _use(self, x, taken):
        self._x, self._taken = x, taken
        self.n_columns, self._memory = len(x), {}
        self.n_batch = self.n_columns if self.batch == "columns" else 1

    def take(self, columns):
        """Return the problem of a subset of the columns, which are independent systems."""
        new = copy(self)
        taken = tuple(np.take(array, columns, axis=1) for array in self._taken)
        new._use(self._x[columns], taken)
        new.__dict__.pop("whole", None)
        return new

    @cached_property
    def whole(self):
        """All pixels, with what has been worked out of them."""
        if self._taken is None:
            self._taken = self.image.columns(slice(None))
        return self._pixels(slice(0, self.n_columns))

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
        pixels = self._pixels(chunk)
        return pixels.inputs, pixels.data, pixels.weights

    def inputs(self, chunk):
        """Inputs of the model for a chunk: rows, or columns and rows."""
        return inputs_of(self.form.model, self._x[chunk], self.image.y)

    def _pixels(self, chunk):
        memory = self._memory.setdefault((chunk.start, chunk.stop), {})
        if self._taken is None:
            data, weights = self.image.columns(chunk)
        else:
            data, weights = (array[:, chunk] for array in self._taken)
        return Pixels(self.inputs(chunk), data, weights, memory)

    def local(self, values, chunk):
        """Values of a chunk: those given per column are cut."""
        return local_values(values, chunk, self.n_columns)

    def design(self, values):
        """The `Design` of the linear parameters, the others held at `values`."""
        return Design(self.form, values, self._x, self.image.y)

    def solve(self, design, *, ridge=0.0):
        """Solve for the linear parameters of a `Design`. Returns a `Pass`."""
        equations = []
        for chunk in self.chunks(len(self.form.linear) + 1):
            offset, columns = design.of(chunk)
            if chunk.start == 0 and all(np.shape(c)[-1] == 1 for c in columns.values()):
                return self._solved(self._whole_equations(design), ridge)
            equations.append(self._equations(self._pixels(chunk).less(offset), columns)[0])
        return self._solved(_joined(equations, self.batch), ridge)

    def _whole_equations(self, design):
        """All at once: single columns of basis images take no memory."""
        offset, columns = design.of(slice(0, self.n_columns))
        equations = self._equations(self.whole.less(offset), columns)[0]
        return equations.total() if self.batch is None else equations

    def _equations(self, pixels, columns):
        """Normal equations of some columns, and their basis images."""
        columns = [as_image(columns[k], pixels.data.shape) for k in self.form.linear]
        return NormalEquations.from_columns(
            columns, pixels.data, pixels.weights,
            weighted_data=pixels.weighted_data, sums=pixels.sums,
        ), columns  # fmt: skip

    def _solved(self, equations, ridge=0.0):
        solution = equations.solve(ridge=ridge)
        return Pass(solution.values, solution.particular, solution.covariance,
                    equations.chi2(solution.particular), equations.n_data)  # fmt: skip

    def _is_separable(self, values, wanted):
        """Whether basis images and derivatives are single columns, judged by three columns, once.

        That they are serves the memory: a pass over all pixels at once is right for any model.
        """
        if self.n_columns < 3 or any(np.ndim(v) and np.size(v) > 1 for v in values):
            return False
        if "separable" in self._memory:
            return self._memory["separable"]
        few = [0, self.n_columns // 2, self.n_columns - 1]
        _, columns, derivatives = self.form.expansion(values, self.inputs(few), wanted)
        images = [*columns.values(), *(d.image for d in (derivatives or {}).values())]
        one = (self.image.shape[0], 1)
        separable = derivatives is not None and all(np.shape(image) == one for image in images)
        self._memory["separable"] = separable
        return separable

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
        width = self.chunk_width(2 * len(free) + len(coupling) + len(self.form.linear) + 4)
        # No images of derivatives, no chunks.
        if width >= self.n_columns or self._is_separable(values, {*free, *coupling}):
            return self._linearise(self.whole, values, free, coupling)
        total = None
        for start in range(0, self.n_columns, width):
            chunk = slice(start, min(start + width, self.n_columns))
            slopes = {k: s if s.shape[1] == 1 else s[:, chunk] for k, s in coupling.items()}
            local = self.local(values, chunk)
            one = self._linearise(self._pixels(chunk), local, free, slopes)
            total = room_for(one, self.n_columns, self.shared) if total is None else total
            total.add(one, chunk, self.shared)
        return total

    def _linearise(self, pixels, values, free, coupling):
        """The pass of some columns."""
        wanted = {*free, *coupling}
        offset, columns, derivatives = self.form.expansion(values, pixels.inputs, wanted)
        pixels = pixels.less(offset)
        equations, columns = self._equations(pixels, columns)
        if any(column.shape[1] > 1 for column in columns):
            self._memory["separable"] = False
        solved = self._solved(equations)
        if derivatives is None:
            derivatives = self._derivatives(values, solved.particular, pixels.inputs, wanted)
        derivatives = {k: self._known(d, solved.particular) for k, d in derivatives.items()}
        slopes = Slopes.of(derivatives, free, coupling, pixels.data.shape)
        if slopes.few_images or not self.shared:
            known = (pixels.weighted_data, pixels.weights)
            sums = eliminated(solved, columns, slopes, known, shared=self.shared)
        else:
            residual = _residual(pixels.data, columns, solved.particular)
            sums = eliminated_from_jacobian(solved, columns, slopes, residual, pixels.weights)
        return replace(solved, **dict(zip(SUMS, sums, strict=True)))

    def _known(self, derivative, particular):
        """The derivative with its amplitude, if it awaits one, as part of the row."""
        if derivative.amplitude is None:
            return derivative
        row = particular[self.form.linear.index(derivative.amplitude)]
        return Outer(derivative.image, derivative.row * row)

    def _linearise_single(self, values, free, coupling):
        """As `linearise` where all pixels share the linear parameters: two passes over them."""
        solved = self.solve(self.design(values))
        gradient, information, mixed = 0.0, 0.0, 0.0
        for chunk in self.chunks(2 * len(free) + len(coupling) + len(self.form.linear) + 4):
            inputs, data, weights = self.pixels(chunk)
            local = self.local(values, chunk)
            offset, columns = self.form.columns(local, inputs)
            columns = [as_image(columns[k], data.shape) for k in self.form.linear]
            residual = _residual(
                np.where(weights > 0, data - offset, 0), columns, solved.particular
            )
            wanted = {*free, *coupling}
            derivatives = self._derivatives(local, solved.particular, inputs, wanted)
            jacobian = Slopes.of(derivatives, free, coupling, data.shape).jacobian(data.shape)
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

    def _derivatives(self, values, linear_values, inputs, wanted):
        """Derivatives of the model by the wanted parameters, by position."""
        values = list(values)
        for k, value in zip(self.form.linear, linear_values, strict=True):
            values[k] = value
        found = self.form.derivatives(values, inputs, wanted, factored=True)
        return {k: d if isinstance(d, Outer) else Outer(d) for k, d in found.items()}


def _residual(data, columns, values):
    residual = np.array(data)
    for column, value in zip(columns, values, strict=True):
        residual -= column * value
    return residual


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
