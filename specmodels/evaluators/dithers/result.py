"""Spectra of sources from several exposures, with what each exposure has to do with them."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ..by_source import BySource
from ..tables import readable
from .report import differences, shares, summary_of

__all__ = ["DitheredExtractionResult"]


@dataclass(frozen=True, eq=False, repr=False)
class DitheredExtractionResult:
    """One spectrum of each source from several exposures, with all that led to them.

    ``result["A"]`` is the exposure of that name, as an `~specmodels.ExtractionResult` with the
    spectra of all exposures.

    Attributes
    ----------
    joint : `~specmodels.evaluators.dithers.joint.JointFit`
        The fit of all exposures.
    views : dict of str to `~specmodels.ExtractionResult`
        Each exposure by name.
    left_out : dict of str to str
        Exposures without a usable pixel, and why.
    source_exposure : `~specmodels.Dithers`
        What the images came from.
    """

    joint: object
    views: dict
    left_out: dict = field(default_factory=dict)
    source_exposure: object = None

    def __repr__(self):
        names = ", ".join(repr(image.name) for image in self.joint.images)
        return (f"<DitheredExtractionResult of {list(self.sources)} in {names}: "
                f"{self.fit!r}>")  # fmt: skip

    def __getstate__(self):
        """State to pickle: what was cached is made again (a Spectrum cannot be pickled)."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    def __getitem__(self, name):
        if name not in self.views:
            reason = self.left_out.get(name, f"there are {list(self.views)}")
            raise KeyError(f"no exposure {name!r}: {reason}")
        return self.views[name]

    def with_exposure(self, exposure):
        """Return the result with where it came from."""
        return replace(self, source_exposure=exposure)

    @property
    def fit(self):
        """The fitted model of all exposures, a `~specmodels.FitResult`."""
        return self.joint.fit

    @property
    def first(self):
        """The first exposure, in whose columns spectra are given."""
        return next(iter(self.views.values()))

    @property
    def image(self):
        """The first exposure's data."""
        return self.first.image

    @property
    def sources(self):
        """Sources of the fitted model, by name."""
        return self.first.sources

    @property
    def notes(self):
        """What was done to the exposures before the fit, and which differ in throughput."""
        own = [f"{image.name}: {note}" for image in self.joint.images for note in image.notes]
        own += [f"{name}: left out, {reason}" for name, reason in self.left_out.items()]
        moved = zip(self.joint.images, self.joint.shifts, strict=True)
        own += [f"{image.name}: wavelengths moved by {shift:+.3f} columns, as lines of its sky are"
                for image, shift in moved if shift]  # fmt: skip
        for name in self.sources:
            own += [f"{key}: {value:.3f} ± {error:.3f} of the light of {name!r}"
                    for key, value, error in zip(self.views, *self.throughput(name), strict=True)
                    if error > 0]  # fmt: skip
        return tuple(own)

    def flux(self, name):
        """Flux of a source and its standard error in each column of the first exposure."""
        return self.first.seen_spectra.fluxes[name]

    def covariance(self, name):
        """Covariance of the fluxes of a source, shape (n_dispersion, n_dispersion)."""
        return self.first.covariance(name)

    def throughput(self, name):
        """Light of a source in each exposure, relative to those that agree, and its error."""
        key, weight = f"flux_{self.joint.sources[name]}", self.joint.weights[0]
        shape = (len(self.views),)
        values = np.broadcast_to(self.fit[key] / weight, shape)
        return values, np.broadcast_to(self.fit.error(key) / abs(weight), shape)

    def trace(self, name, exposure=None):
        """Row of a source in each column of an exposure; default: of the first."""
        return (self.first if exposure is None else self[exposure]).trace(name)

    def fwhm(self, name, exposure=None):
        """Full width at half maximum of a source in each column of an exposure, in pixels."""
        return (self.first if exposure is None else self[exposure]).fwhm(name)

    def mask(self, name):
        """Columns whose flux cannot be used: no exposure has light of it on good pixels."""
        return self.first.mask(name) | (self.n_exposures(name) == 0)

    def n_exposures(self, name):
        """Number of exposures that see each column of the first, shape (n_dispersion,)."""
        wave = self.first.seen_spectra.wavelengths[name]
        return np.sum([_at(wave, view.seen_spectra.wavelengths[name], view.sees(name)) > 0.5
                       for view in self.views.values()], axis=0)  # fmt: skip

    def aperture_flux(self, name):
        """Mean flux in the comparison apertures of the exposures, weighted, and its error."""
        wave = self.first.seen_spectra.wavelengths[name]
        top = bottom = 0.0
        for view, throughput in zip(self.views.values(), self.throughput(name)[0], strict=True):
            own = view.seen_spectra.wavelengths[name]
            flux, error = (_at(wave, own, values) for values in view.aperture_flux(name))
            good = np.isfinite(flux) & (error > 0)
            weight = np.where(good, (throughput / np.where(good, error, 1.0)) ** 2, 0.0)
            top = top + weight * np.where(good, flux, 0.0) / throughput
            bottom = bottom + weight
        known = bottom > 0
        bottom = np.where(known, bottom, 1.0)
        return np.where(known, top / bottom, np.nan), np.where(known, bottom**-0.5, np.nan)

    def normalisation(self, name):
        """Optimal over aperture flux of all exposures, and its error, as of one exposure."""
        each = np.array([view.normalisation(name) for view in self.views.values()])
        each = each[np.isfinite(each).all(axis=1) & (each[:, 1] > 0)]
        if not len(each):
            return np.nan, np.nan
        weight = each[:, 1] ** -2
        return float(np.sum(weight * each[:, 0]) / weight.sum()), float(weight.sum() ** -0.5)

    @property
    def spectrum(self):
        """Spectrum of the first source, a `~specutils.Spectrum`."""
        return next(iter(self.spectra.values()))

    @cached_property
    def spectra(self):
        """Spectra of all sources, by name, in the columns of the first exposure."""
        return BySource((name, self._spectrum(name, *self.flux(name))) for name in self.sources)

    @cached_property
    def aperture_spectra(self):
        """Spectra of the comparison apertures, by name."""
        own = ((name, self.aperture_flux(name)) for name in self.sources)
        return BySource((name, self._spectrum(name, *flux)) for name, flux in own)

    def _spectrum(self, name, flux, error):
        spectrum = self.first._spectrum(name, flux, error)
        wave = u.Quantity(self.image.wavelength_along(self.first.trace(name))).value
        order = np.argsort(wave, kind="stable")
        spectrum.mask = self.mask(name)[order[np.isfinite(wave[order])]]
        spectrum.meta = {"specmodels": {"source": name, "exposures": list(self.views)}}
        return spectrum

    def table(self, name):
        """All that is known of a source in each column of the first exposure.

        Returns
        -------
        `~astropy.table.QTable`
            ``column``, ``wavelength``, ``flux``, ``flux_error``, ``mask``, ``aperture_flux``,
            ``aperture_error``, ``trace``, ``n_exposures``.
        """
        return self.tables()[name]

    def tables(self):
        """The table of each source, by name; see `table`."""
        return BySource(self._tables)

    @cached_property
    def _tables(self):
        return {name: self._table(name) for name in self.sources}

    def _table(self, name):
        unit = self.image.unit if self.image.unit is not None else u.dimensionless_unscaled
        (flux, error), aperture = self.flux(name), self.aperture_flux(name)
        table = QTable()
        table["column"] = self.image.x
        table["wavelength"] = self.image.wavelength_along(self.first.trace(name))
        table["flux"], table["flux_error"] = flux * unit, error * unit
        table["mask"] = self.mask(name)
        table["aperture_flux"], table["aperture_error"] = (values * unit for values in aperture)
        table["trace"] = self.first.trace(name)
        table["n_exposures"] = self.n_exposures(name)
        table.meta = {"source": name, "exposures": ", ".join(self.views),
                      **summary_of(self, name)}  # fmt: skip
        return table

    @cached_property
    def differences(self):
        """How each source of each exposure differs from the joint spectrum, by their names."""
        return differences(self)

    @cached_property
    def shares(self):
        """Part of the squared signal-to-noise ratio of each exposure, by source and exposure."""
        return shares(self)

    def exposures(self):
        """One row for each source in each exposure: where it is, its share, and its agreement.

        Returns
        -------
        `~astropy.table.QTable`
            ``exposure``, ``source``, ``row``, ``fwhm``, ``throughput`` (relative to exposures that
            agree) and its error, zero where it is one by agreement, ``shift`` of the wavelengths in
            columns, ``share`` of the squared signal-to-noise ratio, ``chi2_dof`` of the exposure,
            ``n_rejected``, ``difference`` (chi-square of the exposure against the spectrum of all,
            for each part of the spectrum), and ``reason`` where it disagrees.
        """
        part, rows = self.shares, []
        for name in self.sources:
            throughputs = np.transpose(self.throughput(name))
            for n, (key, view) in enumerate(self.views.items()):
                difference = self.differences[name][key]
                rows.append({
                    "exposure": key, "source": name, "row": float(np.mean(view.trace(name))),
                    "fwhm": float(np.mean(view.fwhm(name))), "throughput": throughputs[n][0],
                    "throughput_error": throughputs[n][1], "shift": self.joint.shifts[n],
                    "share": part[name][key], "chi2_dof": float(view.fit.reduced_chi2),
                    "n_rejected": view.fit.n_rejected, "difference": difference.chi2,
                    "reason": difference.reason,
                })  # fmt: skip
        return readable(QTable(rows))

    def report(self):
        """One row for each source: how well it was extracted, and a reason where to look closer."""
        rows = [{"source": name, **summary_of(self, name)} for name in self.sources]
        return readable(QTable(rows))

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw all exposures with their residuals, and the spectra; see `specmodels.plotting`."""
        from ...plotting import plot_dithers

        return plot_dithers(self, figure, panel=panel, ax=ax)


def _at(wave, own, values):
    """Values at other wavelengths, linear between columns; NaN outside."""
    order = np.argsort(own)
    order = order[np.isfinite(own[order])]
    if not len(order):
        return np.full(np.shape(wave), np.nan)
    step = np.median(np.abs(np.diff(own[order]))) if len(order) > 1 else 1.0
    out = np.interp(wave, own[order], values[order])
    outside = (wave < own[order[0]] - 0.5 * step) | (wave > own[order[-1]] + 0.5 * step)
    return np.where(outside | ~np.isfinite(wave), np.nan, out)
