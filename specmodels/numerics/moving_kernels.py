"""Compiled loops over the pixels of an integration for `MovingProfiles`; columns come first."""

from typing import NamedTuple

import numpy as np

from .compiled import compiled
from .moving_tables import FINE

__all__ = [
    "Noise", "Pixels", "gathered", "judged", "largest_excess", "light_of", "prepared", "summed",
]  # fmt: skip

# Columns that are summed together.
LANES = 16
# Beyond the ends of all profiles structure belongs to the brightest sources.
LEAST_LIGHT = 1e-9


class Noise(NamedTuple):
    """Variances that are expected in an integration.

    Attributes
    ----------
    floor : ndarray, shape (n_column, n_row)
        Without light of sources.
    slope : ndarray, shape (n_source, n_column)
        What all light of a source in its column brings, where it falls.
    """

    floor: np.ndarray
    slope: np.ndarray


class Pixels(NamedTuple):
    """Pixels of an integration.

    Attributes
    ----------
    data : ndarray, shape (n_column, n_row)
        Finite.
    least : ndarray, same shape
        Variances that are not those expected; zero of most pixels, infinite of those to leave out.
    scale : float
        Factor from expected variances to those of this integration.
    """

    data: np.ndarray
    least: np.ndarray
    scale: float


@compiled
def prepared(image, variance, mask, offset):
    """Data less what does not change, and variances, columns first; left out: zero, infinite."""
    n_row, n_column = offset.shape
    data, own = np.zeros((n_column, n_row)), np.full((n_column, n_row), np.inf)
    for y in range(n_row):
        for x in range(n_column):
            value = image[y, x] - offset[y, x]
            if not mask[y, x] and np.isfinite(value) and np.isfinite(variance[y, x]):
                data[x, y] = value
                own[x, y] = variance[y, x]
    return data, own


@compiled
def _integral(spline, place):
    """Cubic spline at a place, in points of its table, and its derivative."""
    last = len(spline) - 3.000001
    inside = min(max(place, 1.0), last)
    i = int(inside)
    f = np.float64(inside - i)  # a number of Python's leaves NumPy in single precision
    g = 1.0 - f
    a, b, c, d = spline[i - 1], spline[i], spline[i + 1], spline[i + 2]
    middle = b * (4.0 - 3.0 * f * f * (1.0 + g)) + c * (4.0 - 3.0 * g * g * (1.0 + f))
    value = (a * g * g * g + middle + d * f * f * f) / 6.0
    slope = 0.0
    if inside == place:
        slope = 0.5 * (-a * g * g + b * f * (3.0 * f - 4.0) - c * g * (3.0 * g - 4.0) + d * f * f)
    return value, slope


@compiled
def _light(shapes, x, movement, few):
    """Light of the sources in the pixels of a column, and its slopes: fills `few`, (n_few, n_row).

    Sources come first, then the sky, then for each source the slopes by shift and stretch.
    """
    n_source, n_row = len(shapes.splines), few.shape[1]
    shift, narrower = movement[0], 1.0 / (1.0 + movement[1])
    n_linear = n_source + len(shapes.sky)
    for k in range(n_source):
        center, spline = shapes.centers[k, x], shapes.splines[k, x]
        below, below_s, below_w = 0.0, 0.0, 0.0
        for y in range(n_row + 1):
            off = (y - 0.5 - center - shift) * narrower
            value, slope = _integral(spline, (center + off - shapes.start) * FINE)
            slope *= FINE * narrower
            if y > 0:
                few[k, y - 1] = value - below
                few[n_linear + 2 * k, y - 1] = below_s - slope
                few[n_linear + 2 * k + 1, y - 1] = below_w - slope * off
            below, below_s, below_w = value, slope, slope * off
    for k in range(len(shapes.sky)):
        for y in range(n_row):
            few[n_source + k, y] = shapes.sky[k, x, y]


@compiled
def light_of(shapes, movement, n_row):
    """Light of the sources in each pixel, moved, shape (n_source, n_column, n_row)."""
    n_source, n_column = shapes.centers.shape
    out = np.zeros((n_source, n_column, n_row))
    # As in `summed`, so that `_light` is compiled once; loops are compiled sooner than slices.
    few = np.zeros((3 * n_source + len(shapes.sky), n_row, 1))
    for x in range(n_column):
        _light(shapes, x, movement, few[:, :, 0])
        for k in range(n_source):
            for y in range(n_row):
                out[k, x, y] = few[k, y, 0]
    return out


