"""Normal equations of systems too large for one band with a border."""

from functools import cached_property

import numpy as np

from ...numerics.bordered_band import inverse_in_band
from .arrow import ArrowFactor
from .equations import MOST_PIXELS, Equations

__all__ = ["ArrowEquations"]


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
            np.add.at(out, index, self.weights[pixels, None] * value**2)
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
        out = np.full(len(first), np.nan)
        alone = (first == second) & (rank[first] >= n)
        out[alone] = self._shared_variances[rank[first[alone]] - n]
        near = ~alone & (np.minimum(rank[first], rank[second]) < n) & self._in_one_block(
            rank[first], rank[second])  # fmt: skip
        out[near] = self._covariance_in_blocks(rank[first[near]], rank[second[near]])
        rest = ~alone & ~near
        if rest.any():
            out[rest] = self._any_covariance(first[rest], second[rest])
        return out

    @cached_property
    def _shared_variances(self):
        return self.factor.shared.variances() * self._scale[self.structure.n_band :] ** 2

    @cached_property
    def _scale(self):
        """Scale of the coefficients that have a part in the solution, zero of others."""
        return np.where(self.factor.out, 0.0, self.factor.scale)

    def _in_one_block(self, first, second):
        ends = self.structure.blocks[:, 1]
        low, high = np.minimum(first, second), np.maximum(first, second)
        block = np.searchsorted(ends, low, side="right")
        end = ends[np.minimum(block, len(ends) - 1)] if len(ends) else low
        return (block < len(ends)) & (high < end) & (high - low <= self.structure.width)

    def _covariance_in_blocks(self, first, second):
        factor = self.factor
        out = np.zeros(len(first))
        if not len(out):
            return out
        low, high = np.minimum(first, second), np.maximum(first, second)
        order = np.argsort(low, kind="stable")
        band = inverse_in_band(factor.factor)
        out[:] = band[low, high - low]
        for block in factor.blocks():
            start, stop = np.searchsorted(low[order], [block.ranks.start, block.ranks.stop])
            for begin in range(start, stop, MOST_PIXELS):
                own = order[begin : min(begin + MOST_PIXELS, stop)]
                for part in np.array_split(own, max(len(own) // 64, 1)):
                    both = [block.solved[r[part] - block.ranks.start] for r in (low, high)]
                    active = np.flatnonzero(both[0].any(axis=0) | both[1].any(axis=0))
                    inner = factor.shared.inverse_of(block.shared[active])
                    left, right = (b[:, active] for b in both)
                    out[part] += np.einsum("pi,pi->p", left @ inner, right)
        return out * self._scale[low] * self._scale[high]

    def border_part(self, rows):
        """None: what is shared has no inverse of its own."""

    def leverages(self):
        """How much each datum is its own model, shape (n_pixel,): between zero and one."""
        if "all images" in self.known:
            whole, pixels = self.known["all images"]
            return whole.leverages()[pixels]
        factor, rank, n = self.factor, self.structure.rank, self.structure.n_band
        out = np.zeros(len(self.weights))
        band = inverse_in_band(factor.factor)
        for block in factor.blocks():
            low, high = self._rows_of(block)
            for pixels, index, value in self.entries.between(low, high):
                place = rank[index]
                inside = (place >= block.ranks.start) & (place < block.ranks.stop) & (value != 0)
                own = np.flatnonzero(inside.any(axis=1) & (self.weights[pixels] > 0))
                for some in np.array_split(own, max(len(own) // 2048, 1)):
                    if len(some):
                        out[pixels.start + some] = self._forms(block, band, place[some],
                                                               value[some])  # fmt: skip
        for pixels, index, value in self.entries:
            place = rank[index]
            alone = ((place >= n) | (value == 0)).all(axis=1) & (self.weights[pixels] > 0)
            for p in np.flatnonzero(alone):
                which, number = np.unique(place[p][value[p] != 0] - n, return_inverse=True)
                row = np.bincount(number, value[p][value[p] != 0], len(which))
                row *= self._scale[n + which]
                out[pixels.start + p] = row @ factor.shared.inverse_of(which) @ row
        return np.clip(self.weights * out, 0.0, 1.0)

    def _rows_of(self, block):
        at = np.searchsorted(self.structure.blocks[:, 0], block.ranks.start)
        return self.structure.blocks[at, 2:4]

    def _forms(self, block, band, place, value):
        """Quadratic forms of pixels that see a block in the covariance, shape (n_pixel,)."""
        factor, n, first = self.factor, self.structure.n_band, block.ranks.start
        scaled = value * self._scale[place]
        inside = (place < n) & (value != 0)
        own = np.where(inside, scaled, 0.0)
        where = np.where(inside, place - first, 0)
        total = np.zeros(len(place))
        for a in range(place.shape[1]):
            for b in range(place.shape[1]):
                low = np.minimum(where[:, a], where[:, b])
                step = np.abs(where[:, a] - where[:, b])
                step = np.minimum(step, band.shape[1] - 1)  # those beyond have a value of zero
                total += own[:, a] * own[:, b] * band[first + low, step]
        net = np.zeros((len(place), len(block.shared)))
        column = np.full(self.structure.n_border + 1, -1)
        column[block.shared] = np.arange(len(block.shared))
        for a in range(place.shape[1]):
            net -= own[:, a, None] * block.solved[where[:, a]]
            beyond = np.flatnonzero(~inside[:, a] & (value[:, a] != 0))
            np.add.at(net, (beyond, column[place[beyond, a] - n]), scaled[beyond, a])
        active = np.flatnonzero(net.any(axis=0))
        inner = factor.shared.inverse_of(block.shared[active])
        net = net[:, active]
        return total + np.einsum("pi,pi->p", net @ inner, net)
