"""Fluxes of sources whose spectra are splines of wavelength, with their covariance."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from ....fitters.system.answers import covariance_of_neighbours
from ....fitters.system.spectra import spectrum_covariance
from .hidden_wings import NOTHING_HIDDEN, HiddenWings

__all__ = ["SOURCE_SPACING", "SeenSpectra", "spectrum_name"]

# Distance of breakpoints in pixels, and the width of the blur by them.
SOURCE_SPACING, BLUR = 1.0, 1.2
# Columns beyond which fluxes have nothing in common but shapes; a spline forgets a knot by a
# factor of four.
NEIGHBOURS = 16


@dataclass(frozen=True, eq=False)
class SeenSpectra:
    """Fluxes of sources whose spectra are functions of wavelength, read off in each column.

    Attributes
    ----------
    fit : `~specmodels.fitters.system.SystemFitResult`
    wavelengths : dict of str to ndarray, shape (n_dispersion,)
        Wavelength at the trace of each source in each column.
    wings : `~specmodels.evaluators.extraction.fluxes.hidden_wings.HiddenWings`
        Part of the light that the sky had, which fluxes and their errors have.
    """

    fit: object
    wavelengths: dict
    wings: HiddenWings = NOTHING_HIDDEN

    def group(self, name):
        """Coefficients of the spectrum of a source."""
        return next(g for g in self.fit.layout.groups if g.leaf.name == spectrum_name(name))

    def at(self, name, wavelengths):
        """Fluxes of a source at other wavelengths, and their covariance."""
        other = replace(self, wavelengths={name: wavelengths})
        return other.fluxes[name][0], other.covariances[name]

    def rows(self, name):
        """The flux in each column as weighted sums of all coefficients.

        Returns
        -------
        `~scipy.sparse.csr_array`, shape (n_dispersion, n_coefficient)
        """
        group = self.group(name)
        index, value = group.leaf.local_basis(self.wavelengths[name])
        return self._sparse(group.first[index], value)

    def _sparse(self, numbers, values):
        """Rows with some coefficients each, by number and value, (n_dispersion, n_entry)."""
        row = np.repeat(np.arange(len(numbers)), numbers.shape[1])
        shape = len(numbers), len(self.fit.coefficients)
        out = sparse.csr_array((values.ravel(), (row, numbers.ravel())), shape=shape)
        out.eliminate_zeros()
        return out

    def shared_part(self, rows):
        """What all fluxes have in common by shapes: shape (n_dispersion, n_common)."""
        return self.fit.shared_part(rows)

    @cached_property
    def covariances(self):
        """Covariance of the fluxes of each source, a `SpectrumCovariance`."""
        return {name: self._covariance(name) for name in self.wavelengths}

    def _covariance(self, name):
        plain = self.rows(name)
        rows, own = (1 + self.wings.part) * plain, self.wings.errors(plain @ self.fit.coefficients)
        band = covariance_of_neighbours(self.fit, rows, NEIGHBOURS)
        band[np.diff(rows.indptr) == 0, 0] = np.inf
        return spectrum_covariance(self.fit, rows, band, np.hstack([self.shared_part(rows), own.T]))

    def resolution(self, name):
        """Full width at half maximum of what each flux averages over, in the wavelength's unit."""
        return BLUR * SOURCE_SPACING * np.abs(np.gradient(self.wavelengths[name]))

    @cached_property
    def fluxes(self):
        """Flux and standard error of each source in each column; NaN where there is none."""
        return {name: self._flux(name) for name in self.wavelengths}

    def _flux(self, name):
        variance = self.covariances[name].variances
        known = np.isfinite(variance)
        light = (1 + self.wings.part) * (self.rows(name) @ self.fit.coefficients)
        flux = np.where(known, light, np.nan)
        return flux, np.where(known, np.sqrt(np.where(known, variance, 1.0)), np.nan)


def spectrum_name(name):
    """Name of the part of a model that is the spectrum of a source."""
    return f"{name} spectrum"
