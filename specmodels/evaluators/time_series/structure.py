"""What profiles lack, from many integrations: light that moves and widens with the sources.

What is left of each pixel is sorted by its distance from the trace: one that moves shows a profile
at all phases of a pixel, which the mean image has lost. A spline is fitted to it, with the weights
of the pixels. To keep what stands out and to drop the rest would not do: what is dropped would be
taken for flux, more or less of it where the trace lies elsewhere.
"""

import numpy as np
from scipy.interpolate import BSpline

from ...models.empirical import FWHM_OF_GAUSSIAN, graded_knots
from ...numerics.moving_kernels import gathered
from ...numerics.moving_tables import FINE

__all__ = ["ProfileStructure"]

# Columns that are summed together, and those for each degree of a polynomial of the column.
BLOCK, COLUMNS, MOST_TERMS = 32, 256, 5
# Reach of a structure in full widths, and distance of knots in the core in standard deviations and,
# at least, in pixels: no pixel shows what comes and goes within it.
REACH, CORE, LEAST_CORE = 8.0, 0.4, 0.5
# Of the usual weight of a coefficient, that of its being on a line with its neighbours, and of its
# being zero: for what no trace that is straight and at rest shows.
SMOOTHNESS, SMALLNESS = 1e-3, 1e-9
# Columns with less light than so many standard errors tell nothing of the profile.
LEAST_SNR = 10.0


class ProfileStructure:
    """Light in pixels around traces beyond the profiles of a geometry, as fractions of all light.

    Parameters
    ----------
    geometry : `~specmodels.evaluators.time_series.moving_sources.Geometry`
        With which integrations are fitted.
    """

    def __init__(self, geometry):
        self.centers = geometry.centers
        n_row, n_column = geometry.image.shape
        reach = int(min(np.ceil(REACH * geometry.fwhm), n_row))
        self.sigma = geometry.fwhm / FWHM_OF_GAUSSIAN
        self.places = np.arange(-reach * FINE, reach * FINE + 1) / FINE
        n_block = max(1, round(n_column / BLOCK))
        self.block = np.arange(n_column) * n_block // n_column
        self.light, self.weight = np.zeros((2, len(self.centers), n_block, len(self.places)))
        errors = np.array([geometry.result._flux(name)[1] for name in geometry.numbers])
        with np.errstate(invalid="ignore", divide="ignore"):
            self.bright = np.abs(geometry.fluxes / errors) > LEAST_SNR

    def add(self, one):
        """Take in an `Integration`."""
        pixels = one.residual, one.fit.weights, one.fit.basis
        fluxes = np.where(self.bright, np.nan_to_num(one.fit.values[: len(self.centers)]), 0.0)
        totals = self.light, self.weight
        gathered(pixels, fluxes, self.centers, one.fit.theta, self.block, totals)

    def integrals(self):
        """Integral of the structure of each source at the places, (n_source, n_column, n_place)."""
        integral, n_column = self._integral(), len(self.block)
        across = integral(self.places + 0.5) - integral(self.places - 0.5)
        n_block = self.light.shape[1]
        degree = min(n_column // COLUMNS, MOST_TERMS - 1, n_block - 1)
        middles = (np.arange(n_block) + 0.5) * 2 / n_block - 1
        along = np.polynomial.legendre.legvander(middles, degree)
        columns = np.polynomial.legendre.legvander(np.linspace(-1, 1, n_column), degree)
        return np.array([columns @ _fitted(across, along, light, weight) @ integral(self.places).T
                         for light, weight in zip(self.light, self.weight, strict=True)],
                        dtype=np.float32)  # fmt: skip

    def _integral(self):
        """Integrals of cubic B-splines that are zero with their slopes at both ends, a function."""
        core = max(CORE, LEAST_CORE / self.sigma)
        knots = graded_knots(self.places[-1] / self.sigma, core=core) * self.sigma
        padded = np.pad(knots, 3, mode="edge")
        terms = BSpline(padded, np.eye(len(knots) + 2)[:, 2:-2], 3).antiderivative()
        return lambda y: terms(np.clip(y, knots[0], knots[-1]))


def _fitted(across, along, light, weight):
    """Coefficients of products of terms along and across, shape (n_along, n_across)."""
    n_along, n_across = along.shape[1], across.shape[1]
    # Blocks by pairs of terms across, then all pairs.
    own = np.array([across.T @ (w[:, None] * across) for w in weight])
    matrix = np.einsum("bp,bq,bij->piqj", along, along, own).reshape(2 * (n_along * n_across,))
    vector = np.einsum("bp,bt,ti->pi", along, light, across).ravel()
    bent = np.diff(np.eye(n_across), 2, axis=0)
    usual = np.mean(np.diag(matrix))
    if usual == 0:
        return np.zeros((n_along, n_across))
    prior = SMOOTHNESS * bent.T @ bent + SMALLNESS * np.eye(n_across)
    matrix += usual * np.kron(np.eye(n_along), prior)
    return np.linalg.solve(matrix, vector).reshape(n_along, n_across)
