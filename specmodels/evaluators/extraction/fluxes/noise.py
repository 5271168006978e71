"""Variances where the data bring none, or noisy ones.

Poisson variances computed from the noisy data themselves give low pixels high weights, and fluxes
that are too low. Fitted with the same model as the data they lose that correlation.
"""

import numpy as np
from scipy import ndimage

from ....fitters import LinearFitter
from ....models import ColumnPolynomial, UniformSky
from ....models.noise.correlated import without_noise
from ....numerics.robust import MAD_TO_SIGMA, column_scatter, median_of_columns
from ..guess.leaves import leaves_of, replace_leaf
from .coherent_light import coherent_light

__all__ = ["scatter_of_dark_pixels", "with_estimated_variance", "with_scaled_variance",
           "with_smooth_poisson"]  # fmt: skip

LEAST_CORRELATION = 0.2
PROBED_COLUMNS = 256
LEAST_NOISE = 1e-3
# Of images that are zero throughout; its square and its inverse square are still numbers.
SMALLEST_NOISE = 1e-150
# Noise is at least this fraction of the brightest pixel, so that chi-square is a number.
RANGE = 1e-12
N_LEVELS = 12
# Pixels are dark where sources bring less than so many standard deviations; so many must be.
DARK, LEAST_DARK_PIXELS = 3.0, 100
# Variances are too small by a factor in this range where dark pixels scatter by so much more.
TOO_SMALL = (1.3, 5.0)


def first_noise(image):
    """Standard deviation of the pixels from the differences of neighbours along the dispersion."""
    good = ~image.mask
    pairs = good[:, 1:] & good[:, :-1]
    steps = np.diff(np.where(good, image.data, 0.0).astype(float), axis=1)[pairs]
    if steps.size < 8:
        steps = image.data[good] - np.median(image.data[good])
    noise = MAD_TO_SIGMA * np.median(np.abs(steps)) / np.sqrt(2)
    scale = np.max(np.abs(image.data[good])) if good.any() else 1.0
    return max(float(noise), 1e-6 * float(scale), SMALLEST_NOISE)


def with_constant_variance(image):
    """Image with the same variance everywhere, a first estimate."""
    return image.replace(variance=np.full(image.shape, first_noise(image) ** 2))


