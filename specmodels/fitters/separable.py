"""Gradient and information where profile and trace are the same in all columns.

Basis images and derivatives are then a column of pixels times a row, and every sum over pixels is a
product of that column with the image of weights: no image of derivatives is made.
"""

import numpy as np

__all__ = ["separable_sums"]


def separable_sums(solved, columns, derivatives, pixels, *, shared):
    """Gradient, information and response of separable derivatives, linear parameters eliminated.

    Parameters
    ----------
    solved : `~specmodels.fitters.problem.Pass`
        Linear parameters of these columns.
    columns : list of ndarray, each of shape (n_pixel, 1)
        Basis images of the linear parameters.
    derivatives : list of `~specmodels.models.linear.Outer`
        Derivatives by the free parameters.
    pixels : tuple of ndarray
        Data and weights, each of shape (n_pixel, n_batch).
    shared : bool
        Whether the columns share the free parameters.

    Returns
    -------
    gradient, information, response : ndarray
        As in `~specmodels.fitters.problem.Pass`.
    """
    data, weights = pixels
    n_batch = data.shape[1]
    shapes, place = _unique([derivative.column for derivative in derivatives])
    rows = np.array([np.broadcast_to(np.squeeze(d.row), n_batch) for d in derivatives])
    basis = np.array([column[:, 0] for column in columns])
    crossed = _weighted_sums(basis, shapes, weights)
    mixed = crossed[:, place] * rows
    response = np.einsum("klb,lpb->kpb", np.nan_to_num(solved.covariance), mixed)
    left = shapes @ (weights * data) - np.einsum("kb,kpb->pb", solved.particular, crossed)
    gradient = rows * left[place]
    squared = _weighted_sums(shapes, shapes, weights)[place][:, place]
    if shared:
        information = np.einsum("pb,pqb,qb->pq", rows, squared, rows, optimize=True)
        information -= np.einsum("kpb,kqb->pq", mixed, response, optimize=True)
        return gradient.sum(axis=1, keepdims=True), information[..., None], response
    information = rows[:, None] * squared * rows - np.einsum("kpb,kqb->pqb", mixed, response)
    return gradient, information, response


def _unique(columns):
    """The distinct columns, shape (n_shape, n_pixel), and which of them each is."""
    found, place = [], []
    for column in columns:
        known = next((j for j, other in enumerate(found) if other is column), None)
        if known is None:
            known = len(found)
            found.append(column)
        place.append(known)
    return np.array([column[:, 0] for column in found]), np.array(place)


def _weighted_sums(first, second, weights):
    """Sums over pixels of products with the weights, shape (n_first, n_second, n_batch)."""
    products = first[:, None] * second[None]
    return (products.reshape(-1, products.shape[-1]) @ weights).reshape(
        len(first), len(second), weights.shape[1]
    )
