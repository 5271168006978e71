"""Fluxes of sources that move and widen a little from image to image, from sums over fixed images.

A profile near its place is a sum of a few images that are the same for all integrations, with
factors that are polynomials of shift and stretch. All that a fit needs are sums over the pixels of
products of these images: those with the data are made for each integration, those with one another
once, and put right where weights differ. Steps of the fit then cost nothing but columns. Arrays
only.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from .moving_images import powers, slopes_of_powers
from .moving_kernels import differing, projected
from .normal import NormalEquations

__all__ = ["MovingFit", "MovingProfiles"]

MAX_STEPS, SMALL_GAIN = 8, 0.05


@dataclass(frozen=True, eq=False)
class MovingProfiles:
    """Images of which an integration is made.

    Attributes
    ----------
    sources : sequence of `~specmodels.numerics.moving_images.MovingImages`
        Fraction of the light of each source in each pixel.
    sky : ndarray, shape (n_sky, n_row, n_column)
        Basis images of the sky, with coefficients for each column.
    levels : ndarray, shape (n_level, n_row, n_column)
        Images with one coefficient for an integration.
    weights : ndarray, shape (n_row, n_column)
        Inverse variances of a typical integration, zero for pixels to leave out.
    spread : ndarray, shape (2,)
        Standard deviations of shift and stretch that are expected, wide; zero: held.
    limit : ndarray, shape (2,)
        Largest shift and stretch, beyond which the images say nothing.
    """

    sources: tuple
    sky: np.ndarray
    levels: np.ndarray
    weights: np.ndarray
    spread: np.ndarray
    limit: np.ndarray

    def __post_init__(self):
        parts = zip(self.sources, self._parts, strict=True)
        held = tuple(replace(source, images=self.images[part]) for source, part in parts)
        object.__setattr__(self, "sources", held)  # views, not the images a second time

    @cached_property
    def images(self):
        """All images in single precision, shape (n_image, n_row, n_column)."""
        shape = self.weights.shape
        parts = [*(source.images for source in self.sources), self.sky, self.levels]
        return np.concatenate([np.reshape(part, (-1, *shape)).astype(np.float32) for part in parts])

    @cached_property
    def _parts(self):
        """Which of all images are those of each source."""
        stops = np.cumsum([0, *(len(source.images) for source in self.sources)])
        return [slice(*ends) for ends in pairwise(stops)]

    @cached_property
    def gram(self):
        """Sums over rows of products of images with the typical weights, (n, n, n_column)."""
        out = np.empty((len(self.images), len(self.images), self.weights.shape[1]))
        for a, image in enumerate(self.images):
            weighted = image * self.weights
            for b in range(a, len(self.images)):
                out[a, b] = out[b, a] = np.einsum("yx,yx->x", weighted, self.images[b])
        return out

    def sums(self, data, weights, scale=1.0):
        """Sums over the pixels of an integration.

        Parameters
        ----------
        data, weights : ndarray, shape (n_row, n_column)
            Data are zero where they have no weight.
        scale : float
            Factor from the typical weights to most of these.

        Returns
        -------
        MovingSums
        """
        sums = MovingSums(scale * self.gram, *projected(self.images, data, weights))
        rows, columns, change = differing(weights, self.weights, scale)
        gram = self._products(rows, columns, change)
        if gram is None:
            return sums
        changed = _added(sums.gram, *gram)
        changed[..., sums.n_data == 0] = 0.0  # not what rounding leaves of it
        return replace(sums, gram=changed)

    def without(self, sums, pixels, data, weights):
        """The sums without some pixels, an array of bool (n_row, n_column)."""
        rows, columns = np.nonzero(pixels & (weights > 0))
        own = weights[rows, columns]
        gram = self._products(rows, columns, -own)
        if gram is None:
            return sums
        lost = data[rows, columns] * own
        vector, chi2, n_data = np.array(sums.vector), np.array(sums.chi2), np.array(sums.n_data)
        for total, image in zip(vector, self.images, strict=True):
            np.subtract.at(total, columns, image[rows, columns] * lost)
        np.subtract.at(chi2, columns, data[rows, columns] * lost)
        np.subtract.at(n_data, columns, 1)
        return MovingSums(_added(sums.gram, *gram), vector, chi2, n_data)

    def _products(self, rows, columns, weights):
        """Sums of products of images over some pixels: columns and what to add; None of none."""
        if not len(rows):
            return None
        order = np.argsort(columns, kind="stable")
        rows, columns, weights = rows[order], columns[order], weights[order]
        values = self.images[:, rows, columns].astype(float)
        products = (values * weights)[:, None] * values[None]
        starts = np.flatnonzero(np.diff(columns, prepend=-1))
        return columns[starts], np.add.reduceat(products, starts, axis=-1)

    def fit(self, sums, start=None, small=SMALL_GAIN):
        """Fit fluxes and sky of each column, and shift, stretch and levels of the integration.

        Parameters
        ----------
        sums : MovingSums
            Of the integration.
        start : ndarray, shape (2 + n_level,), optional
            Where to start from; default zeros.
        small : float
            Of a step that promises to lower chi-square by no more the rest is of second order.

        Returns
        -------
        MovingFit
        """
        theta = np.zeros(2 + len(self.levels)) if start is None else np.array(start, dtype=float)
        for _ in range(MAX_STEPS):
            solved, gradient = self._solved(sums, theta)
            step = solved.theta_covariance @ gradient
            gain = step @ gradient
            if gain < small:
                return solved.along(step, gain)
            theta = theta + step
            theta[:2] = np.clip(theta[:2], -self.limit, self.limit)
        return solved

    def at_rest(self, sums):
        """Fit of the columns where nothing has moved."""
        return self._solved(sums, np.zeros(2 + len(self.levels)))[0]

    def is_within(self, theta):
        """Whether movements are within their limits."""
        return bool((np.abs(theta[:2]) < self.limit).all())

    def mixing(self, theta):
        """Images that are the basis of the columns, moved, as sums of all: (n_image, n_linear)."""
        terms, n_source = powers(theta[:2]), len(self.sources)
        out = np.zeros((len(self.images), n_source + len(self.sky)))
        for k, (own, source) in enumerate(zip(self._parts, self.sources, strict=True)):
            out[own, k] = source.factors @ terms
        first = len(self.images) - len(self.sky) - len(self.levels)
        for k in range(len(self.sky)):
            out[first + k, n_source + k] = 1.0
        return out

    def _slopes(self, theta):
        """Derivatives of the light of each source by shift and stretch: (n_image, n_source, 2)."""
        slopes = slopes_of_powers(theta[:2])
        out = np.zeros((len(self.images), len(self.sources), 2))
        for k, (own, source) in enumerate(zip(self._parts, self.sources, strict=True)):
            out[own, k] = source.factors @ slopes
        return out

    def _solved(self, sums, theta):
        """Fit of the columns at given movements, and the gradient by these."""
        mixing = self.mixing(theta)
        n_linear, n_level = mixing.shape[1], len(self.levels)
        slopes = self._slopes(theta).reshape(len(mixing), -1)
        levels = np.eye(len(mixing))[:, len(mixing) - n_level :]
        # All that follows are sums of products of these few images.
        few = np.concatenate([mixing, slopes, levels], axis=1)
        gram = np.matmul(few.T, np.tensordot(few.T, sums.gram, (1, 0)))
        own, level = slice(0, n_linear), slice(n_linear + slopes.shape[1], None)
        whole, above = few.T @ sums.vector, theta[2:]
        vector = whole - np.tensordot(above, gram[level], (0, 0))
        chi2 = sums.chi2 - above @ (whole[level] + vector[level])
        equations = NormalEquations(gram[own, own], vector[own], chi2, sums.n_data)
        solution = equations.solve()
        values, covariance = solution.particular, np.nan_to_num(solution.covariance)
        fluxes = values[: len(self.sources)]
        moved = self._by_movement(gram, fluxes, n_linear)
        residual = vector - np.einsum("bix,ix->bx", gram[:, own], values)
        gradient = self._by_movement(residual[None], fluxes, n_linear)[0].sum(axis=-1)
        response = np.einsum("ijx,jpx->ipx", covariance, moved[own])
        information = self._by_movement(moved.swapaxes(0, 1), fluxes, n_linear).sum(axis=-1)
        information -= np.einsum("ipx,iqx->pq", moved[own], response)
        information, gradient = self._with_priors(information, gradient, theta)
        inverse = np.linalg.pinv(information, rcond=1e-13, hermitian=True)
        fit = MovingFit(
            solution.values, values, solution.covariance, response, theta, inverse, mixing,
            float(np.sum(equations.chi2(values))), int(np.sum(sums.n_data)), self,
        )  # fmt: skip
        return fit, gradient

    def _by_movement(self, sums, fluxes, start):
        """Sums with the derivative by each movement: (n, n_few, n_column) to (n, n_theta, ...)."""
        stop = start + 2 * len(fluxes)
        slopes = sums[:, start:stop].reshape(len(sums), len(fluxes), 2, -1)
        moved = np.einsum("akpx,kx->apx", slopes, fluxes)
        return np.concatenate([moved, sums[:, stop:]], axis=1)

    def _with_priors(self, information, gradient, theta):
        held = np.concatenate([self.spread <= 0, np.zeros(len(self.levels), dtype=bool)])
        prior = np.zeros(len(theta))
        prior[:2] = np.divide(1.0, self.spread**2, out=np.zeros(2), where=self.spread > 0)
        gradient = np.where(held, 0.0, gradient - prior * theta)
        information = information + np.diag(prior)
        information[held] = information[:, held] = 0.0
        return information, gradient


@dataclass(frozen=True, eq=False)
class MovingSums:
    """Sums over the pixels of the columns of an integration.

    Attributes
    ----------
    gram : ndarray, shape (n_image, n_image, n_column)
        Of products of images with the weights.
    vector : ndarray, shape (n_image, n_column)
        Of images with data and weights.
    chi2 : ndarray, shape (n_column,)
        Of squares of the data with the weights.
    n_data : ndarray of int, shape (n_column,)
        Pixels with weight.
    """

    gram: np.ndarray
    vector: np.ndarray
    chi2: np.ndarray
    n_data: np.ndarray


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
    mixing : ndarray, shape (n_image, n_linear)
        Basis images of the columns as sums of all images.
    chi2 : float
        Chi-square of all pixels.
    n_data : int
        Pixels with weight.
    profiles : MovingProfiles
        What was fitted.
    """

    values: np.ndarray
    particular: np.ndarray
    covariance: np.ndarray
    response: np.ndarray
    theta: np.ndarray
    theta_covariance: np.ndarray
    mixing: np.ndarray
    chi2: float
    n_data: int
    profiles: MovingProfiles

    @property
    def dof(self):
        """Pixels less what was fitted to them."""
        return self.n_data - int(np.isfinite(self.values).sum()) - len(self.theta)

    def along(self, step, gain):
        """The fit a small step of the movements further, along the tangent."""
        theta = self.theta + step
        moved = np.einsum("ipx,p->ix", self.response, step)
        return replace(
            self, values=self.values - moved, particular=self.particular - moved, theta=theta,
            mixing=self.profiles.mixing(theta), chi2=max(self.chi2 - gain, 0.0),
        )  # fmt: skip

    def at_rest(self):
        """The same fluxes and sky, neither moved nor widened."""
        theta = np.concatenate([np.zeros(2), self.theta[2:]])
        return replace(self, theta=theta, mixing=self.profiles.mixing(theta))

    @property
    def model(self):
        """Value of the model in each pixel."""
        coefficients = self.mixing @ self.particular
        n_level = len(self.profiles.levels)
        if n_level:
            coefficients[-n_level:] += self.theta[2:, None]
        return np.einsum("ayx,ax->yx", self.profiles.images, coefficients)

    @property
    def common(self):
        """What movements bring to the errors of the values: (n_theta, n_linear, n_column).

        The covariance of the values of two columns is the sum over the first axis of products.
        """
        eigenvalues, vectors = np.linalg.eigh(self.theta_covariance)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        return np.einsum("kpx,pr->rkx", self.response, root)


def _added(gram, columns, more):
    gram = np.array(gram)
    gram[..., columns] += more
    return gram
