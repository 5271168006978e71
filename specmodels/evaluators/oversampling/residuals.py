"""How much of what the trace model leaves over goes into an oversampled image: strategies."""

from abc import ABC, abstractmethod

import numpy as np
from scipy.ndimage import uniform_filter

__all__ = ["FullResidual", "NoResidual", "ResidualWeight", "SignificantResidual"]

# Rows and columns of the boxes in which residuals are compared with their noise.
BOXES = ((3, 3), (3, 9), (3, 33))
COHERENT_BOXES = BOXES[1:]
# Standard deviations beyond which residuals are all alike, whose squares single precision holds.
LARGEST = 1e6


class ResidualWeight(ABC):
    """Base of strategies: ``strategy(student, available)`` is the weight of each residual.

    Strategies that need not look at the residuals say so by a ``constant`` weight.
    """

    constant = None

    @abstractmethod
    def __call__(self, student, available):
        """Weight of each pixel's residual, from 0 to 1.

        Parameters
        ----------
        student : ndarray, shape (n_row, n_column)
            Data minus model over standard deviation, zero where not available.
        available : ndarray of bool, same shape

        Returns
        -------
        ndarray, same shape
        """

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({settings})"

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None


class FullResidual(ResidualWeight):
    """All of the residual: every pixel of the data counts, with its noise."""

    constant = 1.0

    def __call__(self, student, available):
        """One everywhere."""
        return np.ones(student.shape)


class NoResidual(ResidualWeight):
    """None of it: the model alone."""

    constant = 0.0

    def __call__(self, student, available):
        """Zero everywhere."""
        return np.zeros(student.shape)


class SignificantResidual(ResidualWeight):
    r"""As much as exceeds the noise in some neighbourhood:

    .. math::
        w = \max\left(0,\; 1 - \frac{1 + k\sqrt{2/n}}{\overline{z^2}},\;
        1 - \frac{k^2}{(\sum z)^2 / n}\right)

    with the residual :math:`z` in standard deviations, for boxes of 9, 27 and 99 pixels; the
    largest weight counts. Where the model holds, the noise of the residual stays out; lines of
    other regions, neighbours and misfits stay in.

    Parameters
    ----------
    threshold : float
        :math:`k`, how many standard deviations of its expectation a box must exceed.

    Raises
    ------
    ValueError
        If the threshold is negative.
    """

    def __init__(self, threshold=2.0):
        if not threshold >= 0:
            raise ValueError(f"threshold: expected a number from 0, got {threshold!r}")
        self.threshold = threshold

    def __call__(self, student, available):
        """Weights by the largest excess over the noise."""
        student = np.clip(np.where(available, student, 0), -LARGEST, LARGEST).astype("f4")
        counted = available.astype("f4")
        square = student**2
        weight = np.zeros(student.shape, dtype="f4")
        for box in BOXES:
            n = np.maximum(_sums(counted, box), 1)
            energy = _sums(square, box) / n
            _raise(weight, 1 + self.threshold * np.sqrt(2 / n), energy)
            if box in COHERENT_BOXES:
                _raise(weight, self.threshold**2, _sums(student, box) ** 2 / n)
        return weight.astype(float)


def _sums(values, box):
    return uniform_filter(values, box, mode="constant") * (box[0] * box[1])


def _raise(weight, expected, found):
    """Raise the weight, in place, to the part of `found` that exceeds the expectation."""
    found = np.maximum(found, 1e-30)
    np.maximum(weight, 1 - expected / found, out=weight)
