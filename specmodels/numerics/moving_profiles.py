"""Fluxes of sources that move and widen from image to image.

The light of the sources at any movement comes from tables; all else that a step of the fit needs
are sums over the pixels of each column. Movements are found from a part of the columns, and then
put right by all. Arrays only.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from .moving_kernels import summed
from .normal import NormalEquations

__all__ = ["MovingFit", "MovingProfiles", "MovingSums"]

MAX_STEPS, SMALL_GAIN, FEW_GAIN = 8, 0.05, 1.0
# Of a step of all columns from which no more is expected the second order is nothing: less than a
# tenth of its error, of all light together, at any signal-to-noise ratio above a hundred.
FIRST_GAIN = 50.0
# Columns from which movements are found, and a first shift.
FEW, FEWEST = 256, 64
# Where to start: shifts over the largest one. Columns with so many times the usual chi-square hold
# hits, and tell nothing of movements.
STARTS, LARGEST_CHI2 = np.linspace(-0.75, 0.75, 7), 3.0
# Variances that exceed those expected by such a factor are those of single pixels.
LARGEST_RATIO = 2.0


@dataclass(frozen=True, eq=False)
class MovingProfiles:
    """What an integration is made of.

    Attributes
    ----------
    shapes : `~specmodels.numerics.moving_tables.Shapes`
        Of sources and sky.
    noise : `~specmodels.numerics.moving_kernels.Noise`
        Expected variances.
    n_level : int
        Number of levels of the sky, one coefficient each for an integration.
    spread : ndarray, shape (2,)
        Standard deviations of shift and stretch that are expected, wide; zero: held.
    limit : ndarray, shape (2,)
        Largest shift and stretch.
    """

    shapes: object
    noise: object
    n_level: int
    spread: np.ndarray
    limit: np.ndarray

    @property
    def n_source(self):
        """Number of sources."""
        return len(self.shapes.splines)

    def sums(self, pixels, theta, columns=None):
        """Sums over the pixels of some columns, or of all, moved by `theta`; a `MovingSums`."""
        columns = np.arange(len(pixels.data)) if columns is None else columns
        found = summed(self.shapes, self.noise, pixels, theta, columns, LARGEST_RATIO)
        return MovingSums(*found)

    def fit(self, pixels):
        """Fit fluxes and sky of each column, and shift, stretch and levels of the integration.

        Movements are searched for; columns with hits tell nothing of them.

        Parameters
        ----------
        pixels : `~specmodels.numerics.moving_kernels.Pixels`

        Returns
        -------
        MovingFit
        """
        few = np.arange(0, len(pixels.data), max(1, len(pixels.data) // FEW))
        fit = self._improved(pixels, self._first(pixels), few, robust=True, small=FEW_GAIN)
        return self._improved(pixels, fit.theta, robust=True, small=FIRST_GAIN)

    def refit(self, fit, pixels, columns):
        """The fit of other pixels: the columns that have changed, and what moves all of them."""
        sums = fit.sums.replaced(columns, self.sums(pixels, fit.place, columns))
        solved, gradient = self._solved(sums, fit.place)
        move = solved.theta_covariance @ gradient
        if move @ gradient < FIRST_GAIN:
            return solved.along(move, move @ gradient)
        return self._improved(pixels, self._within(fit.place + move))

    def at_rest(self, pixels):
        """Fit of the columns where nothing has moved."""
        theta = np.zeros(2 + self.n_level)
        return self._solved(self.sums(pixels, theta), theta)[0]

    def is_within(self, theta):
        """Whether movements are within their limits."""
        return bool((np.abs(theta[:2]) < self.limit).all())

    def _within(self, theta):
        theta[:2] = np.clip(theta[:2], -self.limit, self.limit)
        return theta

    def _first(self, pixels):
        """Movements to start from: the shift of most columns."""
        out = np.zeros(2 + self.n_level)
        if self.spread[0] <= 0:
            return out
        columns = np.arange(0, len(pixels.data), max(1, len(pixels.data) // FEWEST))
        shifts, chi2 = STARTS * self.limit[0], []
        for shift in shifts:
            out[0] = shift
            sums = self.sums(pixels, out, columns)
            equations = NormalEquations(*sums.linear(len(self.shapes.sky) + self.n_source))
            chi2.append(equations.chi2(equations.solve().particular))
        most = np.median(np.array(chi2) - np.mean(chi2, axis=0), axis=1) * len(columns)
        out[0] = shifts[np.argmin(most + (shifts / self.spread[0]) ** 2)]
        return out

    def _improved(self, pixels, theta, columns=None, *, robust=False, small=SMALL_GAIN):
        for _ in range(MAX_STEPS):
            solved, gradient = self._solved(self.sums(pixels, theta, columns), theta, robust)
            move = solved.theta_covariance @ gradient
            gain = move @ gradient
            if gain < small:
                return solved.along(move, gain)
            theta = self._within(theta + move)
        return solved

    def _solved(self, sums, theta, robust=False):
        """Fit of the columns at given movements, and the gradient by these."""
        n_source, gram = self.n_source, sums.gram
        n_linear = n_source + len(self.shapes.sky)
        own, level = slice(0, n_linear), slice(n_linear + 2 * n_source, None)
        above = theta[2:]
        vector = sums.vector - np.tensordot(above, gram[level], (0, 0))
        chi2 = sums.chi2 - above @ (sums.vector[level] + vector[level])
        equations = NormalEquations(gram[own, own], vector[own], chi2, sums.n_data)
        solution = equations.solve()
        values, covariance = solution.particular, np.nan_to_num(solution.covariance)
        left, fluxes = equations.chi2(values), values[:n_source]
        moved = self._by_movement(gram, fluxes, n_linear)
        residual = vector - np.einsum("bix,ix->bx", gram[:, own], values)
        gradient = self._by_movement(residual[None], fluxes, n_linear)[0]
        response = np.einsum("ijx,jpx->ipx", covariance, moved[own])
        steep = self._by_movement(moved.swapaxes(0, 1), fluxes, n_linear)
        information = steep - np.einsum("ipx,iqx->pqx", moved[own], response)
        use = _usual(left, sums.n_data) if robust else np.ones(len(left))
        information, gradient = self._with_priors(information @ use, gradient @ use, theta)
        inverse = np.linalg.pinv(information, rcond=1e-13, hermitian=True)
        slopes = np.sqrt(np.max(np.einsum("ppx->px", steep), axis=1, initial=0.0))
        fit = MovingFit(
            solution.values, values, solution.covariance, response, theta, inverse, slopes,
            float(np.sum(left)), sums, theta,
        )  # fmt: skip
        return fit, gradient

    def _by_movement(self, sums, fluxes, start):
        """Sums with the derivative by each movement: (n, n_few, n_column) to (n, n_theta, ...)."""
        stop = start + 2 * len(fluxes)
        slopes = sums[:, start:stop].reshape(len(sums), len(fluxes), 2, -1)
        moved = np.einsum("akpx,kx->apx", slopes, fluxes)
        return np.concatenate([moved, sums[:, stop:]], axis=1)

    def _with_priors(self, information, gradient, theta):
        held = np.concatenate([self.spread <= 0, np.zeros(self.n_level, dtype=bool)])
        prior = np.zeros(len(theta))
        prior[:2] = np.divide(1.0, self.spread**2, out=np.zeros(2), where=self.spread > 0)
        gradient = np.where(held, 0.0, gradient - prior * theta)
        information = information + np.diag(prior)
        information[held] = information[:, held] = 0.0
        return information, gradient


def _usual(chi2, number):
    """One for columns with a usual chi-square, zero for the others."""
    relative = chi2 / np.maximum(number, 1)
    seen = number > 0
    usual = np.median(relative[seen]) if seen.any() else 0.0
    return (relative <= LARGEST_CHI2 * usual).astype(float)


@dataclass(frozen=True, eq=False)
class MovingSums:
    """Sums over the pixels of the columns of an integration; see `moving_kernels.summed`."""

    gram: np.ndarray
    vector: np.ndarray
    chi2: np.ndarray
    n_data: np.ndarray
    basis: np.ndarray
    weights: np.ndarray

    def replaced(self, columns, part):
        """The sums with some columns as in others, which have no more than them."""
        new = {}
        for name in (field.name for field in fields(self)):
            new[name], other = np.array(getattr(self, name)), getattr(part, name)
            along = 0 if name == "weights" else 1 if name == "basis" else -1
            np.moveaxis(new[name], along, -1)[..., columns] = np.moveaxis(other, along, -1)
        return MovingSums(**new)

    def linear(self, number):
        """What `NormalEquations` are made of, for the first so many images."""
        return self.gram[:number, :number], self.vector[:number], self.chi2, self.n_data


@dataclass(frozen=True, eq=False)
class MovingFit:
    """The fit of an integration.

    Attributes
    ----------
    values, particular : ndarray, shape (n_linear, n_column)
        Fluxes, then coefficients of the sky; the latter finite where nothing determines them.
    covariance : ndarray, shape (n_linear, n_linear, n_column)
        Their covariance, the movements held.
    response : ndarray, shape (n_linear, n_theta, n_column)
        Derivative of the values by the movements, with the sign turned.
    theta : ndarray, shape (n_theta,)
        Shift, stretch, and levels.
    theta_covariance : ndarray, shape (n_theta, n_theta)
        Their covariance.
    slopes : ndarray, shape (n_theta,)
        Largest change of a column by each movement, in standard deviations of its pixels.
    chi2 : float
        Chi-square of all pixels.
    sums : MovingSums
        From which it was made, moved by `place`.
    place : ndarray, shape (n_theta,)
        From which the movements are but a small step.
    """

    values: np.ndarray
    particular: np.ndarray
    covariance: np.ndarray
    response: np.ndarray
    theta: np.ndarray
    theta_covariance: np.ndarray
    slopes: np.ndarray
    chi2: float
    sums: object
    place: np.ndarray

    @property
    def basis(self):
        """Light of the sources and sky, moved, shape (n_linear, n_column, n_row)."""
        return self.sums.basis

    @property
    def weights(self):
        """Inverse variances, shape (n_column, n_row)."""
        return self.sums.weights

    @property
    def dof(self):
        """Pixels less what was fitted to them."""
        return int(self.sums.n_data.sum()) - int(np.isfinite(self.values).sum()) - len(self.theta)

    def along(self, step, gain):
        """The fit a small step of the movements further, along the tangent."""
        moved = np.einsum("ipx,p->ix", self.response, step)
        return replace(
            self, values=self.values - moved, particular=self.particular - moved,
            theta=self.theta + step, chi2=max(self.chi2 - gain, 0.0),
        )  # fmt: skip

    @property
    def level(self):
        """Sky that all pixels have."""
        return float(np.sum(self.theta[2:]))

    @property
    def model(self):
        """Value of the model in each pixel, shape (n_column, n_row)."""
        return np.einsum("kxy,kx->xy", self.basis, self.particular) + self.level

    @property
    def common(self):
        """What movements bring to the errors of the values: (n_theta, n_linear, n_column).

        The covariance of the values of two columns is the sum over the first axis of products.
        """
        eigenvalues, vectors = np.linalg.eigh(self.theta_covariance)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        return np.einsum("kpx,pr->rkx", self.response, root)
