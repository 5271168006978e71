"""Light in wings so wide that the sky took it: seen where the sky follows the features of a source.

A level takes what wings bring to the ends of the slit. But where it is the same in all columns it
does not know of the lines of the source.
"""

import numpy as np

from ...models import BSplineProfile

__all__ = ["expected_wings", "outer_light", "wings_in_sky"]

# Rows beyond the sources from which the sky is read, and columns that are needed.
LEAST_DARK, LEAST_COLUMNS = 6, 100
# Wings differ from row to row, and from what the profile has of them, by such parts; they are
# believed beyond that where the sky follows the source by so many standard errors.
SHAPE_ERROR, FOLLOWS_SIGMA = 0.3, 4.0
OF_LEARNT, OF_FAMILY = 0.5, 1.0
OUTER_ROWS = 0.15


def wings_in_sky(fluxes, sky, zones, light, image, expected):
    r"""Part of the light of all sources that lies in the sky, and its error.

    Where all columns have one sky, what the model leaves in rows without sources is
    :math:`s + h F_x` of the flux :math:`F`. A sky that differs from column to column has lines of
    its own: then nothing is counted, and the error is a part of what is expected.

    Parameters
    ----------
    fluxes : ndarray, shape (n_source, n_column)
    sky : ndarray, shape (n_row, n_column)
        Sky of the model.
    zones : ndarray of bool, shape (n_row, n_column)
        Pixels to which sources reach.
    light : `~specmodels.evaluators.extraction.coherent_light.CoherentLight`
    image : `~specmodels.exposure.SpectralImage`
    expected : float
        Standard deviation of the part before the sky is looked at.

    Returns
    -------
    part, error : float
        Mean and standard deviation of the part, given the data.
    """
    if np.ptp(np.nan_to_num(sky)) > 0:  # lines of the sky lie on those of sources by chance
        return 0.0, SHAPE_ERROR * expected
    part, error = _measured(fluxes, zones, light, image)
    if part > FOLLOWS_SIGMA * error:
        expected = max(expected, part)
    if not (expected > 0 and np.isfinite(error)):
        return 0.0, expected
    weight = expected**2 / (expected**2 + error**2)
    part = max(weight * part, 0.0)
    return float(part), float(np.hypot(np.sqrt(weight) * error, SHAPE_ERROR * part))


def _measured(fluxes, zones, light, image):
    """Part of the light in the sky and its error, infinite where the data do not tell."""
    good = ~image.mask
    dark, flux = good & ~zones, np.sum(fluxes, axis=0)
    n_dark, n_row = np.count_nonzero(dark, axis=0), np.median(np.count_nonzero(good, axis=0))
    use = (n_dark >= LEAST_DARK) & np.isfinite(flux)
    if np.count_nonzero(use) < LEAST_COLUMNS or np.nanmin(np.nansum(fluxes, axis=1)) < 0:
        return 0.0, np.inf
    weights = np.where(dark, image.weights, 0.0)[:, use]
    left = np.sum(weights * light.residual[:, use], axis=0) / np.sum(weights, axis=0)
    flux, level = flux[use] - np.mean(flux[use]), left - np.mean(left)
    power = np.sum(flux**2)
    if not power > 0:
        return 0.0, np.inf
    slope = np.sum(flux * level) / power
    error = np.sqrt(np.sum(flux**2 * (level - slope * flux) ** 2)) / power
    return slope * n_row, error * n_row


def expected_wings(leaf, values, image, trace):
    """Standard deviation of the part of the light of a source that lies in the sky.

    A family of profiles says what wings are, and not what they are seen to be.
    """
    part = OF_LEARNT if isinstance(leaf.profile, BSplineProfile) else OF_FAMILY
    return part * outer_light(leaf, values, image, trace)


def outer_light(leaf, values, image, trace):
    """Light that the model of a source has in the outermost rows, times the number of rows.

    Parameters
    ----------
    leaf : `~specmodels.models.Source`
    values : list
        Of its parameters.
    image : `~specmodels.exposure.SpectralImage`
    trace : ndarray, shape (n_column,)

    Returns
    -------
    float
        The part of its light that a level of the sky can take.
    """
    some = np.array([0, len(image.x) // 2, len(image.x) - 1])
    own = [v[some] if np.ndim(v) else v for v in values]
    light = leaf.fraction(image.x[some][None], image.y[:, None], own)
    rows = np.flatnonzero((~image.mask).any(axis=1))
    if not rows.size:
        return 0.0
    light = np.broadcast_to(np.nan_to_num(light), (len(image.y), len(some)))[rows]
    distance = np.abs(image.y[rows] - np.median(trace))
    outer = np.argsort(distance)[-max(int(OUTER_ROWS * len(rows)), 1) :]
    return float(np.max(np.mean(light[outer], axis=0))) * len(rows)
