"""Images that move and widen as sums of few fixed ones, with polynomials as their factors.

Images at the Padua points (Caliari, De Marchi & Vianello 2005) determine a polynomial in both
movements that is nearly the best one of its degree. Of these images the principal ones are kept, as
many as stand out of the noise of an integration: five or six of 28 of a faint star that hardly
moves. Arrays only.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["MovingImages", "padua_points", "powers", "principal_images", "slopes_of_powers"]

DEGREE = 6
# Powers of shift and stretch of the terms of the polynomials.
ORDERS = np.array([(n - b, b) for n in range(DEGREE + 1) for b in range(n + 1)])
# Chi-square of what is left out, at most; and images kept: at least at rest, moved, widened.
LEFT_OUT, LEAST, MOST = 0.3, 3, 16
CHUNK = 64


@dataclass(frozen=True, eq=False)
class MovingImages:
    """An image that moves and widens.

    Attributes
    ----------
    images : ndarray, shape (n_image, n_row, n_column)
    factors : ndarray, shape (n_image, n_order)
        Coefficients of the polynomials that are the factors of the images; see `powers`.
    """

    images: np.ndarray
    factors: np.ndarray


def powers(movement):
    """Terms of the polynomials at a shift and a stretch, shape (n_order,)."""
    shift, stretch = movement
    return shift ** ORDERS[:, 0] * stretch ** ORDERS[:, 1]


def slopes_of_powers(movement):
    """Derivatives of `powers` by shift and stretch, shape (n_order, 2)."""
    shift, stretch = movement
    first, second = ORDERS.T
    by_shift = first * shift ** np.maximum(first - 1, 0) * stretch**second
    by_stretch = second * shift**first * stretch ** np.maximum(second - 1, 0)
    return np.stack([by_shift, by_stretch], axis=1)


def padua_points(reach):
    """Movements at which an image determines its polynomials, shape (n_order, 2).

    Parameters
    ----------
    reach : array_like, shape (2,)
        Largest shift and stretch.
    """
    j, k = np.meshgrid(np.arange(DEGREE + 1), np.arange(DEGREE + 2), indexing="ij")
    chosen = (j + k) % 2 == 0
    unit = np.stack([np.cos(np.pi * j / DEGREE), np.cos(np.pi * k / (DEGREE + 1))], axis=-1)
    return unit[chosen] * np.asarray(reach, dtype=float)


def principal_images(images, reach, light):
    """The fewest images of which those at all movements are sums, to within the noise.

    Parameters
    ----------
    images : ndarray, shape (n_order, n_row, n_column)
        At the `padua_points`, in single precision or more.
    reach : array_like, shape (2,)
        Largest shift and stretch.
    light : ndarray, shape (n_row, n_column)
        Light of which the images are fractions, in standard deviations of the noise of a pixel.

    Returns
    -------
    MovingImages
    """
    gram = np.zeros((len(images), len(images)))
    for start in range(0, images.shape[-1], CHUNK):
        part = np.s_[:, start : start + CHUNK]
        seen = (images[(..., *part)] * light[part]).reshape(len(images), -1)
        gram += seen @ seen.T
    squares, vectors = np.linalg.eigh(gram)
    left = np.cumsum(np.maximum(squares, 0)) / len(images)
    number = np.clip(np.count_nonzero(left > LEFT_OUT), LEAST, MOST)
    kept = vectors[:, ::-1][:, :number]
    terms = np.array([powers(place) for place in padua_points(np.ones(2))])
    unit = np.prod(np.asarray(reach) ** ORDERS, axis=1)
    factors = np.linalg.solve(terms, kept).T / unit
    return MovingImages(np.tensordot(kept.T.astype(images.dtype), images, (1, 0)), factors)
