"""Aperture extraction: the plain sum along the trace, to compare an optimal extraction with."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SourceSums", "aperture_sum", "source_sums"]

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


def source_sums(fit, sources, traces, radii, *, carriers=None):
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

    Returns
    -------
    dict of str to SourceSums
    """
    parts = {name: [] for name in sources}
    carriers = {name: p[0] for name, (_, p) in sources.items()} if carriers is None else carriers
    for chunk, inputs, values, components in fit.parts(N_IMAGES):
        image = fit.image.cutout(columns=chunk)
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


def aperture_sum(image, source_image, others, trace, radius):
    """Sum of a source's light within a radius of its trace.

    Bad pixels are filled from the model of the source; pixels partly inside count by that part.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`
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
        The sum and its standard error; NaN where no pixel of the aperture is good.
    enclosed : ndarray, shape (n_dispersion,)
        Sum of `source_image` within the aperture.
    """
    y = image.y[:, None]
    overlap = np.clip(
        np.minimum(y + 0.5, trace + radius) - np.maximum(y - 0.5, trace - radius), 0, 1
    )
    good = ~image.mask
    filled = np.where(good, image.data - others, source_image)
    flux = np.sum(overlap * filled, axis=0)
    used = np.any((overlap > 0) & good, axis=0)
    variance = 1.0 if image.variance is None else np.where(good, image.variance, 0.0)
    error = np.sqrt(np.sum(overlap**2 * np.where(good, variance, 0.0), axis=0))
    enclosed = np.sum(overlap * source_image, axis=0)
    return np.where(used, flux, np.nan), np.where(used, error, np.nan), enclosed
