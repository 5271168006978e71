"""A model on the pixels of all images: linear coefficients solved for values of the others."""

from copy import copy
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from ...models.linear_form import LinearForm
from .arrow_equations import ArrowEquations
from .arrow_structure import ArrowStructure
from .bounds import limits, within_bounds
from .derivatives import Differentiated
from .entries import Entries
from .equations import Equations
from .iterated_equations import with_noise
from .layout import Layout
from .noise import noise_of
from .noise_strengths import learnt_noise
from .penalties import Penalties
from .pixels import cut, filled, inputs_of
from .shared_parameters import SharedParameters
from .structure import Structure, orders_of_pixels

__all__ = ["SystemProblem"]

# Strengths of priors are learnt to this relative accuracy, in so many steps at most.
STRENGTH_TOLERANCE, STRENGTH_STEPS = 0.02, 40
# Coefficients are sorted anew where the matrix takes so many times the work of the first one.
MUCH_MORE_WORK = 4.0


class SystemProblem(Differentiated):
    """A model of any composition on the pixels of one or several images.

    Parameters
    ----------
    model : `~astropy.modeling.Model`, or list of them
        Of column and row; or one for each image, which differ in values, limits and in what is
        fixed.
    images : sequence of `~specmodels.SpectralImage`
    batch : {"columns", None}
        None where no coefficient is to repeat over anything.
    share : bool or mapping of str to bool
        See `~specmodels.fitters.system.shared_parameters.SharedParameters`.
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
        self.images, self.batch = list(images), batch
        self.models = model if isinstance(model, list) else [model] * len(self.images)
        self.forms = [LinearForm(own, follow_ties=True, image=image)
                      for own, image in zip(self.models, self.images, strict=True)]  # fmt: skip
        self.form = self.forms[0]
        self.parameters, self.ridge = SharedParameters(self.forms, share, hold=hold), ridge
        self.data, self.weights = filled(self.images)
        ends = np.cumsum([0, *(image.data.size for image in self.images)])
        self.slices = [slice(*pair) for pair in pairwise(ends)]
        self.inputs = [inputs_of(self.form.model, image) for image in self.images]
        self.layout = self.structure = self.penalties = self.strengths = self._limits = None
        self.noise, self.noise_is_held = noise_of(self.forms, self.images), False
        self._last = self._solved = None

    def masked(self, images):
        """The same system on the same pixels, of which others are masked."""
        one = copy(self)
        one.images, one._solved = list(images), None
        one.data, one.weights = filled(one.images)
        return one

    def of_image(self, number):
        """The same system as it is seen in one of its images, whose pixels alone it has."""
        one, part = copy(self), self.slices[number]
        one._solved = None
        for key in ("models", "images", "forms", "inputs"):
            setattr(one, key, [getattr(self, key)[number]])
        one.form, one.slices = one.forms[0], [slice(0, part.stop - part.start)]
        one.data, one.weights = self.data[part], self.weights[part]
        one.parameters = self.parameters.of_image(number)
        one.layout = self.layout.of_image(number)
        if self.noise is not None:
            one.noise = self.noise.of_image(number, part)
        return one

    def _entries(self, values):
        """Entries of all pixels, and their offset, shape (n_pixel,)."""
        if self.layout is None:
            all_ = zip(self.forms, values, self.inputs, strict=True)
            first = [form.rows(own, cut(inputs, slice(0, 1)))[1] for form, own, inputs in all_]
            self.layout = Layout(self.form, first, self.images, self.batch)
        offset = np.zeros(len(self.data))
        known = np.ones(len(self.data), dtype=bool)
        shapes = [image.shape for image in self.images]

        def make(number, rows):
            found, parts = self.forms[number].rows(values[number], cut(self.inputs[number], rows))
            shape = (rows.stop - rows.start, shapes[number][1])
            tied, index, value = self.layout.entries(parts, number, shape, (rows, slice(None)))
            start = self.slices[number].start
            pixels = slice(start + rows.start * shape[1], start + rows.stop * shape[1])
            offset[pixels].reshape(shape)[...] = found + tied
            good = np.isfinite(value).all(axis=1)
            if not good.all():
                known[pixels] = good
                value[~good] = 0.0
                offset[pixels][~good] = np.nan
            return index, value

        entries = Entries(make, shapes, self.layout.n_coefficient)
        if not entries.held:
            for _ in entries:  # all offsets, and what is not known
                pass
        return entries, offset, known

    def entries_of(self, positions, theta):
        """`Entries` of an elementary model, by positions of its parameters, in the first image."""
        values, shape = self.parameters.of(0, theta)[0], self.images[0].shape
        which = [n for n, group in enumerate(self.layout.groups)
                 if not set(positions).isdisjoint(group.positions)]  # fmt: skip
        layout = copy(self.layout)
        layout.groups = [self.layout.groups[n] for n in which]

        def make(_, rows):
            found = self.forms[0].rows(values, cut(self.inputs[0], rows))[1]
            size = rows.stop - rows.start, shape[1]
            own = layout.entries([found[n] for n in which], 0, size, (rows, slice(None)))
            value = np.where(np.isfinite(own[2]).all(axis=1, keepdims=True), own[2], 0.0)
            return own[1], value

        return Entries(make, [shape], self.layout.n_coefficient)

    def _equations(self, entries, weights):
        """Normal equations of these entries, with the structure of the first ones.

        A coefficient that none of these saw has its place at the end: where shapes that moved let
        pixels see it, all is sorted anew.
        """
        if self.penalties is None:
            self.penalties, self._limits = Penalties(self.layout), limits(self.layout)
        pairs, structure = self.penalties.pairs, None
        orders = partial(orders_of_pixels, self.images)
        if self.structure is not None:
            structure = self.structure.fitting(entries, weights, pairs, orders)
        if structure is None or structure.work > MUCH_MORE_WORK * self.structure.work:
            structure = Structure.of(entries, weights, orders(), pairs)
            self.structure = structure
        kind = ArrowEquations if isinstance(structure, ArrowStructure) else Equations
        return kind(entries, weights, structure, self.penalties, self.strengths, self.ridge)

    def _with_noise(self, equations, data):
        """The same equations with the correlated noise as part of the data's covariance."""
        if self.noise is None or (self.noise_is_held and not self.noise.is_started):
            return equations
        if not self.noise.is_started:
            left = data - equations.image(equations.solved(data))
            self.noise = self.noise.started(left, equations.weights)
        return with_noise(equations, self.noise)

    def _assembled(self, theta):
        """Equations at these non-linear values, offset, and data less it; strengths may be none."""
        if self._last is None or not np.array_equal(self._last[0], theta):
            each = range(len(self.images))
            found = self._entries([self.parameters.of(number, theta)[0] for number in each])
            self._last = theta.copy(), *found
        _, entries, offset, known = self._last
        weights = self.weights if known.all() else np.where(known, self.weights, 0.0)
        equations = self._equations(entries, weights)
        data = np.where(equations.weights > 0, self.data - offset, 0.0)
        return equations, offset, data

    def known_equations(self, theta, strengths, laws):
        """Equations and offset of a system of which all is known, strengths and noise included.

        Parameters
        ----------
        theta : ndarray, shape (n_free, 1)
        strengths : ndarray, shape (n_penalty,)
        laws : dict or None
            Of correlated noise, if the model has a term of it; see `Noise`.
        """
        self.strengths = strengths
        if self.noise is not None:
            self.noise, self.noise_is_held = replace(self.noise, laws=laws), True
        equations, offset, data = self._assembled(theta)
        return self._with_noise(equations, data), offset

    def solve(self, theta):
        """Coefficients for these non-linear values, with the strengths of priors learnt.

        Returns
        -------
        equations, coefficients, offset, residual
        """
        if self._solved is not None and np.array_equal(self._solved[0], theta):
            return self._solved[1]
        self._solved = None  # not to have the factors of two
        solution = self._solution(theta)
        if not self.penalties.learnt and self.noise is None:
            self._solved = theta.copy(), solution
        return solution

    def _solution(self, theta):
        """As `solve`, made anew."""
        equations, offset, data = self._assembled(theta)
        if self.strengths is None:
            self.strengths = self.penalties.first_strengths(
                equations.diagonal if self.penalties.learnt else None
            )
            equations = equations.with_strengths(self.strengths)
        equations = self._with_noise(equations, data)
        if self.penalties.learnt or self._noise_is_learnt:
            equations = self._learn(equations, data)
        equations, coefficients = within_bounds(equations, data, self._limits)
        equations.forget_matrix()
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
            before = self.noise
            if self.penalties.learnt:
                equations = self._learn_priors(equations, data)
            if self._noise_is_learnt:
                equations = learnt_noise(equations, data)
                self.noise = equations.noise
            if self.noise is before or not self.penalties.learnt:
                break
        return equations

    def _learn_priors(self, equations, data):
        """Equations with strengths of the priors that suit the noise as it is."""
        for _ in range(STRENGTH_STEPS):
            coefficients = equations.solved(data)
            new = self.penalties.updated(self.strengths, coefficients, equations.covariance)
            change = np.max(np.abs(np.log(new / self.strengths)))
            self.strengths = new
            equations = equations.with_strengths(new)
            if change < STRENGTH_TOLERANCE:
                break
        return equations

    @property
    def is_limited(self):
        """Whether linear coefficients have bounds."""
        return self._limits is not None
