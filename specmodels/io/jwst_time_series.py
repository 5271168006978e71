"""Writer of time series as JWST ``x1dints`` products: a TSOMultiSpecModel, a row an integration."""

import numpy as np

from .jwst_spectra import _copy_meta, _describe, _flux_unit, _micron, _set_units, _values
from .registry import writer
from .tables import tables_of

__all__ = ["is_time_series", "to_tso_multispec"]

DO_NOT_USE = 1
COLUMNS = {"FLUX": "flux", "FLUX_ERROR": "flux_error", "BACKGROUND": "background"}


def is_time_series(result):
    """Whether the tables of a result have spectra of many integrations."""
    return callable(getattr(result, "movements", None))


@writer("stdatamodels.TSOMultiSpecModel")
def to_tso_multispec(result):
    """Return a `stdatamodels.jwst.datamodels.TSOMultiSpecModel`, one table per source.

    Units are those of `to_multispec`. Times in TDB are written as such, all others as MJD.

    Raises
    ------
    TypeError
        If the result is not that of a time series.
    ValueError
        If the wavelengths have no unit.
    """
    from stdatamodels.jwst import datamodels

    if not is_time_series(result):
        raise TypeError(f"result: expected that of a time series, got {type(result).__name__}")
    model = datamodels.TSOMultiSpecModel()
    _copy_meta(model, result.series.source)
    for name, table in tables_of(result).items():
        model.spec.append(_spec(datamodels, name, table, result.series))
    return model


def _spec(datamodels, name, table, series):
    described = dict(series.first.meta)
    unit, factor = _flux_unit(table, described.get("pixel_area"))
    vectors = datamodels.SpecModel().get_dtype("spec_table").names
    spec = datamodels.TSOSpecModel()
    n, length = table["flux"].shape
    kinds = spec.get_dtype("spec_table").fields
    data = np.zeros(n, dtype=[(key, kind.str, (length,) if key in vectors else ())
                              for key, (kind, *_) in kinds.items()])  # fmt: skip
    for key in data.dtype.names:
        data[key] = np.nan if data.dtype[key].base.kind == "f" else 0
    data["INT_NUM"], data["N_ALONGDISP"], data["SEGMENT"] = np.arange(n) + 1, length, 1
    data["WAVELENGTH"] = _micron(table)
    for key, own in COLUMNS.items():
        data[key] = _values(table, own) * factor
    data["DQ"] = np.where(table["mask"], DO_NOT_USE, 0)
    if series.has_times:
        data["TDB-MID" if series.time_scale == "tdb" else "MJD-AVG"] = series.times
    spec.spec_table = data
    _set_units(spec, unit)
    _describe(spec, name, table, described)
    return spec