@compiled
def summed(shapes, noise, pixels, theta, columns, largest):
    """Sums over the rows of some columns of products of images, data and weights.

    Parameters
    ----------
    shapes : `~specmodels.numerics.moving_tables.Shapes`
    noise : Noise
    pixels : Pixels
    theta : ndarray, shape (2 + n_level,)
        Shift and stretch; levels are not looked at, but their images of ones are summed.
    columns : ndarray of int, shape (n_column,)
        Their numbers; all shapes of results are for them.
    largest : float
        Variances that exceed those expected by more than this factor are those of single pixels.

    Returns
    -------
    gram : ndarray, shape (n_few, n_few, n_column)
        Light of sources, sky, slopes of each source by shift and stretch, levels.
    vector : ndarray, shape (n_few, n_column)
    chi2 : ndarray, shape (n_column,)
        Of the data.
    n_data : ndarray of int, shape (n_column,)
    basis : ndarray, shape (n_linear, n_column, n_row)
        Light of sources, and sky.
    weights : ndarray, shape (n_column, n_row)
    """
    n_source, n_row = len(shapes.splines), pixels.data.shape[1]
    n_linear, n_moved = n_source + len(shapes.sky), 2 * n_source
    n_few = n_linear + n_moved + len(theta) - 2
    number = len(columns)
    gram, vector = np.zeros((n_few, n_few, number)), np.zeros((n_few, number))
    chi2, n_data = np.zeros(number), np.zeros(number, dtype=np.int64)
    basis = np.zeros((n_linear, number, n_row), dtype=np.float32)
    weights = np.zeros((number, n_row))
    few = np.ones((n_few, n_row, LANES))
    data, weighted = np.zeros((n_row, LANES)), np.zeros((n_row, LANES))
    for start in range(0, number, LANES):
        lanes = min(LANES, number - start)
        for lane in range(lanes):
            x = columns[start + lane]
            _light(shapes, x, theta, few[:, :, lane])
            for y in range(n_row):
                expected = noise.floor[x, y]
                for k in range(n_source):
                    expected += noise.slope[k, x] * max(few[k, y, lane], 0.0)
                expected *= pixels.scale
                own = pixels.least[x, y]
                weight = 1.0 / (own if own > largest * expected else expected)
                data[y, lane] = pixels.data[x, y]
                weights[start + lane, y] = weight
                n_data[start + lane] += weight > 0
                chi2[start + lane] += data[y, lane] ** 2 * weight
                for a in range(n_linear):
                    basis[a, start + lane, y] = few[a, y, lane]
        for a in range(n_few):
            for y in range(n_row):
                for lane in range(lanes):
                    weighted[y, lane] = few[a, y, lane] * weights[start + lane, y]
                    vector[a, start + lane] += weighted[y, lane] * data[y, lane]
            for b in range(a, n_few):
                for y in range(n_row):
                    for lane in range(lanes):
                        gram[a, b, start + lane] += weighted[y, lane] * few[b, y, lane]
                for lane in range(lanes):
                    gram[b, a, start + lane] = gram[a, b, start + lane]
    return gram, vector, chi2, n_data, basis, weights


@compiled
def judged(basis, values, data, weights):
    """Residuals and light of all pixels over their standard deviations, zero without weight.

    Parameters
    ----------
    basis : ndarray, shape (n_linear, n_column, n_row)
    values : ndarray, shape (n_linear, n_column)
        Coefficients of the basis images.
    data, weights : ndarray, shape (n_column, n_row)

    Returns
    -------
    student, signal : ndarray, shape (n_column, n_row)
    """
    student, signal = np.zeros(data.shape), np.zeros(data.shape)
    for x in range(data.shape[0]):
        for y in range(data.shape[1]):
            root = np.sqrt(weights[x, y])
            model = 0.0
            for i in range(len(values)):
                model += values[i, x] * basis[i, x, y]
            student[x, y] = (data[x, y] - model) * root
            signal[x, y] = model * root
    return student, signal


@compiled
def largest_excess(fitted, data, weights, scale, misfit, floor):
    """Largest residual of each column over what it is expected to be, squared.

    Parameters
    ----------
    fitted : tuple of ndarray
        Basis and values as for `judged`, and their covariance, (n_linear, n_linear, n_column).
    data, weights : ndarray, shape (n_column, n_row)
    scale, misfit : float
        Standard deviation of residuals in units of the noise, and relative error of the model.
    floor : float
        Least part of its variance with which a pixel does not take part in its own model.

    Returns
    -------
    ndarray, shape (n_column,)
    """
    basis, values, covariance = fitted
    n_column, n_row = data.shape
    out = np.zeros(n_column)
    for x in range(n_column):
        for y in range(n_row):
            weight, model, spread = weights[x, y], 0.0, 0.0
            for i in range(len(values)):
                model += values[i, x] * basis[i, x, y]
                spread += covariance[i, i, x] * basis[i, x, y] ** 2
                for j in range(i):
                    spread += 2 * covariance[i, j, x] * basis[i, x, y] * basis[j, x, y]
            freedom = max(1.0 - weight * spread, floor)
            expected = (scale * scale + misfit * misfit * model * model * weight) * freedom
            out[x] = max(out[x], (data[x, y] - model) ** 2 * weight / expected)
    return out


@compiled
def gathered(pixels, fluxes, centers, movement, block, totals):
    """Add what is left of an integration to sums by distance from the traces.

    Parameters
    ----------
    pixels : tuple of ndarray
        Residuals and weights, (n_column, n_row), and light of the sources, (n, n_column, n_row).
    fluxes, centers : ndarray, shape (n_source, n_column)
        Zero of columns that tell nothing; rows of the traces.
    movement : ndarray
        Shift and stretch.
    block : ndarray of int, shape (n_column,)
        To which sums a column belongs.
    totals : tuple of ndarray, shape (n_source, n_block, n_place)
        Of products of residual, flux and weight, and of weights times squared fluxes; added to. The
        middle place is upon the trace.
    """
    residual, weights, basis = pixels
    light, weight = totals
    middle, wider = (light.shape[2] - 1) // 2, 1.0 + movement[1]
    own = np.zeros(len(fluxes))
    for x in range(residual.shape[0]):
        for y in range(residual.shape[1]):
            total = 0.0
            for k in range(len(fluxes)):
                own[k] = abs(fluxes[k, x] * basis[k, x, y]) + LEAST_LIGHT * abs(fluxes[k, x])
                total += own[k]
            for k in range(len(fluxes)):
                off = (y - centers[k, x] - movement[0]) / wider
                place = int(np.floor(off * FINE + 0.5)) + middle
                if total > 0 and 0 <= place < light.shape[2]:
                    seen = weights[x, y] * fluxes[k, x] / wider
                    light[k, block[x], place] += seen * residual[x, y] * (own[k] / total)
                    weight[k, block[x], place] += seen * fluxes[k, x] / wider
