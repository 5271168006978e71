"""What contamination subtraction returns: cleaned cutouts, spectra, the simulated image."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from ...io.slitless import cleaned_cutouts, contamination_cutouts, simulated_model

__all__ = ["CleanedSlit", "ContaminationResult"]

SAMPLES = 200


@dataclass(frozen=True, eq=False, repr=False)
class CleanedSlit:
    """One cutout with what was subtracted from it.

    Attributes
    ----------
    exposure : SlitlessExposure
    cutout : Cutout
    contamination : ndarray, shape of the cutout
        Light of all other sources, of other orders, and what was known beforehand.
    own : ndarray, shape of the cutout, optional
        Light of the source itself; None where the scene does not have it.
    reason : str
        Why the scene does not have it; all light of the scene was then subtracted.
    shape_error : float
        Relative error of the contamination, for the shapes of the sources.
    """

    exposure: object
    cutout: object
    contamination: np.ndarray
    own: np.ndarray | None
    reason: str
    fit: object
    number: int
    shape_error: float = 0.0

    def __repr__(self):
        ny, nx = self.contamination.shape
        note = f", {self.reason}" if self.reason else ""
        return f"<CleanedSlit {self.name!r}: {ny} x {nx} pixels{note}>"

    @property
    def name(self):
        """Label of the source, as text."""
        return str(self.cutout.label)

    @property
    def data(self):
        """Data of the cutout, NaN where masked."""
        window = self.cutout.window
        return np.where(self.exposure.mask[window], np.nan, self.exposure.data[window])

    @property
    def corrected(self):
        """Data without contamination, NaN where masked."""
        return self.data - self.contamination

    @cached_property
    def variance(self):
        """Variance of the contamination; zero without a fit.

        That of the fitted spectra, and the square of ``shape_error``, or the fitter's
        ``model_error`` if larger, times the contamination.
        """
        if self.fit is None:
            return np.zeros(self.contamination.shape)
        key = None if self.own is None else self.cutout.key
        spectra = self.fit.contamination_variance(key, self.cutout.window, self.number)
        relative = max(self.fit.model_error, self.shape_error)
        return spectra + (relative * self.contamination) ** 2

    @property
    def error(self):
        """Standard deviation of the corrected data, the model's included; NaN if unknown."""
        if self.exposure.variance is None:
            noise = np.nan if self.fit is None else self.fit.noise**2
            return np.sqrt(noise + self.variance)
        window = self.cutout.window
        pixels = np.where(self.exposure.mask[window], np.nan, self.exposure.variance[window])
        return np.sqrt(pixels + self.variance)


