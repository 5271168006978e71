"""What an extraction returns: spectra of the sources, with all that led to them."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ...models import Source
from ...numerics.spectrum_covariance import SpectrumCovariance
from ..by_source import BySource
from ..tables import readable
from .fluxes.aperture import source_sums, sum_errors
from .fluxes.coherent_light import coherent_light
from .fluxes.seen_spectra import SeenSpectra, spectrum_name
from .fluxes.shared_errors import shared_covariances
from .fluxes.source_flux import source_fluxes
from .fluxes.source_spectra import SourceSpectra
from .source_table import source_table
from .status.quality import judge_source

__all__ = ["LEAST_LIGHT", "ExtractionResult"]

# A column whose good pixels get less of the light than this has no flux.
LEAST_LIGHT = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class ExtractionResult(SourceSpectra):
    """Spectra of the sources of one image, with all that led to them.

    Attributes
    ----------
    fit : `~specmodels.fitters.FitResult`
        The fitted model of the slit.
    image : `~specmodels.SpectralImage`
        The data extracted.
    aperture : float
        Half the height of the comparison aperture, in full widths at half maximum.
    source_exposure : `~specmodels.Exposure`
        What the image came from.
    wavelengths : mapping of str to array_like or `~astropy.units.Quantity`
        Wavelength of each column of the sources, by name, that do not have those of the image.
    grid : ndarray or `~astropy.units.Quantity`, optional
        Wavelengths of the samples of ``spectra``, where they are not those of the columns.
    """

    fit: object
    image: object
    aperture: float = 1.5
    source_exposure: object = None
    wavelengths: dict = field(default_factory=dict)
    grid: object = None

    def __repr__(self):
        return f"<ExtractionResult of {self.image.name!r}: {list(self.sources)}, {self.fit!r}>"

    @property
    def notes(self):
        """What was masked before the fit, and where light beyond the profile was counted."""
        summed = [f"light beyond the profile of {name!r} counted in {len(own.columns)} columns"
                  for name, own in self.source_fluxes.items() if len(own.columns)]  # fmt: skip
        return (*self.fit.image.notes, *summed)

    def __getstate__(self):
        """State to pickle: what was cached is made again (a Spectrum cannot be pickled)."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    def with_exposure(self, exposure):
        """Return the result with where it came from."""
        return replace(self, source_exposure=exposure)

    @cached_property
    def sources(self):
        """Sources of the fitted model, by name."""
        found = BySource()
        for number, (leaf, positions) in enumerate(self.fit.form.leaves()):
            if isinstance(leaf, Source):
                found[leaf.name or f"source {number + 1}"] = (leaf, positions)
        return found

    @property
    def carriers(self):
        """First position of the part of the model that carries the light of each source."""
        seen = self.seen_spectra
        return {name: positions[0] if seen is None else int(seen.group(name).positions[0])
                for name, (_, positions) in self.sources.items()}  # fmt: skip

    @cached_property
    def seen_spectra(self):
        """Spectra of wavelength, of a tilted slit; None where fluxes are those of columns."""
        parts = {leaf.name for leaf, _ in self.fit.form.leaves()}
        if not all(spectrum_name(name) in parts for name in self.sources):
            return None
        found = {name: self.wavelength(name) for name in self.sources}
        return SeenSpectra(self.fit, {name: np.asarray(getattr(wave, "value", wave), dtype=float)
                                      for name, wave in found.items()})  # fmt: skip

    def covariance(self, name):
        """Covariance of the fluxes of a source, shape (n_dispersion, n_dispersion)."""
        return self.sample_covariance(name).dense()

    def sample_covariance(self, name):
        """The same as band and low rank, a `~specmodels.numerics.SpectrumCovariance`."""
        shared = self.shared_covariances.get(name)
        if self.seen_spectra is None:
            own = self._independent_fluxes[name]
            covariance = SpectrumCovariance.with_common(own.error, own.common)
        else:
            covariance = self.seen_spectra.covariances[name]
        return covariance if shared is None else covariance.with_band(shared)

    def covariances(self):
        """Covariances of spectra whose samples are not independent, by source, for files."""
        found = {name: self.sample_covariance(name) for name in self.sources}
        return {name: own for name, own in found.items() if not own.is_diagonal}

    def samples(self, name):
        """Wavelength, flux, error and mask of a source in each column."""
        unit = self.image.unit if self.image.unit is not None else u.dimensionless_unscaled
        flux, error = self._flux(name)
        return u.Quantity(self.wavelength(name)), flux * unit, error * unit, self.mask(name)

    @cached_property
    def _sums(self):
        return source_sums(self.fit, self.sources, *self._apertures, carriers=self.carriers,
                           image=self._summed)  # fmt: skip

    @cached_property
    def _sum_errors(self):
        return sum_errors(self.fit, *self._apertures, self.carriers, self._summed)

    @property
    def _apertures(self):
        """Rows of the sources, and half the heights of their apertures."""
        traces = {name: self.trace(name) for name in self.sources}
        return traces, {name: self.aperture * self.fwhm(name) for name in self.sources}

    @property
    def _summed(self):
        """The image fitted, with the pixels of lines that were rejected."""
        image, lines = self.fit.image, self.coherent_light.lines
        return image.replace(mask=image.mask & ~lines) if lines.any() else image

    @cached_property
    def coherent_light(self):
        """Light that the model does not describe, over neighbouring pixels."""
        return coherent_light(self.fit, self.model, self.sky)

    @cached_property
    def source_fluxes(self):
        """Flux of each source by name, a `SourceFlux`: fitted, or summed where light is left."""
        shared = self.shared_covariances
        return {name: replace(own, error=np.sqrt(own.error**2 + shared[name][:, 0]))
                if name in shared else own
                for name, own in self._independent_fluxes.items()}  # fmt: skip

    @cached_property
    def shared_covariances(self):
        """What errors that pixels share add to covariances of neighbours, by source."""
        return shared_covariances(self.fit, self._fitted_fluxes)

    def _fitted_fluxes(self, fit):
        """Fitted fluxes of another fit of the same model, by source."""
        seen = replace(self, fit=fit).seen_spectra
        if seen is not None:
            return {name: flux for name, (flux, _) in seen.fluxes.items()}
        n_column = self.image.shape[1]
        return {name: np.broadcast_to(fit.values[positions[0]], n_column)
                for name, (_, positions) in self.sources.items()}  # fmt: skip

    @cached_property
    def _independent_fluxes(self):
        """The fluxes, with errors as if those of pixels were independent."""
        traces = {name: self.trace(name) for name in self.sources}
        widths = {name: self.fwhm(name) for name in self.sources}
        sky = self.sky if self.seen_spectra is None and _has_sky(self.fit) else None
        found = source_fluxes(self.fit, self.sources, traces, widths, self.coherent_light, sky)
        if self.seen_spectra is None:
            return found
        fluxes, covariances = self.seen_spectra.fluxes, self.seen_spectra.covariances
        wings = self.seen_spectra.wings
        return {name: replace(own, flux=fluxes[name][0], error=fluxes[name][1], wings=wings,
                              fitted=fluxes[name][0] / (1 + wings.part),
                              common=covariances[name].low_rank.T)
                for name, own in found.items()}  # fmt: skip

    @cached_property
    def model(self):
        """Image of the fitted model; of what is not seen in a column with other light, nothing."""
        fit = self.fit.completed() if self.fit.independent_columns else self.fit
        return fit.predict()

    @property
    def residual(self):
        """Data minus model."""
        return self.image.data - self.model

    @cached_property
    def sky(self):
        """Image of all of the model that is no source."""
        sky, sources = np.array(self.model), set(self.carriers.values())
        for chunk, _, _, parts in self.fit.parts():
            for _, positions, light in parts:
                if len(positions) and positions[0] in sources:
                    sky[:, chunk] -= light
        return sky

    @property
    def variance(self):
        """Variance used in the fit; where the image had none, that estimated."""
        return self.fit.image.variance

    def trace(self, name):
        """Row of a source in each column."""
        return self._curves[name][0]

    def wavelength(self, name):
        """Wavelength of a source in each column, a Quantity or plain numbers; columns in pixels."""
        if name in self.wavelengths:
            return self.wavelengths[name]
        return self.image.wavelength_along(self.trace(name))

    def fwhm(self, name):
        """Full width at half maximum of a source in each column, in pixels."""
        return self._curves[name][1]

    @cached_property
    def _curves(self):
        """Row and width in each column of each source, by name; not to be changed."""
        x, found = self.image.x, BySource()
        for name, (leaf, positions) in self.sources.items():
            own = [self.fit.values[k] for k in positions]
            found[name] = np.broadcast_to(leaf.trace_position(x, own), x.shape), leaf.fwhm(x, own)
        return found

    def table(self, name):
        """All that is known of a source per column.

        Returns
        -------
        `~astropy.table.QTable`
            ``column``, ``wavelength``, ``flux``, ``flux_error``, ``mask``, ``background`` (of one
            pixel at the trace), ``aperture_flux``, ``aperture_error``, ``trace``, ``chi2``,
            ``n_rejected``, ``resolution`` where fluxes are samples of a function of wavelength
            (full width at half maximum of what they average over), and ``var_read``, … for the
            components of the variance.
        """
        return self.tables()[name]

    def tables(self):
        """The table of each source, by name; see `table`."""
        return BySource(self._tables)

    @cached_property
    def _tables(self):
        return {name: source_table(self, name) for name in self.sources}

    @cached_property
    def _judged(self):
        """Figures and status of each source, by name."""
        return {name: judge_source(self, name) for name in self.sources}

    def _flux(self, name):
        return self.source_fluxes[name].flux, self.source_fluxes[name].error

    def mask(self, name):
        """Columns whose flux cannot be used.

        The data do not determine it, the trace lies outside the image, or the good pixels get less
        than a twentieth of the light.
        """
        flux, error = self._flux(name)
        trace = self.trace(name)
        outside = (trace < self.image.y[0] - 0.5) | (trace > self.image.y[-1] + 0.5)
        seen = self._sums[name].seen >= LEAST_LIGHT
        return ~np.isfinite(flux) | ~np.isfinite(error) | outside | ~seen

    def aperture_flux(self, name):
        """Flux in the comparison aperture and its error, per column, less sky and other sources."""
        sums = self._sums[name]
        return sums.flux, np.where(np.isfinite(sums.error), self._sum_errors[name], np.nan)

    def aperture_fraction(self, name):
        """Part of the light of a source that its comparison aperture has, in each column."""
        sums, fitted = self._sums[name], self.source_fluxes[name].fitted
        part = np.full(len(fitted), np.nan)
        return np.divide(sums.enclosed, fitted, out=part, where=(fitted != 0) & ~self.mask(name))

    def normalisation(self, name):
        """Optimal flux over aperture flux, which has been corrected for the light outside.

        Returns
        -------
        ratio, error : float
            Ratio of the weighted sums over all columns, and its standard error; NaN where there is
            nothing to compare.
        """
        sums = self._sums[name]
        (flux, error), enclosed = self.aperture_flux(name), sums.enclosed
        use = np.isfinite(flux) & np.isfinite(enclosed) & (error > 0) & ~self.mask(name)
        summed = self.source_fluxes[name].columns
        if summed.size < 0.5 * use.size:  # whose flux is not that of the profile
            use[summed] = False
        if not use.any():
            return np.nan, np.nan
        weight = enclosed[use] / error[use] ** 2
        total = np.sum(weight * flux[use])
        ratio = np.sum(weight * enclosed[use]) / total if total else np.nan
        error = np.sqrt(np.sum((weight * error[use]) ** 2)) / abs(total)
        return float(ratio), float(abs(ratio) * error)

    def report(self):
        """One row for each source: how well it was extracted, and a reason where to look closer."""
        return readable(QTable([{"source": name, **own} for name, own in self._judged.items()]))

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw image, model, residual, profile and spectra; see `specmodels.plotting`."""
        from ...plotting import plot_extraction

        return plot_extraction(self, figure, panel=panel, ax=ax)


def _has_sky(fit):
    """Whether a part of the model that is no source was fitted."""
    sources = [set(p) for leaf, p in fit.form.leaves() if isinstance(leaf, Source)]
    free = {*fit.form.linear, *fit.form.nonlinear}
    return bool(free - set().union(*sources))
