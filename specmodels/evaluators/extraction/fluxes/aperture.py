"""Aperture extraction: the plain sum along the trace, to compare an optimal extraction with."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SourceSums", "aperture_overlap", "aperture_sum", "source_sums", "sum_errors"]

# Images of a chunk of columns that are held at once.
N_IMAGES = 12


@dataclass(frozen=True, eq=False)
class SourceSums:
    """What is read off the images of one source, each of shape (n_dispersion,).

    Attributes
    ----------
    flux, error, enclosed : ndarray
        As from `aperture_sum`.
    background : ndarray
        Model of all that is no source, in the pixel of the trace.
    seen : ndarray
        Fraction of the light that falls on good pixels.
    """

    flux: np.ndarray
    error: np.ndarray
    enclosed: np.ndarray
    background: np.ndarray
    seen: np.ndarray


def source_sums(fit, sources, traces, radii, *, carriers=None, image=None):
    """Sums over the images of all sources of a fit, made in chunks of columns.

    Parameters
    ----------
    fit : `~specmodels.fitters.FitResult`
        Of a model with sources.
    sources : dict of str to tuple
        Each `~specmodels.models.Source` with the positions of its parameters.
    traces, radii : dict of str to ndarray, shape (n_dispersion,)
        Row of each source, and half the height of its aperture.
    carriers : dict of str to int, optional
        First position of the part of the model that carries the light of each source; default: that
        of the source itself.
    image : `~specmodels.SpectralImage`, optional
        The image that was fitted with the mask of the pixels that are not summed. Default: the same
        as in the fit.

    Returns
    -------
    dict of str to SourceSums
    """
    whole = fit.image if image is None else image
    parts = {name: [] for name in sources}
    carriers = {name: p[0] for name, (_, p) in sources.items()} if carriers is None else carriers
    for chunk, inputs, values, components in fit.parts(N_IMAGES):
        image = whole.cutout(columns=chunk)
        inputs = (image.x[None], image.y[:, None]) if len(inputs) == 1 else inputs
        model = np.nan_to_num(sum(part for _, _, part in components))
        lights = {positions[0]: part for _, positions, part in components if len(positions)}
        seen, own = {}, {}
        for name, (leaf, positions) in sources.items():
            fraction = leaf.fraction(*inputs, [values[k] for k in positions])
            seen[name] = np.sum(np.where(image.weights > 0, fraction, 0.0), axis=0)
            own[name] = np.nan_to_num(lights[carriers[name]])
        sky = model - sum(own.values())
        columns = np.arange(image.shape[1])
        for name, light in own.items():
            trace = traces[name][chunk]
            sums = aperture_sum(image, light, model - light, trace, radii[name][chunk])
            rows = np.round(np.interp(trace, image.y, np.arange(image.shape[0])))
            parts[name].append((*sums, sky[np.nan_to_num(rows).astype(int), columns], seen[name]))
    return {name: SourceSums(*map(np.concatenate, zip(*part, strict=True)))
            for name, part in parts.items()}  # fmt: skip


def sum_errors(fit, traces, radii, carriers, image):
    """Standard errors of the sums, of which all that is subtracted was fitted to the same pixels.

    See `~specmodels.fitters.FitResult.variance_of_sums`; arguments as of `source_sums`.

    Returns
    -------
    dict of str to ndarray, shape (n_dispersion,)
    """
    out = {}
    for name, trace in traces.items():
        overlap = aperture_overlap(image.y, trace, radii[name])
        out[name] = np.sqrt(fit.variance_of_sums(overlap, ~image.mask, carriers[name]))
    return out


def aperture_overlap(rows, trace, radius):
    """Part of each pixel that lies within a radius of a trace, shape (n_row, n_dispersion)."""
    y = rows[:, None]
    low, high = np.maximum(y - 0.5, trace - radius), np.minimum(y + 0.5, trace + radius)
    return np.clip(high - low, 0, 1)


def aperture_sum(image, source_image, others, trace, radius):
    """Sum of a source's light within a radius of its trace.

    Bad pixels are filled from the model of the source; pixels partly inside count by that part.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        Data; its mask holds rejected pixels too.
    source_image, others : ndarray, shape of the image
        Model of the source, and of all that is to be subtracted (sky and other sources).
    trace : ndarray, shape (n_dispersion,)
        Row of the source in each column.
    radius : float or ndarray, shape (n_dispersion,)
        Half the height of the aperture, in pixels.

    Returns
    -------
    flux, error : ndarray, shape (n_dispersion,)
        The sum and its standard error from the noise of the pixels, as if what is subtracted were
        known; NaN where no pixel of the aperture is good.
    enclosed : ndarray, shape (n_dispersion,)
        Sum of `source_image` within the aperture.
    """
    overlap = aperture_overlap(image.y, trace, radius)
    good = ~image.mask
    filled = np.where(good, image.data - others, source_image)
    flux = np.sum(overlap * filled, axis=0)
    used = np.any((overlap > 0) & good, axis=0)
    variance = 1.0 if image.variance is None else np.where(good, image.variance, 0.0)
    error = np.sqrt(np.sum(overlap**2 * np.where(good, variance, 0.0), axis=0))
    enclosed = np.sum(overlap * source_image, axis=0)
    return np.where(used, flux, np.nan), np.where(used, error, np.nan), enclosed
