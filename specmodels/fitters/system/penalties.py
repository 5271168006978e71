"""Priors of linear coefficients as parts of the normal equations, and how strong they are.

Strengths that are not given have the greatest restricted likelihood: the update of Fellner and
Schall as generalised by Wood and Fasiolo (2017, Biometrics 73, 1071), which needs no more than the
covariance of the coefficients that a prior connects.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ...models.priors import CoefficientPrior, GaussianPrior

__all__ = ["Penalties", "Penalty"]

# Strengths beyond these, in terms of those with which a prior weighs as much as the data, change
# nothing any more: what it connects is as good as free, or held. Data that agree with a prior would
# have it go on, until what the prior leaves free is lost in rounding.
LEAST_STRENGTH, MOST_STRENGTH = 1e-12, 1e8


@dataclass(frozen=True, eq=False)
class Penalty:
    """One prior: ``strength * sum(value * c[first] * c[second])`` is added to chi-square.

    Attributes
    ----------
    name : str
        Of the model or parameter.
    first, second : ndarray of int, shape (n_pair,)
        Pairs of coefficients, each once.
    value : ndarray, shape (n_pair,)
        Of the matrix; off the diagonal each pair counts twice.
    rank : int
        Of the matrix.
    strength : float or None
        None where it is to be learnt.
    mean : float or ndarray, shape (n_coefficient,)
        Of the coefficients; an array is one of all coefficients of the system.
    """

    name: str
    first: np.ndarray
    second: np.ndarray
    value: np.ndarray
    rank: int
    strength: float | None
    mean: float | np.ndarray = 0.0

    def pull(self, n):
        """Matrix times means, which is added to the right-hand side; shape (n,)."""
        if not np.any(self.mean):
            return np.zeros(n)
        return self.product(np.broadcast_to(self.mean, (n,)))

    def product(self, coefficients):
        """Matrix times coefficients, those that it connects: shape of the coefficients."""
        out = np.zeros(len(coefficients))
        np.add.at(out, self.first, self.value * coefficients[self.second])
        off = self.first != self.second
        np.add.at(out, self.second[off], self.value[off] * coefficients[self.first[off]])
        return out

    def add_to(self, matrix, structure, strength):
        """Add the matrix, times a strength, to band, coupling and border in place."""
        band, coupling, border = matrix
        n = structure.n_band
        low, high = np.sort(structure.rank[np.stack([self.first, self.second])], axis=0)
        value = strength * self.value
        inside, across = high < n, (low < n) & (high >= n)
        np.add.at(band, (low[inside], (high - low)[inside]), value[inside])
        np.add.at(coupling, (low[across], high[across] - n), value[across])
        i, j, v = low[low >= n] - n, high[low >= n] - n, value[low >= n]
        np.add.at(border, (i, j), v)
        np.add.at(border, (j[i != j], i[i != j]), v[i != j])

    def square(self, coefficients):
        """Quadratic form of the coefficients, less their mean."""
        c = coefficients - self.mean
        twice = np.where(self.first == self.second, 1.0, 2.0)
        return float(np.sum(twice * self.value * c[self.first] * c[self.second]))

    def trace(self, covariance):
        """Trace of the matrix times a covariance, given as a function of pairs."""
        twice = np.where(self.first == self.second, 1.0, 2.0)
        return float(np.sum(twice * self.value * covariance(self.first, self.second)))


class Penalties:
    """All priors of the linear coefficients of a layout.

    Parameters
    ----------
    layout : Layout

    Raises
    ------
    TypeError
        If a prior is of an unknown kind.
    """

    def __init__(self, layout):
        self.all, self._limits = [], None
        for group in layout.groups:
            self._of_model(layout, group)
            self._of_parameters(layout, group)

    def __bool__(self):
        return bool(self.all)

    def _of_model(self, layout, group):
        prior = getattr(group.leaf, "coefficient_prior", None)
        if prior is None:
            return
        name = group.leaf.name or type(group.leaf).__name__
        if not isinstance(prior, CoefficientPrior):
            raise TypeError(f"{name}: expected a CoefficientPrior, got {prior!r}")
        matrix = sparse.csr_array(prior.matrix(group.leaf), dtype=float)
        mean = np.asarray(prior.mean(group.leaf), dtype=float)
        n = len(group.leaf.param_names)
        size = abs(matrix).max() if matrix.nnz else 0.0
        if matrix.shape != (n, n) or abs(matrix - matrix.T).max() > 1e-8 * size:
            raise ValueError(f"{name}: expected a symmetric matrix of {n} x {n} from {prior!r}")
        if mean.shape != (n,):
            raise ValueError(f"{name}: expected {n} means from {prior!r}, got {mean.shape}")
        offset = int(group.positions[0]) if n == len(group.positions) else None
        if offset is None or group.offset.any() or (group.factor != 1).any():
            raise ValueError(f"{name}: a prior of all coefficients allows no fixed or tied ones")
        i, j = sparse.tril(matrix).nonzero()
        repeat = np.arange(group.size)[:, None]
        first = (group.first[i] + repeat * group.stride[i]).ravel()
        second = (group.first[j] + repeat * group.stride[j]).ravel()
        value = np.tile(matrix[i, j], group.size)
        means = np.zeros(layout.n_coefficient)
        means[(group.first + repeat * group.stride).ravel()] = np.tile(mean, group.size)
        self.all.append(Penalty(name, first, second, value, _rank(matrix) * group.size,
                                prior.strength, means))  # fmt: skip

    def _of_parameters(self, layout, group):
        names = layout.form.names
        own = zip(group.positions.tolist(), _names(layout, group), strict=True)
        parameters = {k: getattr(group.leaf, name) for k, name in own}
        for term, k in enumerate(group.positions):
            prior = parameters[k].prior
            if prior is None or k in layout.form.followers:
                continue
            if not isinstance(prior, GaussianPrior):
                raise TypeError(f"model: expected priors to be GaussianPrior, got {prior!r}")
            numbers = group.numbers(term)
            self.all.append(Penalty(names[k], numbers, numbers, np.ones(len(numbers)), len(numbers),
                                    prior.sigma**-2, prior.mean))  # fmt: skip

    @property
    def pairs(self):
        """Pairs of coefficients which priors connect."""
        if not self.all:
            return np.zeros(0, int), np.zeros(0, int)
        return (np.concatenate([p.first for p in self.all]),
                np.concatenate([p.second for p in self.all]))  # fmt: skip

    def first_strengths(self, diagonal):
        """Strengths that are given; for others, such that a prior weighs as much as the data."""
        out = []
        for penalty in self.all:
            known = penalty.strength
            if known is None:
                own = penalty.first == penalty.second
                data = np.median(diagonal[penalty.first[own]])
                known = max(data, 1e-300) / np.median(penalty.value[own])
            out.append(known)
        self._limits = np.outer((LEAST_STRENGTH, MOST_STRENGTH), out)
        return np.array(out)

    def updated(self, strengths, coefficients, covariance):
        """Strengths after one step of Fellner and Schall."""
        out = strengths.copy()
        for n, penalty in enumerate(self.all):
            if penalty.strength is None:
                free = penalty.rank - strengths[n] * penalty.trace(covariance)
                square = max(penalty.square(coefficients), 1e-300)
                limits = strengths[n] * np.array([1e-3, 1e3])
                out[n] = np.clip(max(free, 1e-3) / square, *limits)
        return np.clip(out, *self._limits)

    @property
    def learnt(self):
        """Whether any strength is to be learnt."""
        return any(penalty.strength is None for penalty in self.all)


def _rank(matrix):
    """Rank of a symmetric sparse matrix."""
    row, column = matrix.nonzero()
    if np.array_equal(row, column):
        return int(np.count_nonzero(matrix.diagonal()))
    return int(np.linalg.matrix_rank(matrix.toarray()))


def _names(layout, group):
    """Names of the parameters of a group in its elementary model."""
    first = next(p.start for leaf, p in layout.form.leaves() if leaf is group.leaf)
    return [group.leaf.param_names[k - first] for k in group.positions.tolist()]
