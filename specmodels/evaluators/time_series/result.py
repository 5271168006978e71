"""Spectra of all integrations of a time series, light curves, and what to detrend them with."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from ..by_source import BySource
from ..tables import readable
from .band_sums import band_sum, bands_of
from .report import summary_of

__all__ = ["TimeSeriesResult"]

# Fluxes with so many times the variance that their column has in most integrations are lost: hits
# lie where the light is.
LARGEST_LOSS = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class TimeSeriesResult:
    """Spectra of the sources of a time series.

    Attributes
    ----------
    series : `~specmodels.TimeSeries`
        What was extracted.
    mean : `~specmodels.ExtractionResult`
        Extraction of the mean image: trace, profile, width, spectrum.
    flux, variance : dict of str to ndarray, shape (n_integration, n_column)
        Flux of each source, and its variance with the movements of the integration held.
    moved : dict of str to ndarray, shape (n_integration, n_movement, n_column)
        Errors that the movements, fitted in the same integration, bring to all its columns: the
        covariance of two columns is the sum over the middle axis of products.
    shared : dict of str to ndarray, shape (n_shared, n_column)
        Relative errors that are the same in all integrations, from the common trace, width and
        shape. They are in no other error of this result: light curves do not have them.
    background : ndarray, shape (n_integration, n_column)
        Sky in one pixel at the trace of the first source.
    theta, theta_error : ndarray, shape (n_integration, n_movement)
        Shift in pixels, relative stretch and, where the sky has one, the change of its level.
    chi2, dof : ndarray, shape (n_integration,)
        Of the fit of each integration.
    hits : `~astropy.table.QTable`
        ``integration``, ``row`` and ``column`` of the pixels that were left out.
    """

    series: object
    mean: object
    flux: dict
    variance: dict
    moved: dict
    shared: dict
    background: np.ndarray
    theta: np.ndarray
    theta_error: np.ndarray
    chi2: np.ndarray
    dof: np.ndarray
    hits: QTable
    source_exposure: object = None

    @classmethod
    def of(cls, series, geometry, found):
        """Result of the summaries of all integrations."""
        stacked = {key: np.array([one[key] for one in found]) for key in found[0] if key != "hits"}
        if series.first.variance is None:  # the scatter in time tells how large it is
            scale = np.median(stacked["chi2"] / np.maximum(stacked["dof"], 1))
            stacked["variance"] *= scale
            stacked["moved"] *= np.sqrt(scale)
            stacked["theta_error"] *= np.sqrt(scale)
        names, image = list(geometry.numbers), geometry.image
        numbers = np.repeat(np.arange(len(found)), [len(one["hits"][0]) for one in found])
        hits = QTable({
            "integration": numbers,
            "row": image.y[np.concatenate([one["hits"][0] for one in found])],
            "column": image.x[np.concatenate([one["hits"][1] for one in found])],
        })  # fmt: skip
        return cls(
            series=series, mean=geometry.result,
            flux={name: stacked["flux"][:, k] for k, name in enumerate(names)},
            variance={name: stacked["variance"][:, k] for k, name in enumerate(names)},
            moved={name: stacked["moved"][:, :, k] for k, name in enumerate(names)},
            shared=geometry.shared_errors(), hits=hits,
            **{key: stacked[key] for key in ("background", "theta", "theta_error", "chi2", "dof")},
        )  # fmt: skip

    def __repr__(self):
        return (
            f"<TimeSeriesResult of {len(self.series)} integrations of {self.series.name!r}: "
            f"{list(self.sources)}, chi2/dof {np.median(self.reduced_chi2):.4g}, "
            f"{len(self.hits)} hits>"
        )

    def with_exposure(self, exposure):
        """Return the result with where it came from."""
        return replace(self, source_exposure=exposure)

    @property
    def sources(self):
        """Names of the sources."""
        return tuple(self.flux)

    @property
    def times(self):
        """Time of each integration; their numbers where none are known."""
        return self.series.times

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom of each integration."""
        return self.chi2 / np.maximum(self.dof, 1)

    @property
    def unit(self):
        """Unit of the fluxes."""
        unit = self.mean.image.unit
        return u.dimensionless_unscaled if unit is None else unit

    def wavelength(self, source=None):
        """Wavelength of each column at the trace of a source; numbers of columns without any."""
        return u.Quantity(self.mean.image.wavelength_along(self.mean.trace(self._named(source))))

    def flux_error(self, source=None):
        """Standard error of each flux of an integration, without `shared`."""
        name = self._named(source)
        return np.sqrt(self.variance[name] + np.sum(self.moved[name].astype(float) ** 2, axis=1))

    def mask(self, source=None):
        """Fluxes that cannot be used, shape (n_integration, n_column).

        Nothing determines them, or they have ten times the usual variance of their column, which
        is the lower quartile.
        """
        name = self._named(source)
        variance = np.where(np.isfinite(self.flux[name]), self.variance[name], np.nan)
        known = np.isfinite(variance).any(axis=0)
        usual = np.full(variance.shape[1], np.nan)
        # The quartile, as more than half of the integrations may have lost a column.
        usual[known] = np.nanquantile(variance[:, known], 0.25, axis=0)
        with np.errstate(invalid="ignore"):
            unknown = ~((variance > 0) & (variance < LARGEST_LOSS * usual))
        return unknown | self.mean.mask(name)

    def light_curves(self, bins=None, *, source=None):
        """Flux in bands of wavelength against time.

        Columns without a flux in an integration are made up for by the others of the band, as
        bright as they are in the mean spectrum.

        Parameters
        ----------
        bins : int or array_like, optional
            Number of bands with equal numbers of columns, or their edges in the unit of the
            wavelengths. Default: each column by itself.
        source : str, optional
            Default: the first.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each integration: ``integration``, ``time``, and with one entry for each band
            ``flux`` and ``flux_error``. The metadata have, by band, ``wavelength`` (mean),
            ``n_columns`` and ``shared_error``, the relative error that all integrations have alike.

        Raises
        ------
        ValueError
            If the bins are no positive number or no increasing edges, or a band has no light.
        """
        name = self._named(source)
        good = ~self.mask(name)
        bands = bands_of(self, bins, name, good)
        sums = [band_sum(self, name, band, good) for band in bands]
        wavelength = self.wavelength(name)
        table = self._begun()
        table["flux"] = np.stack([total for total, _, _ in sums], axis=1) * self.unit
        table["flux_error"] = np.stack([error for _, error, _ in sums], axis=1) * self.unit
        table.meta = {
            "source": name,
            "wavelength": u.Quantity([np.mean(wavelength[band]) for band in bands]),
            "n_columns": np.array([len(band) for band in bands]),
            "shared_error": np.array([shared for _, _, shared in sums]),
        }
        return table

    def white_light(self, source=None):
        """Flux of all columns together against time.

        Returns
        -------
        `~astropy.table.QTable`
            ``integration``, ``time``, ``flux``, ``flux_error``; see `light_curves`.
        """
        table = self.light_curves(1, source=source)
        for key in ("flux", "flux_error"):
            table[key] = table[key][:, 0]
        return table

    def movements(self):
        """What changes with time besides the light, to detrend light curves with.

        Returns
        -------
        `~astropy.table.QTable`
            A row for each integration: ``integration``, ``time``, ``row`` of the trace of the first
            source (mean over the columns), ``shift`` and ``shift_error`` in pixels, ``fwhm``,
            ``stretch`` and ``stretch_error`` (relative), ``background`` of a pixel (median),
            ``chi2_dof`` and ``n_hits``.
        """
        first = self.sources[0]
        table = self._begun()
        shift, stretch = self.theta[:, 0], self.theta[:, 1]
        table["row"] = np.mean(self.mean.trace(first)) + shift
        table["shift"], table["shift_error"] = shift, self.theta_error[:, 0]
        table["fwhm"] = np.mean(self.mean.fwhm(first)) * (1 + stretch)
        table["stretch"], table["stretch_error"] = stretch, self.theta_error[:, 1]
        table["background"] = np.median(self.background, axis=1) * self.unit
        table["chi2_dof"] = self.reduced_chi2
        table["n_hits"] = np.bincount(self.hits["integration"], minlength=len(self.series))
        return table

    def table(self, source=None):
        """Spectra of all integrations, a row for each; see `tables`."""
        name = self._named(source)
        wavelength, n = self.wavelength(name), len(self.series)
        table = self._begun()
        table["wavelength"] = np.broadcast_to(wavelength, (n, len(wavelength)), subok=True)
        table["flux"] = self.flux[name] * self.unit
        table["flux_error"] = self.flux_error(name) * self.unit
        table["mask"] = self.mask(name)
        table["background"] = self.background * self.unit
        table.meta = {"source": name, "image": self.series.name}
        return table

    def tables(self):
        """Spectra of each source by name: ``integration``, ``time``, and arrays of all columns."""
        return BySource((name, self.table(name)) for name in self.sources)

    @property
    def spectrum(self):
        """Spectra of the first source in one `~specutils.Spectrum`, (n_integration, n_column)."""
        return self.spectra[self.sources[0]]

    @cached_property
    def spectra(self):
        """Spectra of all sources, by name: each a `~specutils.Spectrum` of two dimensions."""
        from specutils import Spectrum  # here, because it takes a second to import

        out = BySource()
        for name in self.sources:
            wavelength, order = self._ordered(name)
            out[name] = Spectrum(
                flux=self.flux[name][:, order] * self.unit, spectral_axis=wavelength,
                uncertainty=StdDevUncertainty(self.flux_error(name)[:, order], unit=self.unit),
                mask=self.mask(name)[:, order], meta=self._meta(name),
            )  # fmt: skip
        return out

    def spectrum_list(self, source=None):
        """Spectra of a source as a `~specutils.SpectrumList`, one for each integration."""
        from specutils import Spectrum, SpectrumList

        name = self._named(source)
        wavelength, order = self._ordered(name)
        flux, error, mask = self.flux[name], self.flux_error(name), self.mask(name)
        return SpectrumList([
            Spectrum(flux=flux[i, order] * self.unit, spectral_axis=wavelength,
                     uncertainty=StdDevUncertainty(error[i, order], unit=self.unit),
                     mask=mask[i, order],
                     meta=self._meta(name, integration=i, time=float(self.times[i])))
            for i in range(len(self.series))
        ])  # fmt: skip

    def report(self):
        """One row for each source: figures, and a reason where to look closer."""
        return readable(QTable([summary_of(self, name) for name in self.sources]))

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw the dynamic spectrum, the white light, and what moved; see `specmodels.plotting`."""
        from ...plotting.time_series import plot_time_series

        return plot_time_series(self, figure, panel=panel, ax=ax)

    def _named(self, source):
        if source is None:
            return self.sources[0]
        if source not in self.flux:
            raise ValueError(f"source: expected one of {list(self.sources)}, got {source!r}")
        return source

    def _begun(self):
        table = QTable()
        table["integration"] = np.arange(len(self.series))
        table["time"] = self.times
        return table

    def _meta(self, name, **more):
        return {"specmodels": {"source": name, "image": self.series.name, **more}}

    def _ordered(self, name):
        """Wavelengths in increasing order, and the columns in that order."""
        wavelength = self.wavelength(name)
        order = np.argsort(wavelength.value, kind="stable")
        order = order[np.isfinite(wavelength.value[order])]
        if order.size == 0:
            raise ValueError("wavelength: no column has one, so that there is no spectrum")
        unit = u.pix if wavelength.unit == u.dimensionless_unscaled else wavelength.unit
        return wavelength.value[order] * unit, order