def with_estimated_variance(image, fit):
    """Image with a variance from the residuals of a fit: noise per column, growing with the light.

    The noise of the sky is the robust scatter of the residuals away from the sources, column by
    column; the slope with which the variance grows with the light of the sources is fitted to their
    mean square at several levels.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    fit : `~specmodels.fitters.FitResult`
        Fit of the image with any variance.
    """
    model = fit.predict()
    good = ~image.mask & ~fit.rejected
    good &= np.isfinite(model) if np.isfinite(model[good]).any() else True
    residual = np.where(good, image.data - np.nan_to_num(model), 0.0)
    light = source_light(fit)
    brightest = np.max(np.abs(image.data[~image.mask]), initial=0.0)
    floor = max(RANGE * float(brightest), SMALLEST_NOISE)
    noise = np.maximum(_column_noise(residual, light, good), floor)
    noise /= np.sqrt(max(_freedom(fit), 0.2))
    # The weights are equal: with the hat matrix H the variance of what is left is that of 1 - H.
    own, seen = 1 - fit.leverages(), fit.residual_variance(light)
    level = (seen / noise**2)[good]
    excess = ((residual / noise) ** 2 - own)[good]
    parts = np.array_split(np.argsort(level, kind="stable"),
                           min(N_LEVELS, max(1, level.size // 50)))  # fmt: skip
    levels, excess = (np.array([np.mean(a[part]) for part in parts]) for a in (level, excess))
    slope = _slope(levels, excess)
    notes = (*image.notes, "variance estimated from the data")
    return image.replace(variance=noise**2 + slope * light, notes=notes)


def _freedom(fit):
    """Part of the noise that a fit leaves in the data."""
    return float(np.sum(np.maximum(fit.dof, 0)) / max(np.count_nonzero(fit.image.weights), 1))


def source_light(fit):
    """Light of the model above the faintest pixel of each column, shape of the image."""
    model = fit.predict()
    known = np.isfinite(model)
    floor = np.min(model, axis=0, where=known, initial=np.inf)
    return np.where(known, model - np.where(known.any(axis=0), floor, 0.0), 0.0)


def _column_noise(residual, light, good):
    """Robust standard deviation per column, of the pixels with little light, smoothed."""
    dark = good & (light <= 0.02 * light.max(axis=0) + 1e-300)
    spread = np.full(residual.shape[1], np.nan)
    enough = np.count_nonzero(dark, axis=0) >= 5
    spread[enough] = column_scatter(residual, dark)[enough]
    known = np.isfinite(spread) & (spread > 0)
    floor = LEAST_NOISE * np.ptp(light) / residual.shape[0]
    if not known.any():
        overall = MAD_TO_SIGMA * np.median(np.abs(residual[good])) if good.any() else 0.0
        return np.full(residual.shape[1], max(overall, floor))
    filled = np.interp(np.arange(len(spread)), np.flatnonzero(known), spread[known])
    return np.maximum(ndimage.median_filter(filled, size=15, mode="nearest"), floor)


def _slope(level, excess):
    """Slope through the origin, each level weighted by its size, not negative."""
    weight = 1 / (1 + np.abs(excess)) ** 2
    total = np.sum(weight * level**2)
    return max(float(np.sum(weight * level * excess) / total), 0.0) if total > 0 else 0.0


def with_smooth_poisson(image, fit):
    """Image with Poisson variances fitted by the model, or None where they need it not.

    A variance of which no part is told apart is taken as a whole: read noise is part of the sky.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With a variance; of its components only ``poisson`` is looked at, if there is one.
    fit : `~specmodels.fitters.FitResult`
        Fit of that image.
    """
    good = ~image.mask & ~fit.rejected
    every = slice(None, None, max(1, image.shape[1] // PROBED_COLUMNS))
    part, part_good = image.cutout(columns=every), good[:, every]
    if not _follows_the_noise(fit, fit.predict()[:, every], part, part_good):
        return None
    usable, poisson = ~image.mask, _noisy_part(image)
    smooth = _smooth_poisson(fit, image, good)
    variance = np.array(image.variance, dtype=float)
    variance[usable] += (smooth - poisson)[usable]
    components = dict(image.components)
    if components:
        components["poisson"] = np.where(usable, smooth, poisson)
    return image.replace(variance=variance, components=components)


def _noisy_part(image):
    """The part of the variance that may follow the noise: Poisson's, or all where none is apart."""
    return image.components.get("poisson", image.variance)


def _smooth_poisson(like, image, good):
    """Poisson variances fitted by the model, weights equal; not below a fiftieth of the median."""
    poisson = np.where(good, _noisy_part(image), 0.0)
    flat = image.replace(data=poisson, variance=np.ones(image.shape), components={}, mask=~good)
    template = like.template
    # Of a level that columns share, the fit has the value of the data.
    for sky in (leaf for leaf in leaves_of(template) if isinstance(leaf, UniformSky)):
        template = replace_leaf(template, sky.name, ColumnPolynomial(0, name=sky.name))
    if template is like.template and like.independent_columns:
        fit = LinearFitter().refit(like, [flat])
    else:
        fit = LinearFitter()(without_noise(template), flat, **like.options)
    return np.maximum(np.nan_to_num(fit.predict()), 0.02 * np.median(poisson[good]))


def _follows_the_noise(like, model, image, good):
    """Whether the Poisson variances are high where the data are."""
    if not good.any():
        return False
    residual = np.nan_to_num(image.data - model)[good]
    excess = (_noisy_part(image) - _smooth_poisson(like, image, good))[good]
    clipped = [np.clip(a, *np.percentile(a, [1, 99])) for a in (residual, excess)]
    if not all(np.std(a) > 0 for a in clipped):
        return False
    return np.corrcoef(*clipped)[0, 1] > LEAST_CORRELATION


def scatter_of_dark_pixels(fit, model, left_out=False):
    """Robust scatter of residuals over their errors where sources are faint; NaN of few pixels.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
    model : ndarray, shape (n_row, n_column)
        Image of its model.
    left_out : ndarray of bool, same shape, optional
        Pixels which the model does not describe.
    """
    image, known, model = fit.image, np.isfinite(model), np.nan_to_num(model)
    root = np.sqrt(image.weights)
    signal = np.abs(model - median_of_columns(model)) * root
    use = ~image.mask & known & (signal < DARK) & ~np.asarray(left_out)
    if np.count_nonzero(use) < LEAST_DARK_PIXELS:
        return np.nan
    student = np.abs((image.data - model)[use] * root[use])
    freedom = np.sum(fit.dof) / max(np.count_nonzero(~image.mask), 1)
    return float(MAD_TO_SIGMA * np.median(student) / np.sqrt(np.clip(freedom, 0.1, 1.0)))


def with_scaled_variance(image, fit):
    """Image whose variances are raised to what dark pixels show, or None where they need it not.

    Variances that are too large are left: neighbours that a resampling has made alike scatter by
    less than sums of them do.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    fit : `~specmodels.fitters.FitResult`
        Fit of that image.
    """
    model = fit.predict()
    factor = scatter_of_dark_pixels(fit, model) ** 2
    if not TOO_SMALL[0] < factor < TOO_SMALL[1]:
        return None
    # Light that the model lacks is no noise; it is judged by the noise which would be too large.
    noisy = fit.replace(image=image.replace(variance=factor * image.variance))
    factor = scatter_of_dark_pixels(fit, model, coherent_light(noisy, model).found) ** 2
    if not TOO_SMALL[0] < factor < TOO_SMALL[1]:
        return None
    components = {key: factor * value for key, value in image.components.items()}
    note = f"variances multiplied by {factor:.2f}, as the residuals scatter"
    return image.replace(
        variance=factor * image.variance, components=components, notes=(*image.notes, note)
    )
