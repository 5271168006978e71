"""Spectra of the sources of a result, as objects of specutils: per column, or where one asks."""

from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty

from ....numerics.spectrum_covariance import SpectrumCovariance, band_of, interpolation_weights
from ...by_source import BySource
from .spectrum_sums import SpectrumSums, checked_grid, numbers_in

__all__ = ["SourceSpectra"]


class SourceSpectra(SpectrumSums):
    """The spectra that a result of an extraction gives: a mixin.

    Besides what `SpectrumSums` needs, it needs ``image``, ``grid``, ``seen_spectra``,
    ``shared_covariances``, and of a source by name its ``wavelength``, ``mask``, ``aperture_flux``
    and ``_flux``.
    """

    @property
    def spectrum(self):
        """Spectrum of the first source, a `~specutils.Spectrum`."""
        return next(iter(self.spectra.values()))

    @cached_property
    def spectra(self):
        """Spectra of all sources, by name."""
        if self.grid is not None:
            return BySource((name, self.spectrum_at(self.grid, name)) for name in self.sources)
        return BySource((name, self._spectrum(name, *self._flux(name))) for name in self.sources)

    @cached_property
    def aperture_spectra(self):
        """Spectra of the comparison aperture of all sources, by name."""
        own = ((name, self.aperture_flux(name)) for name in self.sources)
        return BySource((name, self._spectrum(name, *flux)) for name, flux in own)

    def spectrum_at(self, wavelengths, name=None):
        """Spectrum of a source at any wavelengths, as light per pixel of the detector.

        Parameters
        ----------
        wavelengths : array_like or `~astropy.units.Quantity`, shape (n,)
            Increasing; bare numbers are in the unit of the wavelengths of the image.
        name : str, optional
            The source; may be left out where there is only one.

        Returns
        -------
        `~specutils.Spectrum`
            Of functions of wavelength their values there; fluxes per column are interpolated. Its
            covariance is in ``meta["specmodels"]["covariance"]``. Masked beyond the columns, and
            where a masked one has a part.
        """
        from specutils import Spectrum  # here, because it takes a second to import

        name = self._source(name)
        axis = u.Quantity(self.samples(name)[0])
        grid = numbers_in(checked_grid(wavelengths), axis.unit, "wavelengths")
        weights, inside = interpolation_weights(axis.value, grid)
        if self.seen_spectra is not None:
            fluxes, covariance = self._seen_at(grid, name, weights)
            bad = (weights[:, self.mask(name)] != 0).any(axis=1)
        else:
            fluxes, whole = (part.value for part in self.weighted_sums(weights, name))
            covariance, bad = SpectrumCovariance.of_dense(whole), ~np.isfinite(fluxes)
        mask = bad | ~inside | ~np.isfinite(covariance.variances)
        unit = self.image.unit if self.image.unit is not None else u.dimensionless_unscaled
        axis_unit = axis.unit if axis.unit != u.dimensionless_unscaled else u.pix
        error = np.sqrt(np.where(mask, np.nan, covariance.variances))
        return Spectrum(
            flux=np.where(mask, np.nan, fluxes) * unit, spectral_axis=grid * axis_unit, mask=mask,
            uncertainty=StdDevUncertainty(error, unit=unit),
            meta={"specmodels": {"source": name, "image": self.image.name,
                                 "covariance": covariance}},
        )  # fmt: skip

    def _seen_at(self, grid, name, weights):
        """Fluxes of a function of wavelength, and their covariance with what pixels share."""
        fluxes, covariance = self.seen_spectra.at(name, grid)
        shared = self.shared_covariances.get(name)
        if shared is None:
            return fluxes, covariance
        columns = SpectrumCovariance(shared, np.zeros((len(shared), 0)))
        return fluxes, covariance.with_band(band_of(columns.of_sums(weights)))

    def _spectrum(self, name, flux, error):
        """Spectrum of the columns that have a wavelength, by increasing wavelength."""
        from specutils import Spectrum  # here, because it takes a second to import

        wavelength = u.Quantity(self.wavelength(name))
        order = np.argsort(wavelength.value, kind="stable")
        order = order[np.isfinite(wavelength.value[order])]
        if order.size == 0:
            raise ValueError("wavelength: no column has one, so that there is no spectrum")
        unit = wavelength.unit if wavelength.unit != u.dimensionless_unscaled else u.pix
        flux_unit = self.image.unit if self.image.unit is not None else u.dimensionless_unscaled
        return Spectrum(
            flux=flux[order] * flux_unit, spectral_axis=wavelength.value[order] * unit,
            uncertainty=StdDevUncertainty(error[order], unit=flux_unit),
            mask=self.mask(name)[order],
            meta={"specmodels": {"source": name, "image": self.image.name,
                                 "covariance": self.sample_covariance(name).selected(order)}},
        )  # fmt: skip
