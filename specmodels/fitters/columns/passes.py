"""What one pass over the pixels gives: `Pass`."""

from dataclasses import dataclass, fields

import numpy as np

__all__ = ["SUMS", "Pass", "room_for"]

SUMS = ("gradient", "information", "response")
SYSTEM = ("gradient", "information")  # of these, what adds up where parameters are shared


@dataclass(frozen=True, eq=False)
class Pass:
    """Result of one pass; `n_batch` is the number of columns, or one for a single system.

    Attributes
    ----------
    values, particular : ndarray, shape (n_linear, n_batch)
        Linear parameters; the latter finite also where the data do not determine them.
    covariance : ndarray, shape (n_linear, n_linear, n_batch)
        Their covariance, the non-linear parameters held.
    chi2 : ndarray, shape (n_batch,)
        Chi-square.
    n_data : ndarray of int, shape (n_batch,)
        Pixels used.
    gradient : ndarray, shape (n_free, n_system)
        Half the negative derivative of chi-square by the free non-linear parameters; `n_system` is
        one where they are shared.
    information : ndarray, shape (n_free, n_free, n_system)
        Their Fisher information, the linear parameters eliminated.
    response : ndarray, shape (n_linear, n_free, n_batch)
        Derivative of the linear parameters by the non-linear ones, with the sign turned.
    """

    values: np.ndarray
    particular: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    n_data: np.ndarray
    gradient: np.ndarray | None = None
    information: np.ndarray | None = None
    response: np.ndarray | None = None

    def take(self, columns):
        """The pass of some of the columns, which are independent systems."""
        return Pass(*(np.take(array, columns, axis=-1) for array in vars(self).values()))

    def add(self, one, chunk, shared):
        """Fill in the pass of a chunk; gradient and information add up where they are shared."""
        for key, own in vars(self).items():
            if shared and key in SYSTEM:
                own += getattr(one, key)
            else:
                own[..., chunk] = getattr(one, key)

    def put(self, columns, other, where=slice(None)):
        """Overwrite columns by those of another pass at `where`."""
        for key, own in vars(self).items():
            own[..., columns] = getattr(other, key)[..., where]


def room_for(one, n_columns, shared):
    """A pass of all columns, to be filled chunk by chunk."""

    def room(key, wide):
        array = getattr(one, key)
        shape = (*array.shape[:-1], n_columns if wide else array.shape[-1])
        return np.zeros(shape, dtype=array.dtype)

    keys = (entry.name for entry in fields(Pass))
    return Pass(**{key: room(key, not shared or key not in SYSTEM) for key in keys})
