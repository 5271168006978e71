"""Which sky the data ask for: one level for all columns, or a level, slope or parabola for each."""

import numpy as np
from numpy.polynomial import legendre

from ....fitters import LinearFitter, VarProFitter
from ....models import ColumnPolynomial, UniformSky
from ..fluxes.following_sky import term_that_follows
from ..shapes import with_held_shape
from .leaves import leaves_of, replace_leaf

__all__ = [
    "LARGEST_SKY_DEGREE", "LEAST_ROWS_FOR_SKY", "gain", "row_limits",
    "sky_bows", "sky_is_told", "sky_of", "with_chosen_sky",
]  # fmt: skip

LEAST_ROWS_FOR_SKY = 5
# Sky below this many standard errors in most columns may be none at all.
FAINT_SKY = 3.0
LARGEST_SKY_DEGREE = 2
# What a parabola leaves of wings is seen with so many more terms.
WINGS_DEGREE = 4
# A sloping sky takes so many rows on either side, so many full widths from the sources.
LEAST_SKY_ROWS, SKY_FWHM = 3, 2.0
# It does where what all columns have in common lowers chi-square by so much.
SHARED_GAIN = 30.0
# But not where it follows the lines of a source by so many standard errors, and would take such a
# part of its light: these are its wings.
FOLLOWS_SIGMA, LEAST_TAKEN = 5.0, 0.002


def with_chosen_sky(model, fit, image, guess, *, faint):
    """Model with the sky that the data ask for: one level for all columns, or terms for each.

    One level for all serves where a level per column fits no better than it would to noise, so
    that errors lack nothing; a slope or parabola is added where it lowers chi-square by more
    than twice the number of columns (Akaike's criterion), or all columns together show it, unless
    it has the lines of a source.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        With a sky of that name.
    fit : `~specmodels.fitters.FitResult`
        Fit of the image, which tells what was rejected.
    image : `~specmodels.SpectralImage`
    guess : `~specmodels.evaluators.extraction.guess.first_guess.Guess`
    faint : bool
        Whether the shapes of the sources are to stay as they are: columns would spoil them.

    Returns
    -------
    `~astropy.modeling.Model`
    """
    if image.shape[0] < LEAST_ROWS_FOR_SKY:
        return model
    cleaned = image.replace(mask=image.mask | fit.rejected)
    n_columns = np.count_nonzero((~cleaned.mask).any(axis=0))
    again = LinearFitter()
    flat = again.refit(fit, [cleaned]) if fit.template is model else again(model, cleaned)
    if _faint_sky(flat):
        simple = replace_leaf(model, "sky", UniformSky(name="sky"))
        bare = VarProFitter()(with_held_shape(simple.copy()) if faint else simple, cleaned)
        if bare.success and gain(bare, flat) < n_columns + 4 * np.sqrt(2 * n_columns):
            sky = sky_of(bare.template)
            return replace_leaf(model, "sky", sky) if faint else bare.template
    if not _has_sky_on_both_sides(image, guess):
        return model
    for degree in range(1, LARGEST_SKY_DEGREE + 1):
        sky = ColumnPolynomial(degree, limits=row_limits(image), name="sky")
        trial = replace_leaf(model, "sky", sky)
        fitted = LinearFitter()(trial, cleaned)
        if gain(flat, fitted) < 2 * n_columns and not _slopes_in_common(flat, guess, degree):
            break
        if _follows_a_source(fitted, degree):
            break
        model, flat = trial, fitted
    return model


def sky_bows(fit, guess):
    """Whether a fit with a sky that is a level in each column leaves a bow that all have in common.

    Where a sky is as bright at one end of the slit as at the other a slope gains nothing. Wings of
    a source bow as well, and a profile has to be learnt before what it leaves tells of the sky.
    """
    sky = sky_of(fit.template)
    level = isinstance(sky, ColumnPolynomial) and sky.degree == 0
    bows = level and _has_sky_on_both_sides(fit.image, guess)
    return bows and _slopes_in_common(fit, guess, LARGEST_SKY_DEGREE)


def sky_is_told(fit, guess):
    """Whether a sky that slopes or bows is one, and not the wings of a source.

    Wings have the lines of the source, and are no parabola: more is left in the rows away from it.
    """
    degree = sky_of(fit.template).degree
    return not (_follows_a_source(fit, degree) or _slopes_in_common(fit, guess, WINGS_DEGREE))


def sky_of(model):
    """The sky of a model; None where it has none."""
    return next((leaf for leaf in leaves_of(model) if leaf.name == "sky"), None)


def gain(simple, rich):
    """By how much the richer of two fits lowers chi-square, in units of its noise."""
    return np.sum(simple.chi2 - rich.chi2) / max(rich.reduced_chi2, 1.0)


def row_limits(image):
    """First and last row of an image."""
    return (image.y[0], image.y[-1])


def _has_sky_on_both_sides(image, guess):
    """Whether rows beyond the sources, above and below, can tell how the sky slopes."""
    rows = image.y[(~image.mask).any(axis=1)]
    reach = SKY_FWHM * guess.fwhm
    below = np.count_nonzero(rows < guess.traces.min() - reach)
    above = np.count_nonzero(rows > guess.traces.max() + reach)
    return min(below, above) >= LEAST_SKY_ROWS


def _slopes_in_common(fit, guess, degree):
    """Whether the rows away from the sources have a slope or parabola that all columns share."""
    image, limits = fit.image, row_limits(fit.image)
    t = (2 * image.y - limits[0] - limits[1]) / (limits[1] - limits[0])
    places = np.concatenate([guess.centers, *guess.further])
    distance = np.min(np.abs(image.y[:, None] - places), axis=1)
    away = distance > 1.5 * SKY_FWHM * guess.fwhm
    if min(np.count_nonzero(away & (t < 0)), np.count_nonzero(away & (t > 0))) < LEAST_SKY_ROWS:
        return False
    weights = image.weights[away]
    residual = np.where(weights > 0, fit.residual()[away], 0.0)
    total = np.maximum(np.sum(weights, axis=0), 1e-300)
    terms = [np.broadcast_to(v[:, None], weights.shape)
             for v in legendre.legvander(t[away], degree)[:, 1:].T]  # fmt: skip
    # Each column has a level of its own, which takes its part of the terms.
    terms = [term - np.sum(weights * term, axis=0) / total for term in terms]
    matrix = np.array([[np.sum(weights * a * b) for a in terms] for b in terms])
    vector = np.array([np.sum(weights * term * residual) for term in terms])
    gain = vector @ np.linalg.lstsq(matrix, vector)[0]
    return gain > SHARED_GAIN * max(fit.reduced_chi2, 1.0)


def _follows_a_source(fit, degree):
    """Whether the highest term of the sky has the lines of a source."""
    term = next(k for k in reversed(fit.form.linear) if fit.names[k].startswith(f"c{degree}"))
    n_row, n_column = fit.image.shape
    use = np.ones(n_column, dtype=bool)
    for position in fit.form.linear:
        if fit.names[position].startswith("flux"):
            slope, error, _ = term_that_follows(fit, position, {term: n_row}, use)
            if abs(slope) > max(LEAST_TAKEN, FOLLOWS_SIGMA * error):
                return True
    return False


def _faint_sky(fit):
    """Whether the sky of most columns is not significant or negative, as after a subtraction."""
    name = next(n for n in reversed(fit.names) if n.startswith("c0"))
    with np.errstate(invalid="ignore", divide="ignore"):
        significance = fit[name] / fit.error(name)
    known = significance[np.isfinite(significance)]
    return known.size > 0 and np.median(known) < FAINT_SKY
