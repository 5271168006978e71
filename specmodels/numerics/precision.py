"""Inverse covariances of priors of terms in blocks, whose common scale may be known less well."""

from typing import NamedTuple

import numpy as np

__all__ = ["Precision", "as_precision"]


class Precision(NamedTuple):
    """Inverse covariance of priors: a diagonal, less one direction of each block.

    Attributes
    ----------
    diagonal, freed : ndarray, shape (n_term,)
        ``diag(d) - f f.T`` within each block: with `freed` a combination that is hardly known.
    block : ndarray of int, shape (n_term,)
        Block of each term.
    """

    diagonal: np.ndarray
    freed: np.ndarray
    block: np.ndarray

    @classmethod
    def of(cls, diagonal, start, mean=None, spread=None):
        """Of independent terms, or of those whose common scale has a spread of its own.

        Parameters
        ----------
        diagonal : ndarray, shape (n_term,)
            One over the variances about the mean times a scale.
        start : ndarray of int, shape (n_block + 1,)
        mean : ndarray, shape (n_term,), optional
        spread : ndarray, shape (n_block,), optional
            Standard deviation of the scale of each block, positive.
        """
        block = np.repeat(np.arange(len(start) - 1), np.diff(start))
        if spread is None:
            return cls(diagonal, np.zeros(len(diagonal)), block)
        along = diagonal * mean
        total = np.bincount(block, along * mean, len(start) - 1)
        # The inverse of the covariance by the formula of Sherman and Morrison.
        return cls(diagonal, along / np.sqrt(spread**-2.0 + total)[block], block)

    def apply(self, values):
        """Product with values, shape (n_term,)."""
        within = np.bincount(self.block, self.freed * values, self.block[-1:].sum() + 1)
        return self.diagonal * values - self.freed * within[self.block]

    def matrices(self, at):
        """Blocks of terms, shape (n, n_term, n_term) for their numbers, (n, n_term)."""
        out = -self.freed[at][:, :, None] * self.freed[at][:, None, :]
        n = at.shape[1]
        out[:, range(n), range(n)] += self.diagonal[at]
        return out


def as_precision(precision, start):
    """A `Precision`, of a diagonal too, for blocks that start at these terms."""
    return precision if isinstance(precision, Precision) else Precision.of(precision, start)
