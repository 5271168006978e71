"""Normal equations of systems too large for one band with a border."""

from functools import cached_property

import numpy as np

from ...numerics.band_factors import inverse_in_band
from ...numerics.sparse_rows import transposed
from .arrow import ArrowFactor
from .arrow_leverages import arrow_leverages
from .equations import Equations

__all__ = ["ArrowEquations"]

SOLUTIONS_AT_ONCE = 64


class ArrowEquations(Equations):
    """As `Equations`, with an `ArrowStructure`: nothing but the factors is kept."""

    def with_strengths(self, strengths):
        """The same pixels with other strengths of the priors."""
        return self._replaced(strengths=strengths)

    def holding(self, held):
        """The same with these coefficients held."""
        return self._replaced(held=held)

    def of_image(self, number, pixels):
        """The same coefficients and factors, with the entries of one image alone."""
        one = ArrowEquations(self.entries.of_image(number), self.weights[pixels], self.structure,
                             self.penalties, self.strengths, self.ridge, self.held,
                             {"all images": (self, pixels)})  # fmt: skip
        one.__dict__["factor"], one.__dict__["_data_diagonal"] = self.factor, self.diagonal
        return one

    def reweighted(self, weights):
        """The same pixels with other weights."""
        return self._replaced(weights=weights)

    def _replaced(self, **changes):
        settings = dict(weights=self.weights, ridge=self.ridge, held=self.held,
                        strengths=self.strengths) | changes  # fmt: skip
        return ArrowEquations(self.entries, structure=self.structure, penalties=self.penalties,
                              **settings)  # fmt: skip

    @property
    def diagonal(self):
        """Diagonal of the data's matrix in the order of the coefficients."""
        return self._data_diagonal

    @cached_property
    def _data_diagonal(self):
        out = np.zeros(self.n)
        for pixels, index, value in self.entries:
            out += transposed(index, value**2, self.weights[pixels], self.n)
        return out

    @cached_property
    def factor(self):
        """The factorised matrix, priors included, as an `ArrowFactor`."""
        rank, held = self.structure.rank, None
        priors = zip(self.penalties.all, self.strengths, strict=True)
        pairs = [(p.first, p.second, strength * p.value) for p, strength in priors]
        none = (np.zeros(0, int), np.zeros(0, int), np.zeros(0))
        first, second, value = (np.concatenate(parts)
                                for parts in zip(none, *pairs, strict=True))  # fmt: skip
        extra = (*np.sort(rank[np.stack([first, second])], axis=0), value)
        if self.held is not None:
            held = np.zeros(self.n, dtype=bool)
            held[rank[self.held]] = True
        return ArrowFactor(self.entries, self.weights, self.structure, extra, self.ridge, held)

    def covariance(self, first, second):
        """Covariances of pairs of coefficients."""
        rank, n = self.structure.rank, self.structure.n_band
        one, two = rank[first], rank[second]
        out = np.full(len(first), np.nan)
        shared = (one >= n) & (two >= n)
        out[shared] = self._shared_covariance(one[shared] - n, two[shared] - n)
        near = ~shared & self._in_one_block(one, two)
        if near.any():
            out[near] = self._covariance_in_blocks(one[near], two[near])
        rest = np.isnan(out)
        if rest.any():
            out[rest] = self._any_covariance(first[rest], second[rest])
        return out

    def _any_covariance(self, first, second):
        """As of other equations, with the solutions for some second coefficients at a time."""
        which, place = np.unique(second, return_inverse=True)
        out = np.empty(len(first))
        for start in range(0, len(which), SOLUTIONS_AT_ONCE):
            own = (place >= start) & (place < start + SOLUTIONS_AT_ONCE)
            out[own] = super()._any_covariance(first[own], second[own])
        return out

    def _shared_covariance(self, first, second):
        """Covariances of pairs of shared coefficients; NaN where their tiles do not meet."""
        scale = self.factor.kept_scale[self.structure.n_band :]
        if np.array_equal(first, second):
            return self._shared_variances[first] * scale[first] ** 2
        return self.factor.shared.covariances(first, second) * scale[first] * scale[second]

    @cached_property
    def _shared_variances(self):
        return self.factor.shared.variances()

    def _in_one_block(self, first, second):
        ends = self.structure.blocks[:, 1]
        low, high = np.minimum(first, second), np.maximum(first, second)
        block = np.searchsorted(ends, low, side="right")
        end = ends[np.minimum(block, len(ends) - 1)] if len(ends) else low
        return (block < len(ends)) & (high < end) & (high - low <= self.structure.width)

    def _covariance_in_blocks(self, first, second):
        """Covariances of pairs of coefficients of a block, no further apart than its diagonals."""
        factor, low, high = self.factor, np.minimum(first, second), np.maximum(first, second)
        out = inverse_in_band(factor.factor)[low, high - low]
        order = np.argsort(low, kind="stable")
        for rows in factor.blocks.solved():
            which = order[slice(*np.searchsorted(low[order], [rows.first, rows.end]))]
            if len(which):
                cross = rows.values @ factor.shared.inverse_of(rows.ranges)
                one, two = low[which] - rows.first, high[which] - rows.first
                out[which] += np.einsum("pi,pi->p", cross[one], rows.values[two])
        return out * self.factor.kept_scale[low] * self.factor.kept_scale[high]

    def border_part(self, rows):
        """None: what is shared has no inverse of its own."""

    def predicted_variances(self):
        """Variance of the model in each pixel, of those without weight too, shape (n_pixel,)."""
        if "all images" in self.known:
            whole, pixels = self.known["all images"]
            return whole.predicted_variances()[pixels]
        return arrow_leverages(self)
