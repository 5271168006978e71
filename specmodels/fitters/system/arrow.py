"""Factors of a system of independent blocks and what they share, and what follows from them.

The shared coefficients are eliminated exactly: what each block takes from their matrix (its Schur
complement) is added up over the blocks, one after another. Couplings are never kept: they are made
anew from the pixels wherever they are needed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...numerics.arrow_kernels import (
    couplings,
    mark_shared,
    solve_rows,
    split_equations,
)
from ...numerics.block_band import BlockBand
from ...numerics.bordered_band import (
    SUSPECT,
    Factored,
    band_factor,
    band_solve,
    inverse_in_band,
    scaled_band,
)

__all__ = ["ArrowFactor", "Block"]

# What the inverse of a block makes of a coupling falls off along the block: so many rows are looked
# at together, and entries this small, relative to the largest, change no digit of what follows.
ROWS_AT_ONCE = 64
LEAST_ENTRY = 1e-18
# So many suspects of being undetermined are looked at; where there are more, all of them are lost.
MOST_SUSPECTS = 256


@dataclass(frozen=True, eq=False)
class Block:
    """One block, scaled.

    Attributes
    ----------
    ranks : slice
        Of its coefficients.
    shared : ndarray of int, shape (n_shared,)
        Numbers of the shared coefficients which it meets, increasing.
    coupling, solved : ndarray, shape (n, n_shared)
        With those, and what the inverse of the block makes of it.
    """

    ranks: slice
    shared: np.ndarray
    coupling: np.ndarray
    solved: np.ndarray


class ArrowFactor(Factored):
    """Factors of the normal matrix of a system with an `ArrowStructure`, priors included.

    Parameters
    ----------
    entries : Entries
    weights : ndarray, shape (n_pixel,)
    structure : ArrowStructure
    extra : tuple of ndarray, each of shape (n_pair,)
        Ranks and values of what priors add, each pair once, the lower rank first.
    ridge : float
    taken_out : ndarray of bool, shape (n,), optional
        Ranks without a part in it.

    Attributes
    ----------
    scale, out, null
        As of `~specmodels.numerics.bordered_band.BorderedBand`.
    lost : ndarray of bool, shape (n,)
        Suspects of being undetermined, where they are too many to be looked at.
    """

    def __init__(self, entries, weights, structure, extra, ridge=0.0, taken_out=None):
        self.entries, self.weights, self.structure = entries, weights, structure
        self.extra, self.ridge = extra, ridge
        n = len(structure.rank)
        self.null = np.zeros((n, 0))
        band, shared = self._assembled()
        self.scale = self._scaled(band, shared)
        self.out = self.scale == 0
        if taken_out is not None:
            self.out |= taken_out
        out = self.out.copy()
        self._factorise(scaled_band(band, self.scale[: structure.n_band]), shared, SUSPECT)
        suspects = np.flatnonzero(self.out & ~out)
        self.lost = np.zeros(n, dtype=bool)
        if len(suspects) > MOST_SUSPECTS:
            self.lost[suspects] = True
        elif len(suspects):
            self.null = self._undetermined(suspects)
            out[self._pins(self.null)] = True
            self.out = out
            _, shared = self._assembled()
            self._scaled(band, shared)
            self._factorise(scaled_band(band, self.scale[: structure.n_band]), shared, 0.0)

    @property
    def n_band(self):
        """Number of coefficients in blocks."""
        return self.structure.n_band

    def _assembled(self):
        """Band of the blocks and the shared part, as they are."""
        s = self.structure
        band, shared = np.zeros((s.n_band, s.width + 1)), BlockBand(s.layout)
        for pixels, index, value in self.entries:
            split_equations(index, value, self.weights[pixels], s.rank, band, shared.numbers,
                            *shared.address)  # fmt: skip
        self.data_diagonal = np.concatenate([band[:, 0], shared.matrix_diagonal()])
        low, high, value = self.extra
        if self.ridge:
            band[:, 0] *= 1 + self.ridge
            numbers = np.arange(s.n_border)
            shared.add_pairs(numbers, numbers, self.ridge * shared.matrix_diagonal())
        inside, beyond = high < s.n_band, low >= s.n_band
        np.add.at(band, (low[inside], (high - low)[inside]), value[inside])
        shared.add_pairs(low[beyond] - s.n_band, high[beyond] - s.n_band, value[beyond])
        return band, shared

    def _scaled(self, band, shared):
        """Scale to a unit diagonal; that of the shared part is done in place."""
        diagonal = np.concatenate([band[:, 0], shared.matrix_diagonal()])
        scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros(len(diagonal)),
                          where=diagonal > 0)  # fmt: skip
        shared.rescale(scale[self.n_band :])
        return scale

    def _factorise(self, band, shared, floor):
        """Factors of the blocks, and of what they leave of the shared part."""
        n = self.n_band
        self.factor, left = band_factor(band, self.out[:n], floor)
        self.out = np.concatenate([left, self.out[n:]])
        for block in self.blocks():
            for rows, active, part in pieces(block.solved):
                left = block.coupling[rows]
                met = np.flatnonzero(left.any(axis=0))
                taken = left[:, met].T @ part
                shared.add_part(block.shared[met], block.shared[active], -taken)
        self.out[n:] = shared.factorise(self.out[n:], floor)
        self.shared = shared

    def blocks(self):
        """Each `Block` in turn, made from the pixels."""
        s, n = self.structure, self.n_band
        before, parts = None, []
        for first, end, low, high in s.blocks.tolist():
            if not (before and before[0] <= low and high <= before[1]):
                before, parts = (low, high), _Region(self.entries, low, high)
            seen = np.zeros(s.n_border, dtype=bool)
            for pixels, index, value in parts:
                mark_shared(index, value, self.weights[pixels], s.rank, first, end, n, seen)
            pair = self._mixed_pairs(first, end)
            seen[pair[1]] = True
            shared = np.flatnonzero(seen)
            column = np.zeros(s.n_border, dtype=np.int64)
            column[shared] = np.arange(len(shared))
            coupling = np.zeros((end - first, len(shared)))
            for pixels, index, value in parts:
                couplings(index, value, self.weights[pixels], s.rank, first, end, n, column,
                          coupling)  # fmt: skip
            np.add.at(coupling, (pair[0] - first, column[pair[1]]), pair[2])
            coupling *= np.where(self.out[first:end], 0.0, self.scale[first:end])[:, None]
            coupling *= np.where(self.out[n:], 0.0, self.scale[n:])[shared]
            solved = coupling.copy()
            solve_rows(self.factor[first:end], solved)
            yield Block(slice(first, end), shared, coupling, solved)

    @cached_property
    def _mixed(self):
        """What priors add between blocks and shared coefficients, by rank in the blocks."""
        low, high, value = self.extra
        mixed = (low < self.n_band) & (high >= self.n_band)
        order = np.argsort(low[mixed], kind="stable")
        return low[mixed][order], high[mixed][order] - self.n_band, value[mixed][order]

    def _mixed_pairs(self, first, end):
        start, stop = np.searchsorted(self._mixed[0], [first, end])
        return tuple(array[start:stop] for array in self._mixed)

    def _solve(self, scaled):
        n = self.n_band
        out = np.empty(scaled.shape)
        first = band_solve(self.factor, scaled[:n])
        first[self.out[:n]] = 0.0
        meet = self._product(np.concatenate([first, np.zeros_like(scaled[n:])]))[n:]
        out[n:] = self.shared.solve(np.where(self.out[n:, None], 0.0, scaled[n:] - meet))
        out[n:][self.out[n:]] = 0.0
        meet = self._product(np.concatenate([np.zeros_like(first), out[n:]]))[:n]
        meet[self.out[:n]] = 0.0
        out[:n] = first - band_solve(self.factor, meet)
        out[self.out] = 0.0
        return out

    def _product(self, vectors):
        """The scaled matrix times vectors, shape (n, n_vector)."""
        rank, out = self.structure.rank, np.empty(vectors.shape)
        plain = (vectors * self.scale[:, None])[rank]
        for number, vector in enumerate(plain.T):
            own = self.entries.product(self.weights, vector)
            own += self.ridge * self.data_diagonal[rank] * vector
            out[rank, number] = own
        low, high, value = self.extra
        off = low != high
        ranked = vectors * self.scale[:, None]
        np.add.at(out, low, value[:, None] * ranked[high])
        np.add.at(out, high[off], value[off, None] * ranked[low[off]])
        return out * self.scale[:, None]

    @property
    def determined(self):
        """Whether the matrix determines each coefficient, shape (n,)."""
        return super().determined & ~self.lost

    def determines(self, rows):
        """Whether it determines weighted sums of coefficients, rows of shape (n_sum, n)."""
        return super().determines(rows) & ~(rows[:, self.lost] != 0).any(axis=1)

    @cached_property
    def variances(self):
        """Diagonal of the inverse, shape (n,); infinite for what is not determined."""
        n = self.n_band
        out = np.concatenate([inverse_in_band(self.factor)[:, 0], self.shared.variances()])
        for block in self.blocks():
            own = out[block.ranks]
            for rows, active, part in pieces(block.solved):
                inner = self.shared.inverse_of(block.shared[active])
                own[rows] += np.einsum("ki,ki->k", part @ inner, part)
        out[:n][self.out[:n]] = out[n:][self.out[n:]] = 0.0
        return np.where(self.determined, out * self.scale**2, np.inf)


class _Region:
    """Parts of the pixels of some rows: kept where they are few."""

    def __init__(self, entries, low, high):
        parts = entries.between(low, high)
        first = [part for part, _ in zip(parts, range(2), strict=False)]
        self._kept = first if len(first) < 2 else None
        self._again = lambda: entries.between(low, high)

    def __iter__(self):
        return iter(self._again() if self._kept is None else self._kept)


def pieces(solved):
    """Rows of a matrix, the columns in which they have entries, and these: some rows at once."""
    least = LEAST_ENTRY * np.max(np.abs(solved), initial=0.0)
    for start in range(0, len(solved), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        active = np.flatnonzero((np.abs(solved[rows]) > least).any(axis=0))
        if len(active):
            yield rows, active, solved[rows][:, active]
