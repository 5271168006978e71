"""Whether the sky of a column follows the spectrum of a source, as do wings that it has taken."""

import numpy as np
from scipy import ndimage

from .hidden_wings import LEAST_COLUMNS

__all__ = ["level_that_follows", "term_that_follows"]

# Columns over which a spectrum is smooth.
SMOOTH = 31
# Mean square distance between lines, in half the spectrum, from which they tell of a change.
LEAST_SPREAD = 0.02
# Parts of the spectrum that are left out in turn, to see what hangs on one.
N_PARTS = 12


def level_that_follows(fit, position, use):
    """Part of the light of a source by which the sky of each column follows it.

    What is smooth in wavelength is left out, as source and sky may have the same slope; and what
    the errors of flux and sky have in common.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
    position : int
        Position of the flux of the source among the parameters.
    use : ndarray of bool, shape (n_column,)
        Columns that can be used.

    Returns
    -------
    part, error : float
        The error is infinite where the sky is not a polynomial in each column, or does not tell.
    spread : float
        The error that the parts of the spectrum show by themselves: one line tells of itself only,
        and its light may lie elsewhere along the slit than that of all else.
    """
    terms = [k for k in fit.form.linear if not fit.names[k].startswith("flux")]
    in_columns = all(np.ndim(fit.values[k]) for k in (position, *terms))
    if not (terms and in_columns and all(fit.names[k].startswith("c") for k in terms)):
        return 0.0, np.inf, np.inf
    sums = dict(zip(terms, _row_sums(fit, terms), strict=True))
    return term_that_follows(fit, position, sums, use)


def term_that_follows(fit, position, weights, use):
    """By how much a sum of terms of the sky follows the flux of a source, see `level_that_follows`.

    Parameters
    ----------
    fit, position, use
        As there.
    weights : dict of int to float
        Weights in the sum, by the positions of the terms.

    Returns
    -------
    slope, error, spread : float
        The errors are infinite where the data do not tell.
    """
    flux = np.asarray(fit.values[position])
    sky = sum(w * np.asarray(fit.values[k]) for k, w in weights.items())
    use = use & np.isfinite(flux) & np.isfinite(sky)
    if np.count_nonzero(use) < LEAST_COLUMNS:
        return 0.0, np.inf, np.inf
    name = fit.names[position]
    common = sum(w * fit.covariance_within(name, fit.names[k])[use] for k, w in weights.items())
    flux, sky = (a[use] - ndimage.median_filter(a[use], SMOOTH) for a in (flux, sky))
    variance = fit.error(name)[use] ** 2
    powers = flux**2 - variance
    if not np.sum(powers) > np.sqrt(2 * np.sum(variance**2)):
        return 0.0, np.inf, np.inf
    # Wings may change along the spectrum: the slope is that in its middle.
    u = np.linspace(-1, 1, len(flux))
    terms = np.array([np.ones(len(u)), u - np.sum(powers * u) / np.sum(powers)])
    products = (flux * sky - common) * terms
    powers = powers * terms[:, None] * terms
    # One line tells of no change.
    powers[1, 1] += LEAST_SPREAD * powers[0, 0]
    inverse = np.linalg.pinv(np.sum(powers, axis=-1), hermitian=True)
    slope = inverse @ np.sum(products, axis=-1)
    response = inverse[0] @ (flux * terms)
    error = np.sqrt(np.sum(response**2 * (sky - flux * (slope @ terms)) ** 2))
    return float(slope[0]), float(error), _jackknife(products, powers)


def _row_sums(fit, terms):
    """Sums of terms of the sky, which are the same in all columns, over the rows that are good."""
    image = fit.image
    local = [v[:1] if np.ndim(v) else v for v in map(np.nan_to_num, fit.values)]
    _, basis = fit.form.columns(local, (image.x[:1][None], image.y[:, None]))
    number = np.count_nonzero(~image.mask, axis=1)
    good = number / max(np.max(number), 1)
    return [float(np.sum(good * np.broadcast_to(basis[k], (len(good), 1))[:, 0])) for k in terms]


def _jackknife(products, powers):
    """Error of a slope from what it would be without each part of the spectrum."""
    vector, matrix = (
        np.sum(a, axis=-1)
        - np.array([np.sum(part, axis=-1) for part in np.array_split(a, N_PARTS, axis=-1)])
        for a in (products, powers)
    )
    if not np.min(np.linalg.eigvalsh(matrix)) > 0:
        return np.inf
    slopes = np.linalg.solve(matrix, vector[..., None])[:, 0, 0]
    return float(np.sqrt((N_PARTS - 1) * np.var(slopes)))
