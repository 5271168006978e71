"""Sums over blocks of columns of a slit with a source on its sky: what `source_wings` is fitted to.

Arrays only; `sky_levels` says what they are for.
"""

import numpy as np

from .compiled import compiled

__all__ = ["block_sums", "column_means", "first_sums"]


def column_means(sky, weights, wavelength):
    """What the columns of a slit weigh, and their wavelengths.

    Parameters
    ----------
    sky, weights, wavelength : ndarray, shape (n_row, n_column)
        Sky and wavelength may be NaN; weights are inverse variances, zero for pixels to leave out,
        as all are where the sky is not positive.

    Returns
    -------
    columns, places : ndarray, shape (n_column,)
        Mean of weight times sky, and mean wavelength, NaN where there is none.
    """
    columns, places, number, number_places = np.zeros((4, sky.shape[1]))
    _add_means(sky, weights, wavelength, columns, places, number, number_places)
    missing = np.full(number.size, np.nan)
    return columns / np.maximum(number, 1), np.divide(
        places, number_places, out=missing, where=number_places > 0
    )


@compiled
def _add_means(sky, weights, wavelength, columns, places, number, number_places):
    n_row, n_column = sky.shape
    for y in range(n_row):
        for x in range(n_column):
            known = wavelength[y, x] == wavelength[y, x]
            places[x] += wavelength[y, x] if known else 0.0
            number_places[x] += known
            use = sky[y, x] > 0 and weights[y, x] > 0
            columns[x] += sky[y, x] * weights[y, x] if use else 0.0
            number[x] += use


def first_sums(data, sky, weights, columns, edges):
    """Sums over blocks of columns, in each row without its largest and its smallest residual.

    Parameters
    ----------
    data, sky, weights : ndarray, shape (n_row, n_column)
        Weights are inverse variances, zero for pixels to leave out, as all are where the sky is
        not positive.
    columns : ndarray, shape (n_column,)
        Weight of each column.
    edges : ndarray of int, shape (n_block + 1,)
        First columns of the blocks.

    Returns
    -------
    ndarray, shape (4, n_row, n_block)
        Data, sky, columns, and the variance of the first.
    """
    out = np.zeros((4, data.shape[0], edges.size - 1))
    _add_first(data, sky, weights, columns, edges, out)
    return out


@compiled
def _add_first(data, sky, weights, columns, edges, out):
    for y in range(data.shape[0]):
        for k in range(edges.size - 1):
            total, number, low, high = 0.0, 0, np.inf, -np.inf
            for x in range(edges[k], edges[k + 1]):
                if weights[y, x] > 0 and sky[y, x] > 0:
                    left = data[y, x] - sky[y, x]
                    total += left
                    number += 1
                    low, high = min(low, left), max(high, left)
                    out[1, y, k] += columns[x] * sky[y, x]
                    out[2, y, k] += columns[x]
                    out[3, y, k] += columns[x] * columns[x] / weights[y, x]
            if number > 2:
                total, number = total - low - high, number - 2
            if number:
                out[0, y, k] = total / number * out[2, y, k] + out[1, y, k]


def block_sums(images, columns, edges, source, level, limit, model_error):
    """Sums over blocks of columns, without outliers.

    Parameters
    ----------
    images : tuple of ndarray, each of shape (n_row, n_column)
        Data, sky, weights, as for `first_sums`.
    columns, edges
        As for `first_sums`.
    source : tuple of ndarray
        Profile at nodes between which it is linear, shape (n_row, n_node); first column after
        each of them, shape (n_node,); shares of the node after each column, shape (n_column,).
    level : float
        Of the sky.
    limit, model_error : float
        Residuals beyond so many standard deviations do not count; errors of the source, relative.

    Returns
    -------
    ndarray, shape (4, n_row, n_block)
        Data, sky, source (in units in which it is the sum of the columns where no pixel is
        missing), and the variance of the first.
    """
    n_row, n_column = images[0].shape
    profile, kept = np.empty((2, n_row, n_column))
    norm, light, amplitude = np.zeros((3, n_column))
    out = np.zeros((4, n_row, edges.size - 1))
    _project(images, source, level, limit, model_error, (profile, kept, norm, light, amplitude))
    _scale(columns, edges, norm, light, amplitude)
    _add_kept(images, kept, columns, edges, amplitude, out)
    return out


@compiled
def _project(images, source, level, limit, model_error, out):
    """Write the profile, the weights without outliers, and in each column the profile's products
    with itself and with the data; last, the light with outliers.
    """
    data, sky, weights = images
    nodes, first, share = source
    profile, kept, norm, light, before = out
    n_row, n_column = data.shape
    for y in range(n_row):
        for k in range(first.size - 1):
            change = nodes[y, k + 1] - nodes[y, k]
            for x in range(first[k], first[k + 1]):
                profile[y, x] = nodes[y, k] + share[x] * change
        for x in range(n_column):
            use = weights[y, x] > 0 and sky[y, x] > 0
            kept[y, x] = weights[y, x] if use else 0.0
            left = data[y, x] - level * sky[y, x] if use else 0.0
            value = kept[y, x] * profile[y, x]
            norm[x] += value * profile[y, x]
            light[x] += value * left
    for x in range(n_column):
        before[x] = light[x] / norm[x] if norm[x] > 0 else 0.0
    for y in range(n_row):
        for x in range(n_column):
            own = before[x] * profile[y, x]
            left = data[y, x] - level * sky[y, x] - own
            error = model_error * own
            if kept[y, x] * (left * left - limit * error * limit * error) > limit * limit:
                value = kept[y, x] * profile[y, x]
                norm[x] -= value * profile[y, x]
                light[x] -= value * (left + own)
                kept[y, x] = 0.0


@compiled
def _scale(columns, edges, norm, light, source):
    """Write the source: in each block in units in which it is the sum of the columns.

    Where it is not seen in a block, it is taken for the columns themselves.
    """
    for k in range(edges.size - 1):
        total, all_columns, noise = 0.0, 0.0, 0.0
        for x in range(edges[k], edges[k + 1]):
            source[x] = columns[x] * light[x] / norm[x] if norm[x] > 0 else 0.0
            total += source[x]
            all_columns += columns[x]
            noise += columns[x] * columns[x] / norm[x] if norm[x] > 0 else 0.0
        known = total * total > 25 * noise
        for x in range(edges[k], edges[k + 1]):
            source[x] = source[x] / total * all_columns if known else columns[x]


@compiled
def _add_kept(images, weights, columns, edges, source, out):
    """Sums over the blocks of data, sky, source, and of the variance of the data."""
    data, sky, _ = images
    for y in range(out.shape[1]):
        for k in range(out.shape[2]):
            light, level, own, variance = 0.0, 0.0, 0.0, 0.0
            for x in range(edges[k], edges[k + 1]):
                if weights[y, x] > 0:
                    v = columns[x]
                    light += v * data[y, x]
                    level += v * sky[y, x]
                    own += source[x]
                    variance += v * v / weights[y, x]
            out[0, y, k], out[1, y, k], out[2, y, k], out[3, y, k] = light, level, own, variance
