r"""Covariances of white noise and sums of exponentials, factorised in a time linear in the pixels.

The covariance of pixels in the order of time is

.. math::
    N_{pq} = v_p\,\delta_{pq} + \sum_c a_c\,u_{pc}\,u_{qc}\,\phi_c^{|t_p - t_q|}

with a few components :math:`c`, of which each pixel has some: those of its output, and those common
to all outputs. The Cholesky factors are those of Foreman-Mackey et al. (2017, AJ 154, 220), in the
form of Foreman-Mackey (2018, RNAAS 2, 31), exact for any gaps. Pixels of infinite variance have no
part in anything. Kernels are in ``semiseparable_kernels``; the normal matrix of sparse rows in this
metric is in ``semiseparable_gram``.
"""

from functools import cached_property

import numpy as np

from . import semiseparable_kernels as kernels

__all__ = ["Semiseparable"]


class Semiseparable:
    """A covariance, factorised.

    Parameters
    ----------
    time : ndarray of int, shape (n_pixel,)
        Not decreasing; at a step beyond all memory series begin anew.
    block : ndarray of int32, shape (n_pixel, n_part)
        Numbers of the blocks of components that each pixel has.
    gain : ndarray, shape (n_pixel, n_part)
        Factor of each of them.
    phi : ndarray, shape (n_decay,)
        Decay of the components of a block in a unit of time.
    amplitudes : ndarray, shape (n_block, n_decay)
        Of the components of each block.
    variance : ndarray, shape (n_pixel,)
        Of white noise; infinite for pixels without data.
    order : ndarray of int, shape (n_pixel,), optional
        Place of each of these pixels in vectors. Default: they are in the order of time.

    Raises
    ------
    ValueError
        If the matrix is not positive definite.
    """

    def __init__(self, time, block, gain, phi, amplitudes, variance, order=None):
        self.block, self.gain, self.amplitudes = block, gain, amplitudes
        self.order = np.arange(len(time)) if order is None else order
        self.step, self.power = _steps(time, phi)
        self.pivot, self.reach = kernels.factorise(
            block, gain, self.step, self.power, amplitudes, variance
        )
        if not (self.pivot > 0).all():
            raise ValueError("the covariance of the noise is not positive definite")

    @property
    def _generators(self):
        return self.block, self.gain, self.step, self.power, self.amplitudes

    @cached_property
    def log_determinant(self):
        """Logarithm of the determinant, of the pixels with data."""
        return float(np.sum(np.log(self.pivot[np.isfinite(self.pivot)])))

    def solve(self, values):
        """Inverse times vectors, shape (..., n_pixel); zero where there are no data."""
        rows = self._in_time(values)
        return self._back(kernels.solve(*self._generators, self.pivot, self.reach, rows), values)

    def coloured(self, values):
        """Factor times vectors, (..., n_pixel): independent unit normal numbers become noise."""
        rows = self._in_time(values)
        return self._back(kernels.coloured(*self._generators, self.pivot, self.reach, rows), values)

    def correlated(self, values, amplitudes=None):
        """Covariance without the white noise times vectors, shape (..., n_pixel).

        `amplitudes`, (n_block, n_decay), may be others than those of the matrix.
        """
        amplitudes = self.amplitudes if amplitudes is None else amplitudes
        rows = self._in_time(values)
        return self._back(kernels.correlated(*self._generators[:-1], amplitudes, rows), values)

    def _in_time(self, values):
        """Vectors as columns in the order of time, shape (n_pixel, n_vector)."""
        return np.ascontiguousarray(np.atleast_2d(values).T[self.order])

    def _back(self, rows, values):
        """Columns in the order of time as vectors in the shape of those that were given."""
        out = np.empty(rows.shape)
        out[self.order] = rows
        return np.ascontiguousarray(out.T).reshape(np.shape(values))

    @cached_property
    def inverse_diagonal(self):
        """Diagonal of the inverse, shape (n_pixel,); zero where there are no data."""
        out = np.empty(len(self.order))
        out[self.order] = self.inverse_generators[0]
        return out

    @cached_property
    def inverse_generators(self):
        """Diagonal of the inverse, (n_pixel,), and what makes the rest of it, (n_pixel, n_state).

        In the order of time. Entry :math:`p > q` is the product of the row of `p`, of the
        transitions between, and of the input of `q`.
        """
        return kernels.inverse_generators(*self._generators, self.pivot, self.reach)


def _steps(time, phi):
    """Which step each pixel is from the one before, and the decays of the different steps."""
    lag = np.diff(time, prepend=time[0])
    lags, step = np.unique(lag, return_inverse=True)
    power = np.sign(phi) ** (lags[:, None] % 2) * np.abs(phi) ** lags[:, None]
    return step.astype(np.int32), power
