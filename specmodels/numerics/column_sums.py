"""Compiled sums over the pixels of columns, for many images at once, and what they make of rows."""

import numpy as np

from .compiled import compiled

__all__ = ["projected", "sums_of_images"]

# Columns that are worked on together: their sums stay in the nearest cache.
WIDTH, LANES = 64, 16


@compiled
def sums_of_images(images, columns, weighted_data, weights):
    """Sums over pixels of products of images with data, with basis images and with one another.

    Parameters
    ----------
    images : ndarray, shape (n_image, n_pixel, n_batch)
    columns : ndarray, shape (n_linear, n_pixel, n_batch)
        Basis images.
    weighted_data, weights : ndarray, shape (n_pixel, n_batch)

    Returns
    -------
    vector : ndarray, shape (n_image, n_batch)
    crossed : ndarray, shape (n_linear, n_image, n_batch)
    squared : ndarray, shape (n_image, n_image, n_batch)
    """
    n_image, n_pixel, n_batch = images.shape
    n_linear = len(columns)
    vector = np.empty((n_image, n_batch))
    crossed = np.empty((n_linear, n_image, n_batch))
    squared = np.empty((n_image, n_image, n_batch))
    n_pair = n_image * (n_image + 1) // 2
    own, total = np.zeros((n_image + n_linear, WIDTH)), np.empty((n_pair, WIDTH))
    of_data, of_basis = np.empty((n_image, WIDTH)), np.empty((n_image, n_linear, WIDTH))
    data, weight, part = np.zeros(WIDTH), np.zeros(WIDTH), np.zeros(WIDTH)
    for start in range(0, n_batch, WIDTH):
        width = min(WIDTH, n_batch - start)
        total[:], of_data[:], of_basis[:] = 0.0, 0.0, 0.0
        for y in range(n_pixel):
            for c in range(width):
                data[c], weight[c] = weighted_data[y, start + c], weights[y, start + c]
            for m in range(n_image):
                for c in range(width):
                    own[m, c] = images[m, y, start + c]
            for k in range(n_linear):
                for c in range(width):
                    own[n_image + k, c] = columns[k, y, start + c]
            pair = 0
            for m in range(n_image):
                for c in range(width):
                    part[c] = own[m, c] * weight[c]
                    of_data[m, c] += own[m, c] * data[c]
                for k in range(n_linear):
                    for c in range(width):
                        of_basis[m, k, c] += own[n_image + k, c] * part[c]
                for n in range(m + 1):
                    for c in range(width):
                        total[pair, c] += own[n, c] * part[c]
                    pair += 1
        pair = 0
        for m in range(n_image):
            for c in range(width):
                vector[m, start + c] = of_data[m, c]
            for k in range(n_linear):
                for c in range(width):
                    crossed[k, m, start + c] = of_basis[m, k, c]
            for n in range(m + 1):
                for c in range(width):
                    squared[m, n, start + c] = squared[n, m, start + c] = total[pair, c]
                pair += 1
    return vector, crossed, squared


@compiled
def projected(rows, place, owner, n_free, vector, crossed, squared):
    """Sums for parameters that all columns share, from those of images.

    Parameters
    ----------
    rows : ndarray, shape (n_term, n_batch)
        Factors of the terms.
    place, owner : ndarray of int, shape (n_term,)
        Image and parameter of each term.
    n_free : int
        Number of parameters.
    vector, crossed, squared : ndarray
        As from `sums_of_images`.

    Returns
    -------
    gradient : ndarray, shape (n_free,)
    mixed : ndarray, shape (n_linear, n_free, n_batch)
    information : ndarray, shape (n_free, n_free)
    """
    n_linear, _, n_batch = crossed.shape
    gradient, information = np.zeros(n_free), np.zeros((n_free, n_free))
    mixed, lanes, part = np.zeros((n_linear, n_free, n_batch)), np.empty(LANES), np.empty(n_batch)
    for s in range(len(rows)):
        p, m = owner[s], place[s]
        for b in range(n_batch):
            gradient[p] += rows[s, b] * vector[m, b]
        for k in range(n_linear):
            for b in range(n_batch):
                mixed[k, p, b] += rows[s, b] * crossed[k, m, b]
        for t in range(s + 1):
            for b in range(n_batch):
                part[b] = rows[s, b] * rows[t, b]
            value = _dot(part, squared[m, place[t]], lanes)
            information[p, owner[t]] += value
            if t < s:
                information[owner[t], p] += value
    return gradient, mixed, information


@compiled
def _dot(one, other, lanes):
    """Scalar product, the order of whose sums depends on nothing but the number of columns."""
    whole = len(one) // LANES * LANES
    lanes[:] = 0.0
    for start in range(0, whole, LANES):
        for c in range(LANES):
            lanes[c] += one[start + c] * other[start + c]
    value = 0.0
    for c in range(LANES):
        value += lanes[c]
    for b in range(whole, len(one)):
        value += one[b] * other[b]
    return value
