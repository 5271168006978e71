"""Covariance of the fine pixels of single columns.

What is written to a fine pixel is linear in the data of its column. Errors of the profile, which
all columns share, come on top.
"""

from functools import cached_property

import numpy as np
from scipy import sparse

from ...numerics.fine_pixels import look_up

__all__ = ["FineCovariance", "checked_columns", "derivatives"]


class FineCovariance:
    """Covariances of fine pixels by column.

    Parameters
    ----------
    part : `~specmodels.evaluators.oversampling.fine_slice.FineSlice`
    """

    def __init__(self, part):
        self.part = part

    def covariance(self, columns, native):
        """Covariance of fine pixels; zero between columns, though these share the profile.

        Parameters
        ----------
        columns : sequence of int
            Numbers within the slice.
        native : ndarray, shape (n_row, n)
            Variances of their data.

        Returns
        -------
        `~scipy.sparse.csr_matrix`, shape (n_fine * n, n_fine * n)
            Pixels in the order of rows.
        """
        by_data = self._blocks(columns)
        data = (by_data * native.T[:, None]) @ by_data.transpose(0, 2, 1)
        share, extra = self._own(columns)
        blocks = (
            (data + self._profile_blocks(columns, by_data)) * share[:, :, None] * share[:, None]
        )
        at = np.arange(blocks.shape[1])
        blocks[:, at, at] += extra
        return _in_rows(blocks)

    def variance(self, columns, native):
        """Diagonal of `covariance`, shape (n_fine, n); arguments as there."""
        by_data = self._blocks(columns)
        profile = np.diagonal(self._profile_blocks(columns, by_data), axis1=1, axis2=2)
        share, extra = self._own(columns)
        return ((np.einsum("kfr,rk->kf", by_data**2, native) + profile) * share**2 + extra).T

    @cached_property
    def _models(self):
        part = self.part
        return part.fit is not None and part.modelled.any()

    @cached_property
    def _plain(self):
        """Weights of native pixels in fine ones where there is no model."""
        return self.part.rows.weights(self.part.available)

    @cached_property
    def _residual(self):
        """Weights of the residuals of native pixels in fine ones where there is a model."""
        part, rows = self.part, self.part.rows
        own, other = rows.weights(part.available, part.positions)
        weight, has = part.residual_weight, rows.own(part.available)
        return own * rows.own(weight), np.where(has, other * rows.other(weight), 0.0)

    def _beyond(self, fine, native):
        """What fine pixels have of a term beyond the residuals of native ones."""
        own, other = self._residual
        rows = self.part.rows
        return fine - own * rows.own(native) - other * rows.other(native)

    @cached_property
    def _native_terms(self):
        return _terms(self.part.fit, self.part.native_profile, self.part.positions)

    @cached_property
    def _effect(self):
        """How fine pixels change with the sums over columns of weighted data times each term."""
        part = self.part
        fine = _terms(part.fit, part.fine_profile, part.fine_positions)
        by_value = [self._beyond(f, n) for f, n in zip(fine, self._native_terms, strict=True)]
        c = part.fit.column_covariance
        return [sum(c[k, j] * by for j, by in enumerate(by_value)) for k in range(len(fine))]

    @cached_property
    def _steep(self):
        """How fine pixels change with the place and the width of the profile."""
        part = self.part
        fine = derivatives(part, part.fine_positions, part.width)
        native = derivatives(part, part.positions)
        return [self._beyond(f, n) for f, n in zip(fine, native, strict=True)]

    def _own(self, columns):
        """Share of the model in fine pixels, and the variance beyond it; shape (n, n_fine) both."""
        if not self._models:
            shape = (len(columns), len(self.part.rows.native))
            return np.ones(shape), np.zeros(shape)
        _, extra, share = self.part.hidden_residual
        use, own = self.part.modelled[:, columns], self.part.rows.own
        return (np.where(use, own(share[:, columns]), 1.0).T,
                np.where(use, own(extra[:, columns]), 0.0).T)  # fmt: skip

    def _blocks(self, columns):
        """Matrix from the data of each column to its fine pixels, shape (n, n_fine, n_row)."""
        part, rows = self.part, self.part.rows
        n_fine, (n_row, _) = len(rows.native), part.image.shape
        own, other = self._plain
        if self._models:
            own = np.where(part.modelled, self._residual[0], own)
            other = np.where(part.modelled, self._residual[1], other)
        blocks = np.zeros((len(columns), n_fine, n_row))
        at = np.arange(n_fine)
        clipped = np.clip(rows.neighbour, 0, n_row - 1)
        for place, column in enumerate(columns):
            np.add.at(blocks[place], (at, rows.native), own[:, column])
            np.add.at(blocks[place], (at, clipped), other[:, column])
            if self._models:
                weights = np.where(part.fit_kept[:, column], part.image.weights[:, column], 0.0)
                use = part.modelled[:, column]
                by_data = sum(
                    np.outer(change[:, column], weights * term[:, column])
                    for change, term in zip(self._effect, self._native_terms, strict=True)
                )
                blocks[place] += np.where(use[:, None], by_data, 0)
        return blocks

    def _profile_blocks(self, columns, by_data):
        """Covariance by errors of the profile in each column, shape (n, n_fine, n_fine)."""
        part, fit = self.part, self.part.fit
        n_fine = len(part.rows.native)
        out = np.zeros((len(columns), n_fine, n_fine))
        if not self._models:
            return out
        shape_errors = fit.shape_errors * fit.scale**2
        prior = np.zeros(part.image.shape[1]) if fit.scale_prior is None else fit.scale_prior
        for place, column in enumerate(columns):
            use = np.flatnonzero(part.modelled[:, column])
            good = np.flatnonzero(part.known[:, column])
            # What fine pixels get of the profile in native ones, by the scale and the residuals.
            design = fit.design(part.fine_positions[use, column], part.width)
            design -= by_data[place][np.ix_(use, good)] @ fit.design(part.positions[good, column])
            block = fit.scale[column] ** 2 * fit.design_covariance(design, column)
            for variance, by in zip(shape_errors[:, column], self._steep, strict=True):
                block += variance * np.outer(by[use, column], by[use, column])
            by_scale = self._effect[0][use, column]
            block += prior[column] * np.outer(by_scale, by_scale)
            out[place][np.ix_(use, use)] = block
        return out


