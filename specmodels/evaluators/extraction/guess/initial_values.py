"""A user's model with the values that it leaves open, as the image shows them."""

import warnings

import numpy as np
from astropy.modeling.fitting import TRFLSQFitter
from astropy.utils.exceptions import AstropyUserWarning

from ....models import (
    LinearForm,
    Source,
)
from .first_guess import find_sources
from .leaves import leaves_of

__all__ = ["project", "width_guess", "with_initial_values"]


def with_initial_values(model, image):
    """Copy of a user's model in which what was left open is guessed from the image.

    A trace counts as open where all its coefficients are zero and free, a width likewise, or where
    it has its default value.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A model with any number of sources.
    image : `~specmodels.SpectralImage`

    Returns
    -------
    `~astropy.modeling.Model`
    """
    model = model.copy()
    sources = [leaf for leaf in leaves_of(model) if isinstance(leaf, Source)]
    open_traces = [source for source in sources if _is_open(source, "trace_")]
    open_widths = [source for source in sources if _has_open_width(source)]
    if not open_traces and not open_widths:
        return model
    guess = find_sources(image, n_sources=max(len(sources), 1))
    centers = np.resize(guess.centers, len(sources))
    for source, center in zip(sources, centers, strict=True):
        if source in open_traces:
            found = project(source.trace, image.x, guess.shape + center)
            for n in found.param_names:
                setattr(source, f"trace_{n}", getattr(found, n).value)
        if source in open_widths:
            _set_width(source, guess, image)
    return model


def _is_open(source, prefix):
    names = [n for n in source.param_names if n.startswith(prefix) and not source.tied[n]]
    return bool(names) and all(
        np.all(getattr(source, n).value == 0) and not source.fixed[n] for n in names
    )


def _has_open_width(source):
    if source.width is not None:
        return _is_open(source, "width_")
    n, own = source.profile.width_parameter, source.width_parameter
    return n is not None and not source.fixed[own] and not source.tied[own] and (
        getattr(source, own).value == getattr(type(source.profile), n, getattr(source, own)).default
    )  # fmt: skip


def _set_width(source, guess, image):
    width = width_guess(source.profile, guess.fwhm)
    if source.width is None:
        setattr(source, source.width_parameter, width)
        return
    found = project(source.width, image.x, np.full(image.shape[1], width))
    for n in found.param_names:
        setattr(source, f"width_{n}", getattr(found, n).value)


def width_guess(profile, fwhm):
    """Value of the width parameter that gives the profile this full width at half maximum."""
    if profile.width_parameter is None:
        return None
    shape = {n: getattr(profile, n).value for n in profile.param_names if n != "center"}
    ordered = [{**shape, profile.width_parameter: 1.0}[n] for n in shape]
    unit = float(np.squeeze(profile.fwhm(*ordered)))
    pixel = 0.9 * profile.pixel_size
    return max(np.sqrt(max(fwhm**2 - pixel**2, 0.25)), 0.5) / unit


def project(model, x, values):
    """Copy of a one-dimensional model that is nearest to `values` in the least-squares sense."""
    form = LinearForm(model)
    if form.nonlinear:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # of a start is asked no more
            return TRFLSQFitter()(model, np.asarray(x, dtype=float), values)
    if not form.linear:
        return model.copy()
    inputs = (np.asarray(x, dtype=float),)
    offset, columns = form.columns(form.values, inputs)
    basis = np.stack([np.broadcast_to(columns[k], np.shape(x)) for k in form.linear], axis=-1)
    solution = np.linalg.lstsq(basis, values - offset, rcond=None)[0]
    new = model.copy()
    for k, value in zip(form.linear, solution, strict=True):
        setattr(new, form.names[k], value)
    return new