@dataclass(frozen=True, eq=False, repr=False)
class ContaminationResult(Mapping):
    """Cleaned cutouts of one exposure; a mapping by label, or by label and order.

    Attributes
    ----------
    exposure : SlitlessExposure
        What was cleaned; never changed.
    scene : GrismScene
        With the fitted coefficients.
    fit : `~specmodels.fitters.SceneFit`, optional
    number : int
        Of the exposure in the fit.
    slits : tuple of CleanedSlit
        In the order of the cutouts.
    shape_error : float
        Relative error of the fitted spectra, for the shapes of the sources.
    """

    exposure: object
    scene: object
    fit: object
    number: int
    slits: tuple
    shape_error: float = 0.0

    def __repr__(self):
        without = sum(bool(slit.reason) for slit in self.slits)
        return (f"<ContaminationResult: {len(self.slits)} cutouts, {without} without a source in "
                f"the scene; {self.scene!r}>")  # fmt: skip

    def __getitem__(self, key):
        if isinstance(key, tuple):
            wanted = tuple(int(part) for part in key)
            found = [slit for slit in self.slits if slit.cutout.key == wanted]
        else:
            found = [slit for slit in self.slits if slit.name == str(key)]
        if not found:
            raise KeyError(f"no cutout {key!r}; there are {[s.name for s in self.slits]}")
        return found[0]

    def __iter__(self):
        return iter(slit.cutout.key for slit in self.slits)

    def __len__(self):
        return len(self.slits)

    @property
    def source_exposure(self):
        """What was read."""
        return self.exposure

    @property
    def simulated_image(self):
        """The fitted scene on the whole detector, shape (n_y, n_x)."""
        return self.scene.simulated_image

    @cached_property
    def spectra(self):
        """Fitted spectra of all sources, times their light on the direct image.

        Returns
        -------
        `~specutils.SpectrumList`
            In the order of the scene; ``meta`` has label and order. The uncertainty is that of the
            fit, whose covariance is in ``fit.coefficient_covariance``, and that of the shapes;
            infinite for sources that kept their initial spectrum.
        """
        from specutils import SpectrumList

        return SpectrumList([self.spectrum(entry.key) for entry in self.scene.entries])

    def spectrum(self, key):
        """Fitted spectrum of one source, a `~specutils.Spectrum`."""
        from specutils import Spectrum

        entry = self.scene.entry(key)
        wavelength = np.linspace(*entry.spectrum.limits, SAMPLES)
        basis = entry.spectrum.basis(wavelength)
        flux = entry.light * (basis @ self.scene.coefficients[entry.terms])
        error = np.zeros_like(flux)
        if self.fit is not None:
            error[:] = np.inf
            if self.fit.source(entry.key).success:
                covariance = self.fit.coefficient_covariance(entry.key, self.number)
                squared = np.einsum("wi,ij,wj->w", basis, covariance, basis)
                error = abs(entry.light) * np.sqrt(np.maximum(squared, 0))
                error = np.hypot(error, self.shape_error * flux)
        unit = u.dimensionless_unscaled if self.scene.unit is None else self.scene.unit
        return Spectrum(
            flux=flux * unit, spectral_axis=wavelength * self.scene.wavelength_unit,
            uncertainty=StdDevUncertainty(error),
            meta={"label": entry.label, "order": entry.order},
        )  # fmt: skip

    def tables(self):
        """Fitted spectra as tables, by label and order: what `~specmodels.write` writes.

        Returns
        -------
        dict of str to `~astropy.table.QTable`
            Columns wavelength, flux, flux_error.
        """
        out = {}
        for entry in self.scene.entries:
            spectrum = self.spectrum(entry.key)
            error = spectrum.uncertainty.array * spectrum.flux.unit
            columns = {"wavelength": spectrum.spectral_axis, "flux": spectrum.flux,
                       "flux_error": error}  # fmt: skip
            out[f"{entry.label}_{entry.order}"] = QTable(columns, meta=dict(spectrum.meta))
        return out

    def report(self):
        """One row for each source and order: whether dispersed and fitted, or the reason.

        Returns
        -------
        `~astropy.table.QTable`
            Sources of the direct image, then cutouts of sources that it does not have.
        """
        fitted = {} if self.fit is None else {
            one.key: row for one, row in zip(self.fit.sources, self.fit.report(), strict=True)
        }  # fmt: skip
        rows = []
        decisions = [] if self.scene.decisions is None else self.scene.decisions
        for decision in decisions:
            row = {name: decision[name] for name in decision.colnames}
            found = fitted.get((int(row["label"]), int(row["order"])))
            rows.append(row | self._fit_columns(found, row["reason"]))
        known = {(int(row["label"]), int(row["order"])) for row in rows}
        for slit in self.slits:
            if slit.reason and slit.cutout.key not in known:
                row = {"label": slit.cutout.label, "order": slit.cutout.order, "magnitude": np.nan,
                       "snr": np.nan, "dispersed": False}  # fmt: skip
                rows.append(row | self._fit_columns(None, slit.reason))
        return QTable(rows=rows)

    @staticmethod
    def _fit_columns(found, reason):
        if found is None:
            return {"fitted": False, "reason": str(reason), "n_pixels": 0, "n_clipped": 0,
                    "chi2_per_pixel": np.nan, "coefficients": "", "errors": ""}  # fmt: skip
        names = ("fitted", "n_pixels", "n_clipped", "chi2_per_pixel", "coefficients", "errors")
        return {name: found[name] for name in names} | {"reason": found["reason"] or str(reason)}

    def to_source(self):
        """Copy of the MultiSlitModel that was read, cleaned, with the model's error added."""
        return cleaned_cutouts(self)

    def contamination_model(self):
        """Copy of the MultiSlitModel that was read, with the contamination as data."""
        return contamination_cutouts(self)

    def simulated_model(self):
        """The simulated image as a JWST ImageModel."""
        return simulated_model(self)

    def plot(self, keys=None, figure=None, *, panel=None, ax=None):
        """Draw cutouts before, model and after; by default the most contaminated ones."""
        from .plot import plot_contamination

        return plot_contamination(self, keys, figure, panel=panel, ax=ax)
