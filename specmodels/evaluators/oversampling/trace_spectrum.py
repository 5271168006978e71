"""Spectra of the sources that trace models have found, and their tables."""

import numpy as np
from astropy import units as u
from astropy.table import QTable

__all__ = ["spectrum_table", "trace_spectrum"]


def trace_spectrum(fit):
    """Light of the profile in each column.

    Parameters
    ----------
    fit : `~specmodels.fitters.WindowedFit`

    Returns
    -------
    `~specutils.Spectrum`
        Sum over native pixels, with its standard deviation, in columns that have a wavelength.
    """
    from astropy.nddata import StdDevUncertainty
    from specutils import Spectrum

    image = fit.image
    used = np.flatnonzero(fit.fitted_columns & np.isfinite(fit.scale))
    profile = np.where(np.isfinite(fit.predict()), fit.predict(), -np.inf)
    axis = image.wavelength_along(image.y[np.argmax(profile, axis=0)])
    values = getattr(axis, "value", axis)
    keep = used[np.isfinite(values[used])]
    if np.any(np.diff(values[keep]) <= 0):
        keep = keep[np.argsort(values[keep])]
        keep = keep[np.append(True, np.diff(values[keep]) > 0)]
    unit = image.unit or u.dimensionless_unscaled
    error = np.sqrt(fit.column_covariance[0, 0])
    return Spectrum(
        flux=fit.scale[keep] * unit, uncertainty=StdDevUncertainty(error[keep]),
        spectral_axis=u.Quantity(values[keep], getattr(axis, "unit", u.pix)),
    )  # fmt: skip


def spectrum_table(spectrum, **meta):
    """A spectrum as a table with the columns ``wavelength``, ``flux`` and ``flux_error``."""
    columns = {
        "wavelength": u.Quantity(spectrum.spectral_axis),
        "flux": spectrum.flux,
        "flux_error": spectrum.uncertainty.array * spectrum.flux.unit,
    }
    return QTable(columns, meta=meta)
