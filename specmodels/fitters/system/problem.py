"""One pass over the pixels of all images: linear coefficients solved, the others differentiated."""

from itertools import pairwise

import numpy as np

from ...models.composition import bound
from ...models.linear import Outer
from ...models.linear_form import LinearForm
from ...numerics.sparse_rows import transposed
from ..elimination import Slopes
from ..problem import Pass
from .bounds import limits, within_bounds
from .equations import Equations
from .iterated import with_noise
from .layout import Layout
from .noise import noise_of
from .noise_strengths import learnt_noise
from .parameters import SharedParameters
from .priors import Penalties
from .structure import Structure

__all__ = ["SystemProblem"]

# Strengths of priors are learnt to this relative accuracy, in so many steps at most.
STRENGTH_TOLERANCE, STRENGTH_STEPS = 0.02, 40


class SystemProblem:
    """A model of any composition on the pixels of one or several images.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Of column and row.
    images : sequence of `~specmodels.exposure.SpectralImage`
    batch : {"columns", None}
        None where no coefficient is to repeat over anything.
    share : bool or mapping of str to bool
        See `~specmodels.fitters.system.parameters.SharedParameters`.
    hold : bool
        Whether non-linear parameters keep their values.
    ridge : float
        Ridge, relative to the diagonal of the normal equations of the data.

    Raises
    ------
    ValueError
        If the images lack a coordinate, or the system is too large to be factorised.
    """

    shared, n_batch = True, 1

    def __init__(self, model, images, *, batch="columns", share=True, hold=False, ridge=0.0):
        if batch not in ("columns", None):
            raise ValueError(f"batch: expected 'columns' or None, got {batch!r}")
        self.model, self.images, self.batch = model, list(images), batch
        self.forms = [LinearForm(bound(model, image), follow_ties=True) for image in self.images]
        self.form = self.forms[0]
        self.parameters, self.ridge = SharedParameters(self.forms, share, hold=hold), ridge
        filled = [image.columns(slice(None)) for image in self.images]
        self.data = np.concatenate([data.ravel() for data, _ in filled])
        self.weights = np.concatenate([weights.ravel() for _, weights in filled])
        ends = np.cumsum([0, *(image.data.size for image in self.images)])
        self.slices = [slice(*pair) for pair in pairwise(ends)]
        self.inputs = [self._inputs(image) for image in self.images]
        self.layout = self.structure = self.penalties = self.strengths = None
        self.noise, self.noise_is_held = noise_of(self.forms, self.images), False

    def _inputs(self, image):
        names = self.form.model.inputs
        if self.form.model.n_inputs == 1 and names[0] == "x" and not _rows_alone(self.form.model):
            return (image.x[None],)
        return (image.y[:, None],) if len(names) == 1 else (image.x[None], image.y[:, None])

    def _entries(self, values):
        """Offset, numbers and values of the entries of all pixels."""
        found = [form.rows(own, inputs) for form, own, inputs
                 in zip(self.forms, values, self.inputs, strict=True)]  # fmt: skip
        if self.layout is None:
            self.layout = Layout(self.form, [rows for _, rows in found], self.images, self.batch)
        offsets, numbers, entries = [], [], []
        for number, ((offset, rows), image) in enumerate(zip(found, self.images, strict=True)):
            tied, index, value = self.layout.entries(rows, number, image.shape)
            offset = np.broadcast_to(np.asarray(offset + tied, dtype=float), image.shape)
            offsets.append(offset.ravel())
            numbers.append(index)
            entries.append(value)
        if len(found) == 1:
            return offsets[0], numbers[0], entries[0]
        return np.concatenate(offsets), *_side_by_side(numbers, entries)

    def _equations(self, index, value):
        """Normal equations of these entries, with the structure of the first ones."""
        weights = _usable(value, self.weights)
        if self.structure is None:
            self.penalties, self._limits = Penalties(self.layout), limits(self.layout)
            self.structure = Structure.of(self.layout.n_coefficient, (index, value), weights,
                                          self._positions(), self.penalties.pairs)  # fmt: skip
        structure = self.structure.fitting((index, value), weights, self.penalties.pairs)
        return Equations(self.layout.n_coefficient, index, value, weights, structure,
                         self.penalties, self.strengths, self.ridge)  # fmt: skip

    def _with_noise(self, equations, data):
        """The same equations with the correlated noise as part of the data's covariance."""
        if self.noise is None or (self.noise_is_held and not self.noise.is_started):
            return equations
        if not self.noise.is_started:
            left = data - equations.image(equations.solved(data))
            self.noise = self.noise.started(left, equations.weights)
        return with_noise(equations, self.noise)

    def _positions(self):
        """Ways to order the pixels: by column or row, of all images or one image after another."""
        x = [np.broadcast_to(image.x[None], image.shape).ravel() for image in self.images]
        y = [np.broadcast_to(image.y[:, None], image.shape).ravel() for image in self.images]
        ways = [np.concatenate(x), np.concatenate(y)]
        if len(self.images) > 1:
            for parts in (x, y):
                step = 10 * max(np.ptp(part) for part in parts) + 10
                ways.append(np.concatenate([part + n * step for n, part in enumerate(parts)]))
        return ways

    def solve(self, theta):
        """Coefficients for these non-linear values, with the strengths of priors learnt.

        Returns
        -------
        equations, coefficients, offset, residual
        """
        values = [self.parameters.of(number, theta)[0] for number in range(len(self.images))]
        offset, index, value = self._entries(values)
        equations = self._equations(index, value)
        data = np.where(equations.weights > 0, self.data - offset, 0.0)
        if self.strengths is None:
            self.strengths = self.penalties.first_strengths(equations.diagonal)
            equations = equations.with_strengths(self.strengths)
        equations = self._with_noise(equations, data)
        if self.penalties.learnt or self._noise_is_learnt:
            equations = self._learn(equations, data)
        equations, coefficients = within_bounds(equations, data, self._limits)
        residual = np.where(equations.weights > 0, data - equations.image(coefficients), 0.0)
        return equations, coefficients, offset, residual

    def learns_noise(self, theta):
        """Learn the spectra of correlated noise at these values; whether that has changed them.

        Between such calls they are held: chi-square would not be comparable from pass to pass, and
        what is left of a bad start would be taken for noise.
        """
        if self.noise is None or not self.noise.wanted:
            return False
        before, self.noise_is_held = self.noise, False
        self.solve(theta)
        self.noise_is_held = True
        return self.noise is not before

    @property
    def _noise_is_learnt(self):
        return self.noise is not None and bool(self.noise.learnt) and not self.noise_is_held

    def _learn(self, equations, data):
        """Equations with strengths of greatest restricted likelihood."""
        for _ in range(STRENGTH_STEPS):
            change, before = 0.0, self.noise
            if self.penalties.learnt:
                equations, change = self._learn_priors(equations, data)
            if self._noise_is_learnt:
                equations = learnt_noise(equations, data)
                self.noise = equations.noise
            if self.noise is before or not self.penalties.learnt:
                break
        return equations

    def _learn_priors(self, equations, data):
        """Equations with other strengths of the priors, and how much those have changed."""
        for _ in range(STRENGTH_STEPS):
            coefficients = equations.solved(data)
            new = self.penalties.updated(self.strengths, coefficients, equations.covariance)
            change = np.max(np.abs(np.log(new / self.strengths)))
            self.strengths = new
            equations = equations.with_strengths(new)
            if change < STRENGTH_TOLERANCE:
                break
        return equations, change

    def linearise(self, theta):
        """Solve, and differentiate by the others: a `~specmodels.fitters.problem.Pass`."""
        equations, coefficients, _, residual = self.solve(theta)
        weights, n_free = equations.weights, len(self.parameters.entries)
        gradient, information = np.zeros(n_free), np.zeros((n_free, n_free))
        mixed = np.zeros((equations.n, n_free))
        for number, part in enumerate(self.slices):
            slopes = self._slopes(number, theta, coefficients)
            place = self.parameters.places[number]
            weighted = equations.weighted(slopes, part)
            gradient[place] += weighted @ residual[part]
            information[np.ix_(place, place)] += weighted @ slopes.T
            own = equations.index[part], equations.value[part]
            for n, each in zip(place, weighted, strict=True):
                mixed[:, n] += transposed(*own, each, equations.n)
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

    def _slopes(self, number, theta, coefficients):
        """Derivatives of an image by its free parameters, shape (n_own, n_pixel)."""
        image, form = self.images[number], self.forms[number]
        base, free, coupling = self.parameters.of(number, theta)
        values = self.layout.local(coefficients, base, number)
        found = form.derivatives(values, self.inputs[number], {*free, *coupling}, factored=True)
        found = {k: d if isinstance(d, Outer) else Outer(d) for k, d in found.items()}
        slopes = Slopes.of(found, free, coupling, image.shape)
        return np.nan_to_num(slopes.jacobian(image.shape).reshape(len(free), -1))


def _held(equations):
    none = np.zeros((equations.n, 1), dtype=bool)
    return none if equations.held is None else equations.held[:, None]


def _usable(value, weights):
    """Weights of pixels whose entries are all known; the others are taken to have none."""
    known = np.isfinite(value).all(axis=1)
    if known.all():
        return weights
    value[~known] = 0.0
    return np.where(known, weights, 0.0)


def _side_by_side(numbers, entries):
    """Entries of all images with room for as many as any has."""
    width = max(index.shape[1] for index in numbers)
    room = [((0, 0), (0, width - index.shape[1])) for index in numbers]
    return (np.concatenate([np.pad(a, r) for a, r in zip(arrays, room, strict=True)])
            for arrays in (numbers, entries))  # fmt: skip


def _rows_alone(model):
    """Whether the one input of a model is the row, as that of profiles is."""
    return "y" in getattr(model, "coordinates", ("y",))
