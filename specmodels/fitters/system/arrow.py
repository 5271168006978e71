"""Factors of a system of independent blocks and what they share, and what follows from them.

The shared coefficients are eliminated exactly: what each block takes from their matrix (its Schur
complement) is added up over the blocks, one after another.
"""

from functools import cached_property

import numpy as np

from ...numerics.arrow_kernels import Pixels, split_equations
from ...numerics.band_factors import band_factor, band_solve, inverse_in_band, scaled_band
from ...numerics.bordered_band import SUSPECT, Factored
from ...numerics.sparse_rows import image_of, transposed
from ...numerics.tiled import TiledMatrix
from .arrow_blocks import Blocks
from .arrow_structure import MOST_NUMBERS

__all__ = ["ArrowFactor"]

# So many suspects of being undetermined are looked at; where there are more, all of them are lost.
MOST_SUSPECTS = 256


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
        band = np.zeros((s.n_band, s.width + 1))
        shared = TiledMatrix(s.tiling, s.seen, MOST_NUMBERS)
        for pixels, index, value in self.entries:
            split_equations(Pixels(index, value, self.weights[pixels]), s.ranks, band,
                            shared.numbers, shared.address)  # fmt: skip
        self.data_diagonal = np.concatenate([band[:, 0], shared.diagonal()])
        low, high, value = self.extra
        if self.ridge:
            band[:, 0] *= 1 + self.ridge
            numbers = np.arange(s.n_border)
            shared.add_pairs(numbers, numbers, self.ridge * shared.diagonal())
        inside, beyond = high < s.n_band, low >= s.n_band
        np.add.at(band, (low[inside], (high - low)[inside]), value[inside])
        shared.add_pairs(low[beyond] - s.n_band, high[beyond] - s.n_band, value[beyond])
        return band, shared

    def _scaled(self, band, shared):
        """Scale to a unit diagonal; that of the shared part is done in place."""
        diagonal = np.concatenate([band[:, 0], shared.diagonal()])
        scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros(len(diagonal)),
                          where=diagonal > 0)  # fmt: skip
        shared.rescale(scale[self.n_band :])
        return scale

    def _factorise(self, band, shared, floor):
        """Factors of the blocks, and of what they leave of the shared part."""
        n = self.n_band
        self.factor, left = band_factor(band, self.out[:n], floor)
        self.out = np.concatenate([left, self.out[n:]])
        for rows in self.blocks.forward():
            shared.take_square(rows.ranges, rows.values)
        self.out[n:] = shared.factorise(self.out[n:], floor)
        self.shared = shared

    @property
    def blocks(self):
        """The factorised `Blocks`."""
        low, high, value = self.extra
        mixed = (low < self.n_band) & (high >= self.n_band)
        own = low[mixed], high[mixed] - self.n_band, value[mixed]
        return Blocks(self.entries, self.weights, self.structure, own, self.factor,
                      self.kept_scale)  # fmt: skip

    @property
    def kept_scale(self):
        """Scale of the coefficients that have a part in the solution, zero of others."""
        return np.where(self.out, 0.0, self.scale)

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
        rank, ranked = self.structure.rank, vectors * self.scale[:, None]
        plain = np.ascontiguousarray(ranked[rank].T)
        own = self.ridge * self.data_diagonal[rank] * plain
        for pixels, index, value in self.entries:
            for vector, total in zip(plain, own, strict=True):
                image = self.weights[pixels] * image_of(index, value, vector)
                total += transposed(index, value, image, len(total))
        out = np.empty(vectors.shape)
        out[rank] = own.T
        low, high, value = self.extra
        off = low != high
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
        for rows in self.blocks.solved():
            inner, own = self.shared.inverse_of(rows.ranges), rows.values[: rows.end - rows.first]
            out[rows.first : rows.end] += np.einsum("ki,ki->k", own @ inner, own)
        out[:n][self.out[:n]] = out[n:][self.out[n:]] = 0.0
        return np.where(self.determined, out * self.scale**2, np.inf)
