"""Sums over pixels for the non-linear parameters, the linear ones eliminated.

Derivatives by many parameters are few images times rows: all coefficients of a trace move the same
image, that of the derivative by the position. The sums over pixels are made of the images, and the
rows are applied to the small matrices that come out; where profile and trace are the same in all
columns the images are single columns, and the sums are products with the image of weights.
"""

from dataclasses import dataclass

import numpy as np

from ...numerics.column_sums import projected, sums_of_images

__all__ = ["Slopes", "as_image", "eliminated", "eliminated_from_jacobian"]


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of a model by the free parameters, as images and rows.

    Attributes
    ----------
    images : list of ndarray, each of shape (n_pixel, n_column) or (n_pixel, 1)
        The distinct images.
    rows : ndarray, shape (n_term, n_column)
        Factors of the terms; the derivative by a parameter is the sum of its terms.
    place : ndarray of int, shape (n_term,)
        Image of each term.
    owner : ndarray of int, shape (n_term,)
        Free parameter of each term.
    n_free : int
        Number of free parameters.
    """

    images: list
    rows: np.ndarray
    place: np.ndarray
    owner: np.ndarray
    n_free: int

    @classmethod
    def of(cls, derivatives, free, coupling, shape):
        """Slopes of the free parameters, tied ones followed.

        Parameters
        ----------
        derivatives : dict of int to `~specmodels.models.linear.Outer`
            Derivatives by the free and the tied parameters, amplitudes included.
        free : sequence of int
            Positions of the free parameters.
        coupling : dict of int to ndarray, shape (n_free, n_columns) or (n_free, 1)
            Derivatives of tied parameters by the free ones.
        shape : tuple of int
            Shape of the data.
        """
        terms = [(p, derivatives[k], 1.0) for p, k in enumerate(free)]
        for k, slopes in coupling.items():
            moved = np.flatnonzero(slopes.any(axis=1))
            terms += [(p, derivatives[k], slopes[p]) for p in moved]
        images, place, number = [], [], {}
        rows = np.empty((len(terms), shape[1]))
        for t, (_, derivative, factor) in enumerate(terms):
            key = id(derivative.image)
            if key not in number:
                number[key] = len(images)
                images.append(as_image(derivative.image, shape))
            place.append(number[key])
            rows[t] = np.reshape(derivative.row, -1) * factor
        return cls(images, rows, np.array(place), np.array([t[0] for t in terms]), len(free))

    @property
    def few_images(self):
        """Whether sums over pairs of images cost less than derivatives by each parameter.

        Of these products of matrices are made, which is as fast for as many images.
        """
        return len(self.images) <= self.n_free or self.single

    @property
    def single(self):
        """Whether all images are a single column."""
        return all(image.shape[1] == 1 for image in self.images)

    def jacobian(self, shape):
        """Derivative by each free parameter in each pixel, shape (n_free, *shape)."""
        jacobian = np.empty((self.n_free, *shape))
        begun = np.zeros(self.n_free, dtype=bool)
        for row, place, owner in zip(self.rows, self.place, self.owner, strict=True):
            if begun[owner]:
                jacobian[owner] += row * self.images[place]
            else:
                np.multiply(row, self.images[place], out=jacobian[owner])
            begun[owner] = True
        return jacobian

    def collect(self, terms, axis):
        """Sum of the terms of each parameter along an axis."""
        if len(self.owner) == self.n_free:
            return terms
        out = np.zeros((*terms.shape[:axis], self.n_free, *terms.shape[axis + 1 :]))
        np.add.at(np.moveaxis(out, axis, 0), self.owner, np.moveaxis(terms, axis, 0))
        return out


def eliminated(solved, columns, slopes, pixels, *, shared):
    """Gradient, information and response by sums over pairs of images.

    Parameters
    ----------
    solved : `~specmodels.fitters.columns.passes.Pass`
        Linear parameters of these columns.
    columns : list of ndarray, each of shape (n_pixel, n_batch) or (n_pixel, 1)
        Basis images of the linear parameters.
    slopes : Slopes
        Derivatives by the free parameters.
    pixels : tuple of ndarray
        Weighted data and weights, each of shape (n_pixel, n_batch).
    shared : bool
        Whether the columns share the free parameters.

    Returns
    -------
    gradient, information, response : ndarray
        As in `~specmodels.fitters.columns.passes.Pass`.
    """
    weighted_data, weights = pixels
    single = slopes.single and all(column.shape[1] == 1 for column in columns)
    sums = _sums_of_columns if single else _sums_of_images
    vector, crossed, squared = sums(slopes.images, columns, weighted_data, weights)
    rows, place, covariance = slopes.rows, slopes.place, finite(solved.covariance)
    left = vector - np.einsum("kb,kmb->mb", solved.particular, crossed)
    if shared:
        gradient, mixed, information = projected(
            rows, place, slopes.owner, slopes.n_free, left, crossed, squared
        )
        response = np.einsum("klb,lpb->kpb", covariance, mixed)
        information -= np.tensordot(mixed, response, ((0, 2), (0, 2)))
        return gradient[:, None], information[..., None], response
    gradient = slopes.collect(rows * left[place], 0)
    mixed = slopes.collect(crossed[:, place] * rows, 1)
    response = np.einsum("klb,lpb->kpb", covariance, mixed)
    information = slopes.collect(rows[:, None] * squared[place][:, place] * rows, 0)
    information = slopes.collect(information, 1)
    information -= np.einsum("kpb,kqb->pqb", mixed, response)
    return gradient, information, response


def _sums_of_columns(images, columns, weighted_data, weights):
    """Sums over pixels where all images are single columns: products with the weights."""
    shapes = np.array([image[:, 0] for image in images])
    both = np.array([*(column[:, 0] for column in columns), *shapes])
    products = (both[:, None] * shapes).reshape(-1, both.shape[1]) @ weights
    products = products.reshape(len(both), len(shapes), -1)
    return shapes @ weighted_data, products[: len(columns)], products[len(columns) :]


def _sums_of_images(images, columns, weighted_data, weights):
    """Sums over pixels of products of images, basis images and data with the weights."""
    stacked, basis = (np.empty((len(own), *weights.shape)) for own in (images, columns))
    for out, own in ((stacked, images), (basis, columns)):
        for k, image in enumerate(own):
            out[k] = image
    return sums_of_images(stacked, basis, weighted_data, np.ascontiguousarray(weights))


def eliminated_from_jacobian(solved, columns, slopes, residual, weights):
    """As `eliminated` for shared parameters with many images, from the derivative by each.

    Parameters
    ----------
    solved, columns, slopes
        As for `eliminated`.
    residual, weights : ndarray, shape (n_pixel, n_batch)
        Data minus model, and weights.
    """
    jacobian = slopes.jacobian(weights.shape)
    n_free = len(jacobian)
    weighted = jacobian * weights
    mixed = np.empty((len(columns), n_free, weights.shape[1]))
    for i, column in enumerate(columns):
        if column.shape[1] == 1:
            mixed[i] = np.einsum("pyb,y->pb", weighted, column[:, 0])
        else:
            mixed[i] = np.einsum("pyb,yb->pb", weighted, column)
    response = np.einsum("klb,lpb->kpb", finite(solved.covariance), mixed)
    weighted = weighted.reshape(n_free, -1)
    gradient = (weighted @ residual.reshape(-1))[:, None]
    information = weighted @ jacobian.reshape(n_free, -1).T
    information -= np.einsum("kpb,kqb->pq", mixed, response, optimize=True)
    return gradient, information[..., None], response


def finite(covariance):
    """The covariance with zeros for what is not determined."""
    return covariance if np.isfinite(covariance).all() else np.nan_to_num(covariance)


def as_image(array, shape):
    """The array as it is where it is a single column of pixels, else with the shape of the data."""
    array = np.asarray(array, dtype=float)
    if array.shape in (shape, (shape[0], 1)):
        return array
    return np.broadcast_to(array, shape)