def derivatives(part, positions, width=1.0):
    """First and second derivative of the profile of a slice, each in the shape of the positions."""
    columns = np.broadcast_to(np.arange(part.image.shape[1]), positions.shape).ravel()
    tables = part.fit.derivative_tables(part.image.x, width)
    return [look_up(table, positions.ravel(), columns).reshape(positions.shape) for table in tables]


def _terms(fit, profile, positions):
    """What scale, level and slope are multiplied by."""
    height = np.nan_to_num(fit.height(positions))
    return (profile, np.ones(profile.shape), height)


def _in_rows(blocks):
    """Sparse matrix of blocks of columns, shape (n, n_fine, n_fine), pixels in order of rows."""
    n, n_fine, _ = blocks.shape
    place, row, other = index = np.nonzero(blocks)
    entries = (blocks[index], (row * n + place, other * n + place))
    return sparse.csr_matrix(entries, shape=(n_fine * n, n_fine * n))


def checked_columns(columns, n_columns):
    """Numbers of columns of a slice, all of them for None."""
    if columns is None:
        return np.arange(n_columns)
    columns = np.atleast_1d(columns)
    whole = columns.ndim == 1 and (columns.dtype.kind in "iu" or not columns.size)
    if not whole or np.any((columns < 0) | (columns >= n_columns)):
        raise ValueError(
            f"columns: expected whole numbers from 0 to {n_columns - 1}, got {columns.tolist()}"
        )
    return columns.astype(int)
