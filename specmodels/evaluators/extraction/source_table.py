"""The table of a source: all that is known of it in each column."""

import numpy as np
from astropy import units as u
from astropy.table import QTable

__all__ = ["source_table"]


def source_table(result, name):
    """Table of a source of a result; see `ExtractionResult.table`."""
    image, fit = result.image, result.fit
    unit = image.unit if image.unit is not None else u.dimensionless_unscaled
    flux, error = result._flux(name)
    aperture_flux, aperture_error = result.aperture_flux(name)
    table = QTable()
    table["column"] = image.x
    table["wavelength"] = result.wavelength(name)
    table["flux"], table["flux_error"] = flux * unit, error * unit
    table["mask"] = result.mask(name)
    table["background"] = result._sums[name].background * unit
    table["aperture_flux"] = aperture_flux * unit
    table["aperture_error"] = aperture_error * unit
    if result.seen_spectra is not None:
        width, wave = result.seen_spectra.resolution(name), image.wavelength_unit
        table["resolution"] = width if wave is None else width * wave
    table["trace"], table["chi2"] = result.trace(name), fit.column_chi2()
    table["n_rejected"] = fit.rejected.sum(axis=0)
    for key, variance in _propagated(result, name).items():
        table[f"var_{key}"] = variance * unit**2
    table.meta = {"source": name, "image": image.name, **result._judged[name]}
    return table


def _propagated(result, name):
    """Variance of the flux that each component of the pixels' variance brings."""
    position, fit = result.sources[name][1][0], result.fit
    if (
        result.seen_spectra is not None
        or position not in fit.form.linear
        or not fit.image.components
    ):
        return {}
    row, own = fit.form.linear.index(position), result.source_fluxes[name]
    return {key: own.propagate(value, fit.propagate(np.nan_to_num(value))[row])
            for key, value in fit.image.components.items()}  # fmt: skip
