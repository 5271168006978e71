"""How much light a profile misses: a smooth factor between its flux and the sum of the pixels.

No family of profiles is exact, and the part of the light that a wrong shape misses is the same in
all columns, or changes slowly with them: the mean of many columns is wrong by more than their noise
says. Sums of the pixels tell of that part as well as their noise lets them, and what they do not
tell is an error that the columns have in common.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from ....models import BSplineProfile

__all__ = ["Differences", "ProfileScale", "expected_miss", "profile_scale"]

# Part of the light by which a profile may be wrong: of families with a shape of their own, and of
# those whose shape is learnt. A slope and a bow along the spectrum are expected to be smaller.
MISSED, MISSED_BY_LEARNT = 0.10, 0.03
DEGREE = 2
N_BLOCKS = 16
# A block in which the sum is off by itself, at a line say, counts for less.
ROBUST_SIGMA, N_ROUNDS = 3.0, 6


@dataclass(frozen=True, eq=False)
class ProfileScale:
    """Smooth factor by which the flux of a profile is to be multiplied.

    Attributes
    ----------
    factor : ndarray, shape (n_column,)
    errors : ndarray, shape (n_term, n_column)
        Its independent errors, each of all columns at once.
    """

    factor: np.ndarray
    errors: np.ndarray


def expected_miss(source):
    """Standard deviation of the part of the light that the profile of a source misses."""
    profile = source.profile
    shape = [n for n in profile.param_names if n != "center"]
    if all(profile.fixed[n] for n in shape):  # what is given is taken at its word
        return 0.0
    return MISSED_BY_LEARNT if isinstance(profile, BSplineProfile) else MISSED


@dataclass(frozen=True, eq=False)
class Differences:
    """Sums of pixels against the flux of a profile, in some columns.

    Attributes
    ----------
    flux, difference, variance : ndarray, shape (n,)
        Flux of the profile, sum less flux, and the variance of that.
    columns : ndarray of int, shape (n,)
        Where they are, among `n_column`.
    n_column : int
    """

    flux: np.ndarray
    difference: np.ndarray
    variance: np.ndarray
    columns: np.ndarray
    n_column: int


def profile_scale(sums, expected, stray=0.0):
    r"""Estimate the factor from differences between sums and fluxes.

    With the flux :math:`F`, Legendre polynomials :math:`B_k` and the difference :math:`d`,

    .. math::
        d_x = F_x \sum_k \delta_k B_k(x) + c + n_x, \qquad \delta_k \sim N(0, s^2 / (k + 1)^2),

    and :math:`c` of light that is no source's, the same in all columns.

    Flux and difference are averaged over blocks of columns, so that the noise of the flux does not
    count.

    Parameters
    ----------
    sums : Differences
    expected : float
        The standard deviation :math:`s`.
    stray : float
        The standard deviation of :math:`c`.

    Returns
    -------
    ProfileScale
    """
    columns, n_column = sums.columns, sums.n_column
    terms = legendre.legvander(np.linspace(-1, 1, n_column), DEGREE)
    expected = expected / (np.arange(DEGREE + 1) + 1.0)
    if not expected.any():
        return ProfileScale(np.ones(n_column), np.zeros((0, n_column)))
    if columns.size == 0:
        return ProfileScale(np.ones(n_column), expected[:, None] * terms.T)
    blocks = np.array_split(np.arange(columns.size), min(N_BLOCKS, columns.size))
    weight = 1 / sums.variance
    total = np.array([weight[b].sum() for b in blocks])
    level, off = (np.array([weight[b] @ a[b] for b in blocks]) / total
                  for a in (sums.flux, sums.difference))  # fmt: skip
    design = np.array([weight[b] @ terms[columns[b]] for b in blocks]) / total[:, None]
    design *= level[:, None]
    deviations = expected
    if stray > 0:
        design = np.column_stack([design, np.ones(len(blocks))])
        deviations = np.append(deviations, stray)
    design = design * deviations  # of terms in units of what is expected
    robust = np.ones(len(blocks))
    for _ in range(N_ROUNDS):
        root = np.sqrt(total * robust)
        delta, errors = _posterior(root[:, None] * design, root * off)
        robust = 1 / (1 + (off - design @ delta) ** 2 * total / ROBUST_SIGMA**2)
    n, terms = len(expected), terms * expected
    return ProfileScale(1 + terms @ delta[:n], errors[:, :n] @ terms.T)


def _posterior(design, data):
    """Mean and independent errors (rows) of unknowns of unit variance, from data of unit variance.

    From singular values, which hold where the data tell of one term by far more than of another.
    """
    left, known, right = np.linalg.svd(design)
    n, spread = len(known), np.ones(len(right))  # of what no datum tells, as it was
    spread[:n] = np.hypot(1, known)
    mean = known / spread[:n] * (left[:, :n].T @ data / spread[:n]) @ right[:n]
    return mean, right / spread[:, None]
