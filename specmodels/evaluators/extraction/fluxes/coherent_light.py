"""Light that the profile of a source does not describe: found in the residual, and counted.

Lines of a rotating galaxy lie elsewhere along the slit than its stars, and profiles change in ways
that no family describes. What is left then is coherent over neighbouring pixels, as noise is not
and cosmic rays are not, and belongs to the flux. In the columns where it is found the flux is the
sum of the pixels, as far as the light of the source reaches, less the sky and the other sources.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ....numerics import NormalEquations
from ....numerics.robust import median_of_columns

__all__ = ["CoherentLight", "coherent_light", "common_errors", "line_pixels", "summed_flux"]

# Boxes of rows and columns in which residuals are summed, and how many standard deviations a sum
# must have: there are some 1e5 boxes in an image.
BOXES = ((3, 3), (3, 9), (7, 5), (5, 33))
THRESHOLD = 6.0
# A pixel counts by no more than this, so that a hit that was missed is no light.
LARGEST_PIXEL = 4.0
# Pixels of a line: so far from the model, so many that touch, over so many rows and columns.
LINE_SIGMA, LEAST_PIXELS, LEAST_COLUMNS, LEAST_ROWS = 3.0, 7, 3, 2
LEAST_NEGATIVE = 3
# Correlation of neighbours in a line along the dispersion and along the slit: a Gaussian of 0.6
# pixels has one half. Cosmic rays are sharp in one direction at least.
LEAST_CORRELATION = 0.4
# So many rows without light tell the sky of a column, and two more for each of its terms.
LEAST_DARK = 6


@dataclass(frozen=True, eq=False)
class CoherentLight:
    """Where a fit leaves light that is coherent over pixels.

    Attributes
    ----------
    lines : ndarray of bool, shape (n_row, n_column)
        Pixels that were rejected as outliers, and are parts of lines.
    found : ndarray of bool, shape (n_row, n_column)
        Pixels that lie in a box with a significant residual.
    residual : ndarray, shape (n_row, n_column)
        Data less model; zero where the pixel cannot be used.
    """

    lines: np.ndarray
    found: np.ndarray
    residual: np.ndarray


def row_means(use, residual, variance):
    """Mean residual of the pixels in use of each row, and its variance; zero where none is."""
    number = np.maximum(np.count_nonzero(use, axis=1), 1)
    return tuple(np.sum(np.where(use, a, 0.0), axis=1) / number**power
                 for a, power in ((residual, 1), (variance, 2)))  # fmt: skip


@dataclass(frozen=True, eq=False)
class SummedFlux:
    """Flux of a source as a sum of pixels, see `summed_flux`.

    Attributes
    ----------
    flux, error : ndarray, shape (n,)
    difference, difference_error : ndarray, shape (n,)
        The flux less that of the profile, and the error of this from the noise of the pixels.
    response, fitted_response : ndarray, shape (n_row, n)
        Derivative by the data of the flux, and of that of the profile.
    filled : ndarray, shape (n,)
        Part of the source's model that is not summed.
    light, variance : ndarray, shape (n_row, n)
        Data less all that is not the source, and its variance; zero where not seen.
    common : ndarray, shape (n_common, n)
        Errors that come from what all columns share, as in `~specmodels.fitters.FitResult`.
    """

    flux: np.ndarray
    error: np.ndarray
    difference: np.ndarray
    difference_error: np.ndarray
    response: np.ndarray
    fitted_response: np.ndarray
    filled: np.ndarray
    light: np.ndarray
    variance: np.ndarray
    common: np.ndarray


def coherent_light(fit, model, sky=None):
    """Find the light that a fit leaves over neighbouring pixels.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
    model, sky : ndarray, shape (n_row, n_column)
        Image of its model, and of all of that which is no source; default: what half of the rows of
        a column do not exceed.

    Returns
    -------
    CoherentLight
    """
    image = fit.image
    given = ~image.mask | fit.rejected
    variance = np.ones(image.shape) if image.variance is None else image.variance
    usable = given & np.isfinite(model) & (variance > 0)
    residual = np.where(usable, image.data - np.nan_to_num(model), 0.0)
    sky = median_of_columns(np.nan_to_num(model)) if sky is None else sky
    noise = np.sqrt(np.where(usable, variance, 1.0))
    student, light = residual / noise, np.nan_to_num(model - sky) / noise
    # A source can lack the light of its model, and no more: what is darker is another's.
    darker = (image.data - sky < -LINE_SIGMA * noise) & (model >= sky)
    lines = line_pixels(student, fit.rejected & usable, light) & ~darker
    available = usable & (~fit.rejected | lines)
    found = _significant(np.where(available, student, 0.0))
    return CoherentLight(lines, found & available, np.where(available, residual, 0.0))


def line_pixels(student, rejected, light=0.0):
    """Rejected pixels that belong to a line: as smooth as light is, in both directions.

    Parameters
    ----------
    student : ndarray, shape (n_row, n_column)
        Residuals in standard deviations.
    rejected : ndarray of bool, same shape
        Outliers.
    light : ndarray, same shape, optional
        Light that the model has above the sky, in standard deviations.

    Returns
    -------
    ndarray of bool, same shape
    """
    out = np.zeros(rejected.shape, dtype=bool)
    if not rejected.any():
        return out
    for sign in (1, -1):
        groups = _Groups(sign * student)
        if not rejected[groups.pixels].any():
            continue
        rows, columns = groups.spans
        is_line = (groups.sums(1.0) >= LEAST_PIXELS) & (rows >= LEAST_ROWS)
        is_line &= columns >= LEAST_COLUMNS
        for axis in (0, 1):
            is_line &= groups.correlation(axis) > LEAST_CORRELATION
        if sign < 0:  # no hit takes light away; where a line lies elsewhere, its model does
            lit = np.broadcast_to(light > LINE_SIGMA, rejected.shape)[groups.pixels]
            is_line |= (groups.sums(lit) >= LEAST_NEGATIVE) & (columns >= 2)
        out[groups.pixels] |= is_line[groups.of]
    return out & rejected


class _Groups:
    """Pixels far above the model that touch, in groups; what is below is not looked at.

    Attributes
    ----------
    pixels : tuple of ndarray of int, shape (n_pixel,)
        Their rows and columns.
    of : ndarray of int, shape (n_pixel,)
        Group of each.
    """

    def __init__(self, high):
        labels, self.number = ndimage.label(high > LINE_SIGMA, np.ones((3, 3)))
        self.pixels = np.nonzero(labels)
        self.of = labels[self.pixels] - 1
        self._padded = np.pad(high, 1)

    def sums(self, values):
        """Sums over each group of a value of each pixel, shape (n_group,)."""
        return np.bincount(self.of, np.broadcast_to(values, self.of.shape), self.number)

    @property
    def spans(self):
        """Number of rows, and of columns, from end to end of each group."""
        spans = []
        for place in self.pixels:
            ends = np.full((2, self.number), [[np.inf], [-np.inf]])
            np.minimum.at(ends[0], self.of, place)
            np.maximum.at(ends[1], self.of, place)
            spans.append(ends[1] - ends[0] + 1)
        return spans

    def correlation(self, axis):
        """Correlation of the pixels of each group with the mean of their neighbours on an axis."""
        rows, columns = (place + 1 for place in self.pixels)
        steps = ((rows + s, columns) if axis == 0 else (rows, columns + s) for s in (-1, 1))
        values, near = self._padded[rows, columns], 0.5 * sum(self._padded[step] for step in steps)
        return self.sums(values * near) / self.sums(values**2)


def _significant(student):
    """Pixels in a box whose sum is far from zero; no pixel makes one by itself."""
    student = np.clip(student, -LARGEST_PIXEL, LARGEST_PIXEL).astype("f4")
    out = np.zeros(student.shape, dtype=bool)
    for box in BOXES:
        mean = ndimage.uniform_filter(student, box, mode="constant")
        beyond = np.abs(mean) * np.sqrt(box[0] * box[1]) > THRESHOLD
        if beyond.any():
            out |= ndimage.binary_dilation(beyond, np.ones(box))
    return out


def summed_flux(fit, position, columns, zones, light):
    r"""Flux of a source as the sum of pixels, less all else, in some columns.

    With the linear parameters :math:`a` of the fit, their basis images :math:`A` and the weights
    :math:`w`, one in the pixels that are summed,

    .. math::
        F = a_0 + \sum_y w_y \Bigl(d_y - \sum_k A_{ky} a_k\Bigr) = g^T a + w^T d.

    What lies outside, or on bad pixels, is the light of the model. The sky under the source is that
    of the rows to which no source reaches, if there are enough: the weights of these rows are
    negative. The variance holds that :math:`a` and :math:`d` are of the same noise, and the
    uncertainty of the profile.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
        Fitted column by column.
    position : int
        Position of the source's flux among the parameters.
    columns : ndarray of int, shape (n,)
    zones : dict of int to ndarray of bool, shape (n_row, n)
        Pixels to which each source reaches in these columns, by the position of its flux.
    light : CoherentLight

    Returns
    -------
    SummedFlux
    """
    image, form = fit.image, fit.form
    flux = fit.known_values[position]
    flux = flux[columns] if np.ndim(flux) else flux
    _, basis = fit.design.of(columns)
    shape = (image.shape[0], len(columns))
    basis = {k: np.broadcast_to(basis[k], shape) for k in form.linear}
    fitted, lines = ~image.mask[:, columns], light.lines[:, columns]
    variance = np.where(fitted | lines, image.variance[:, columns], 0.0)
    inverse = np.where(fitted, 1 / np.where(fitted, variance, 1.0), 0.0)
    weights = (zones[position] & (fitted | lines)).astype(float)
    dark = inverse * ~(np.any(list(zones.values()), axis=0) | light.found[:, columns])
    weights -= _sky_weights(weights, dark, [a for k, a in basis.items() if k not in zones])
    source = np.nan_to_num(flux * basis[position]) + light.residual[:, columns]
    basis = np.array(list(basis.values()))
    held, whole = (c[..., columns] for c in (fit.held_covariance, fit.covariance))
    rest = -np.einsum("kyx,yx->kx", basis, weights)
    own = form.linear.index(position)
    rest[own] += 1.0
    moved, kept = (np.einsum("kx,klx->lx", rest, one) for one in (held, whole - held))
    response = weights + np.einsum("lx,lyx->yx", moved, basis) * inverse
    fitted_response = np.einsum("lx,lyx->yx", held[own], basis) * inverse
    noise = np.sum(response**2 * variance, axis=0)
    noise += np.maximum(np.sum(kept * rest, axis=0), 0.0)
    residual = np.sum(weights * light.residual[:, columns], axis=0)
    common = np.einsum("kx,kqx->qx", rest, common_errors(fit)[..., columns])
    between = np.sum((response - fitted_response) ** 2 * variance, axis=0)
    return SummedFlux(
        flux=flux + residual, error=np.sqrt(noise), difference=residual,
        difference_error=np.sqrt(between), response=response, fitted_response=fitted_response,
        filled=rest[own], light=source, variance=variance, common=common,
    )  # fmt: skip


def common_errors(fit):
    """Errors of the linear parameters that all columns share; of no rows where there are none."""
    shape = (len(fit.form.linear), 0, fit.image.shape[1])
    return np.zeros(shape) if fit.common is None else fit.common


def _sky_weights(weights, dark, terms):
    """Weights of dark pixels that give the sky under the pixels which are summed."""
    n_dark = np.count_nonzero(dark, axis=0)
    if not terms or not (n_dark >= LEAST_DARK + 2 * len(terms)).any():
        return 0.0
    equations = NormalEquations.from_columns(terms, np.zeros(dark.shape), dark)
    covariance = np.nan_to_num(equations.solve().covariance)
    under = np.array([np.sum(weights * term, axis=0) for term in terms])
    factors = np.einsum("kx,klx->lx", under, covariance)
    factors[:, n_dark < LEAST_DARK + 2 * len(terms)] = 0.0
    return sum(f * term for f, term in zip(factors, terms, strict=True)) * dark
