"""Compiled loops over the pixels of an integration for `MovingProfiles`.

Images may be of single precision, which is all that a model of a profile is good for; sums are not.
"""

import numpy as np

from .compiled import compiled

__all__ = ["differing", "judged", "largest_excess", "prepared", "projected"]


@compiled
def prepared(image, variance, mask, offset, typical, scale, largest):
    """Pixels of an integration less what does not change, and their weights.

    Parameters
    ----------
    image, variance : ndarray, shape (n_row, n_column)
    mask : ndarray of bool, same shape
        Pixels to leave out.
    offset, typical : ndarray, same shape
        What does not change, and typical weights, zero for pixels to leave out.
    scale : float
        Factor from these to the weights of this integration.
    largest : float
        Variances that exceed those expected by more than this factor are those of single pixels.

    Returns
    -------
    data, weights : ndarray, same shape
        Zero where left out.
    """
    data, weights = np.zeros(typical.shape), np.zeros(typical.shape)
    for y in range(len(data)):
        for x in range(data.shape[1]):
            if typical[y, x] > 0 and not mask[y, x]:
                data[y, x] = image[y, x] - offset[y, x]
                weight = scale * typical[y, x]
                single = variance[y, x] * weight > largest
                weights[y, x] = 1 / variance[y, x] if single else weight
    return data, weights


@compiled
def differing(weights, typical, scale):
    """Pixels whose weights are not the typical ones times a scale: rows, columns, differences."""
    rows, columns, change = [], [], []
    for y in range(len(weights)):
        for x in range(weights.shape[1]):
            difference = weights[y, x] - scale * typical[y, x]
            if abs(difference) > 1e-6 * weights[y, x]:
                rows.append(y)
                columns.append(x)
                change.append(difference)
    return np.array(rows), np.array(columns), np.array(change)


@compiled
def projected(images, data, weights):
    """Sums over rows of images times data times weights, and of the squares of the data.

    Parameters
    ----------
    images : ndarray, shape (n_image, n_row, n_column)
    data, weights : ndarray, shape (n_row, n_column)

    Returns
    -------
    vector : ndarray, shape (n_image, n_column)
    chi2 : ndarray, shape (n_column,)
    n_data : ndarray of int, shape (n_column,)
        Pixels with weight.
    """
    n_image, n_row, n_column = images.shape
    vector, chi2 = np.zeros((n_image, n_column)), np.zeros(n_column)
    n_data = np.zeros(n_column, dtype=np.int64)
    weighted = np.empty(n_column)
    for y in range(n_row):
        for x in range(n_column):
            weighted[x] = data[y, x] * weights[y, x]
            chi2[x] += data[y, x] * weighted[x]
            n_data[x] += weights[y, x] > 0
        for a in range(n_image):
            for x in range(n_column):
                vector[a, x] += images[a, y, x] * weighted[x]
    return vector, chi2, n_data


@compiled
def _row(y, images, mixing, values, covariance, basis, model, spread):
    """Model of a row of pixels, and the variance of the model."""
    n_image, _, n_column = images.shape
    basis[:] = 0.0
    for a in range(n_image):
        for i in range(len(values)):
            factor = mixing[a, i]
            if factor != 0.0:
                for x in range(n_column):
                    basis[i, x] += factor * images[a, y, x]
    model[:] = 0.0
    spread[:] = 0.0
    for i in range(len(values)):
        for x in range(n_column):
            model[x] += values[i, x] * basis[i, x]
        for j in range(len(values)):
            for x in range(n_column):
                spread[x] += covariance[i, j, x] * basis[i, x] * basis[j, x]


@compiled
def judged(images, mixing, values, covariance, data, weights):
    """Residuals and light of all pixels over their standard deviations, zero without weight.

    Parameters
    ----------
    images : ndarray, shape (n_image, n_row, n_column)
    mixing : ndarray, shape (n_image, n_linear)
        Weights of the images in the basis images of the columns.
    values : ndarray, shape (n_linear, n_column)
        Coefficients of the basis images.
    covariance : ndarray, shape (n_linear, n_linear, n_column)
        Their covariance.
    data, weights : ndarray, shape (n_row, n_column)

    Returns
    -------
    student, signal : ndarray, shape (n_row, n_column)
    """
    n_row, n_column = data.shape
    student, signal = np.zeros((2, n_row, n_column))
    basis, model, spread = np.empty(values.shape), np.empty(n_column), np.empty(n_column)
    for y in range(n_row):
        _row(y, images, mixing, values, covariance, basis, model, spread)
        for x in range(n_column):
            root = np.sqrt(weights[y, x])
            student[y, x] = (data[y, x] - model[x]) * root
            signal[y, x] = model[x] * root
    return student, signal


@compiled
def largest_excess(images, mixing, values, covariance, data, weights, scale, misfit, floor):
    """Largest residual of each column over what it is expected to be, squared.

    Parameters
    ----------
    images, mixing, values, covariance, data, weights
        As for `judged`.
    scale, misfit : float
        Standard deviation of residuals in units of the noise, and relative error of the model.
    floor : float
        Least part of its variance with which a pixel does not take part in its own model.

    Returns
    -------
    ndarray, shape (n_column,)
    """
    n_row, n_column = data.shape
    out = np.zeros(n_column)
    basis, model, spread = np.empty(values.shape), np.empty(n_column), np.empty(n_column)
    for y in range(n_row):
        _row(y, images, mixing, values, covariance, basis, model, spread)
        for x in range(n_column):
            weight = weights[y, x]
            freedom = max(1.0 - weight * spread[x], floor)
            expected = (scale * scale + misfit * misfit * model[x] * model[x] * weight) * freedom
            out[x] = max(out[x], (data[y, x] - model[x]) ** 2 * weight / expected)
    return out
