"""Covariance of the samples of a spectrum: a band for neighbours, low rank for what all share.

Arrays only. A band alone would miss what trace, profile and slit function do to all samples alike.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["SpectrumCovariance", "band_of", "bin_weights", "interpolation_weights"]


@dataclass(frozen=True, eq=False)
class SpectrumCovariance:
    """Covariance of samples: ``C[i, j] = band[i, j - i] + sum(low_rank[i] * low_rank[j])``.

    Attributes
    ----------
    band : ndarray, shape (n, width)
        Entry ``k`` of row ``i`` belongs to the samples ``i`` and ``i + k``; in the square of the
        unit of the spectrum. Infinite in the first column where a sample is not determined.
    low_rank : ndarray, shape (n, rank)
        In the unit of the spectrum.
    """

    band: np.ndarray
    low_rank: np.ndarray

    def __post_init__(self):
        band, low_rank = (np.asarray(a, dtype=float) for a in (self.band, self.low_rank))
        if band.ndim != 2 or low_rank.ndim != 2 or len(band) != len(low_rank):
            raise ValueError(
                f"band, low_rank: expected arrays (n, width) and (n, rank), got {band.shape} and "
                f"{low_rank.shape}"
            )
        object.__setattr__(self, "band", band)
        object.__setattr__(self, "low_rank", low_rank)

    def __len__(self):
        return len(self.band)

    def __repr__(self):
        n, width = self.band.shape
        return f"<SpectrumCovariance of {n} samples: {width} diagonals, rank {self._rank}>"

    @classmethod
    def independent(cls, error):
        """Of samples that have nothing in common, from their standard errors, shape (n,)."""
        return cls.with_common(error, np.zeros((0, len(error))))

    @classmethod
    def with_common(cls, error, common):
        """Of samples whose standard errors, shape (n,), have a part in common.

        Parameters
        ----------
        error : array_like, shape (n,)
            Of each sample, all parts included.
        common : array_like, shape (n_common, n)
            Each row is an error of all samples at once.
        """
        common = np.nan_to_num(np.asarray(common, dtype=float))
        own = np.asarray(error, dtype=float) ** 2 - np.sum(common**2, axis=0)
        own = np.where(np.isfinite(own), np.maximum(own, 0.0), np.inf)
        return cls(own[:, None], common.T)

    @classmethod
    def of_dense(cls, matrix):
        """Of a matrix, shape (n, n), of which nothing is known to vanish."""
        unknown = ~np.isfinite(np.diagonal(matrix))
        known = np.nan_to_num(matrix[np.ix_(~unknown, ~unknown)])
        low_rank = np.zeros((len(unknown), len(known)))
        low_rank[~unknown] = _root(known)
        return cls(np.where(unknown, np.inf, 0.0)[:, None], low_rank)

    @classmethod
    def around(cls, band, common):
        """Of samples whose neighbours have covariances of which some are common to all.

        Parameters
        ----------
        band : ndarray, shape (n, width)
            Covariances of neighbours, all parts included.
        common : ndarray, shape (n, rank)
            Root of what all samples have in common.
        """
        own = np.array(band)
        n = len(own)
        for k in range(min(own.shape[1], n)):
            own[: n - k, k] -= np.einsum("ir,ir->i", common[: n - k], common[k:])
        return cls(own, common)

    def with_low_rank(self, more):
        """The same with more that all samples have in common, shape (n, rank)."""
        return SpectrumCovariance(self.band, np.concatenate([self.low_rank, more], axis=1))

    def with_band(self, more):
        """The same with more that neighbours have in common, shape (n, n_diagonal)."""
        width = max(self.band.shape[1], more.shape[1])
        band, more = (np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in (self.band, more))
        return SpectrumCovariance(band + more, self.low_rank)

    @property
    def _rank(self):
        return self.low_rank.shape[1]

    @property
    def is_diagonal(self):
        """Whether samples are independent."""
        return not self.band[:, 1:].any() and not self.low_rank.any()

    @property
    def unknown(self):
        """Samples that are not determined, shape (n,)."""
        return ~(np.isfinite(self.band).all(axis=1) & np.isfinite(self.low_rank).all(axis=1))

    @property
    def _banded(self):
        """The band as a sparse matrix, zero for samples that are not determined."""
        unknown, n = self.unknown, len(self)
        lines = {}
        for k in range(min(self.band.shape[1], n)):
            lost = unknown[: n - k] | unknown[k:]
            lines[k] = lines[-k] = np.where(lost, 0.0, self.band[: n - k, k])
        return sparse.diags_array(list(lines.values()), offsets=list(lines), format="csr")

    @property
    def variances(self):
        """Variance of each sample, shape (n,)."""
        total = self.band[:, 0] + np.sum(self.low_rank**2, axis=1)
        return np.where(self.unknown, np.inf, total)

    def of_sums(self, weights):
        """Covariance of weighted sums of the samples.

        Parameters
        ----------
        weights : array_like, shape (n_sum, n)

        Returns
        -------
        ndarray, shape (n_sum, n_sum)
            A sum in which a sample that is not determined has a part has an infinite variance.
        """
        weights = np.atleast_2d(np.asarray(weights, dtype=float))
        if weights.shape[1] != len(self):
            raise ValueError(
                f"weights: expected {len(self)} for each sum, got shape {weights.shape}"
            )
        unknown = self.unknown
        own = sparse.csr_array(np.where(unknown, 0.0, weights))
        out = (own @ self._banded @ own.T).toarray()
        shared = own @ np.where(unknown[:, None], 0.0, self.low_rank)
        out += shared @ shared.T
        lost = (weights[:, unknown] != 0).any(axis=1)
        out[lost] = out[:, lost] = np.nan
        out[lost, lost] = np.inf
        return out

    def dense(self):
        """The whole matrix, shape (n, n)."""
        unknown = self.unknown
        shared = np.where(unknown[:, None], 0.0, self.low_rank)
        out = self._banded.toarray() + shared @ shared.T
        out[unknown] = out[:, unknown] = np.nan
        out[unknown, unknown] = np.inf
        return out

    def selected(self, order):
        """The covariance of some samples in this order: indices, shape (m,)."""
        order = np.asarray(order, dtype=int)
        width = self.band.shape[1]
        band = np.zeros((len(order), width))
        for k in range(min(width, len(order))):
            i, j = order[: len(order) - k], order[k:]
            distance = np.abs(i - j)
            near = distance < width
            entry = self.band[np.minimum(i, j), np.where(near, distance, 0)]
            band[: len(i), k] = np.where(near, entry, 0.0)
        return SpectrumCovariance(band, self.low_rank[order])


def _root(matrix):
    """A matrix that times its transpose is a symmetric one, which has no negative eigenvalues."""
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        return vectors * np.sqrt(np.maximum(values, 0.0))


def band_of(matrix):
    """Band of a symmetric matrix, (n, n), with as many diagonals as are not zero: (n, width)."""
    row, column = np.nonzero(matrix)
    n, width = len(matrix), int(np.max(np.abs(row - column), initial=0)) + 1
    band = np.zeros((n, width))
    for k in range(width):
        band[: n - k, k] = np.diagonal(matrix, k)
    return band


def bin_weights(centers, edges):
    """Parts of samples that fall into bins: what conserves the flux; shape (n_bin, n).

    A sample covers the wavelengths that are nearer to it than to its neighbours.

    Parameters
    ----------
    centers : array_like, shape (n,)
        Wavelengths of the samples, increasing or decreasing.
    edges : array_like, shape (n_bin + 1,)
        Edges of the bins, increasing.
    """
    centers, edges = (np.asarray(a, dtype=float) for a in (centers, edges))
    ends = np.concatenate([
        [1.5 * centers[0] - 0.5 * centers[1]], 0.5 * (centers[1:] + centers[:-1]),
        [1.5 * centers[-1] - 0.5 * centers[-2]],
    ])  # fmt: skip
    low, high = np.minimum(ends[1:], ends[:-1]), np.maximum(ends[1:], ends[:-1])
    inside = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return np.maximum(inside, 0.0) / (high - low)


def interpolation_weights(centers, wanted):
    """Weights of samples for linear interpolation, shape (n_wanted, n), and what is inside."""
    centers, wanted = np.asarray(centers, dtype=float), np.asarray(wanted, dtype=float)
    known = np.flatnonzero(np.isfinite(centers))
    known = known[np.argsort(centers[known], kind="stable")]
    place = np.interp(wanted, centers[known], np.arange(len(known)))
    left = np.minimum(place.astype(int), max(len(known) - 2, 0))
    weights, row = np.zeros((len(wanted), len(centers))), np.arange(len(wanted))
    weights[row, known[left]] = 1 - (place - left)
    weights[row, known[np.minimum(left + 1, len(known) - 1)]] += place - left
    return weights, (wanted >= centers[known[0]]) & (wanted <= centers[known[-1]])
