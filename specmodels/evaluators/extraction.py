"""Optimal extraction: sources and sky fitted together, column by column.

The flux of a source is a linear parameter of the model of its slit; a weighted fit of that model is
Horne's (1986, PASP 98, 609) sum for one source on a known sky, and remains optimal for several
sources, an unknown sky and masked pixels.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from ..fitters import SigmaClipFitter, VarProFitter
from ..io import is_series, read_series
from ..io.whole_frames import many_spectra
from ..models import MoffatProfile, Source
from .aperture import source_sums
from .automatic import SlitModelBuilder, leaves_of, with_held_shape, with_initial_values
from .base import ImageEvaluator
from .coherent_light import coherent_light
from .noise import with_constant_variance, with_estimated_variance, with_smooth_poisson
from .quality import judge_source
from .region import rows_near, slit_region
from .source_flux import source_fluxes
from .tables import readable
from .tilted import (
    SeenSpectra,
    TiltedSlitBuilder,
    is_doubtful,
    line_tilt,
    lines_move,
    spectrum_name,
)
from .time_series import TimeSeriesExtraction

__all__ = ["ExtractionResult", "OptimalExtraction"]

LEAST_LIGHT = 0.05
# Lines that span more columns than this over the rows of a slit are no columns any more.
MOST_TILT = 0.5


class OptimalExtraction(ImageEvaluator):
    r"""Extract the spectra of the sources in a slit.

    .. math::
        d_{yx} = \sum_k f_{kx}\,P_k(y - y_k(x)) + \mathrm{sky}_x(y)

    Parameters
    ----------
    model : `~astropy.modeling.Model`, optional
        A compound of `~specmodels.Source` and sky models. What it leaves open (traces and widths
        with their default values) is guessed from the data. Default: made from the data alone.
    fitter : `~specmodels.fitters.Fitter`, optional
        Default: variable projection with rejection of cosmic rays.
    n_sources, profile, sky, trace, trace_degree, width_degree : optional
        Settings of the automatic model, see `SlitModelBuilder`; what is not set is chosen by the
        data. Not to be given together with `model`.
    aperture : float
        Half the height of the comparison aperture, in full widths at half maximum.

    Raises
    ------
    ValueError
        If `model` is given together with a setting of the automatic one, or, in a call, the image
        has no usable pixel, or is a whole frame of many spectra.

    Examples
    --------
    >>> import specmodels as sm
    >>> slit, truth = sm.datasets.make_slit()
    >>> result = sm.OptimalExtraction()(slit)
    >>> result.spectrum.flux.shape
    (400,)
    """

    default_fitter = SigmaClipFitter(VarProFitter())

    product = "spectrum"

    def __init__(
        self, model=None, fitter=None, *, n_sources=None, profile=None, sky=None,
        trace=None, trace_degree=None, width_degree=None, aperture=1.5,
    ):  # fmt: skip
        super().__init__(model, fitter)
        settings = dict(n_sources=n_sources, profile=profile, sky=sky, trace=trace,
                        trace_degree=trace_degree, width_degree=width_degree)  # fmt: skip
        given = [key for key, value in settings.items() if value is not None]
        if model is not None and given:
            raise ValueError(f"model: cannot be given together with {given}, which would shape it")
        if not aperture > 0:
            raise ValueError(f"aperture: expected a positive number, got {aperture!r}")
        self.builder = SlitModelBuilder(**settings)
        self.aperture = aperture

    def __call__(self, data):
        """Apply to anything that `~specmodels.read` or `~specmodels.read_series` understands."""
        if is_series(data):
            return TimeSeriesExtraction(self)(read_series(data))
        return super().__call__(data)

    def build_model(self, image):
        """Model of the slit with initial values."""
        if self.model is None:
            return self.builder.build(image)
        if not any(isinstance(leaf, Source) for leaf in leaves_of(self.model)):
            raise ValueError(f"model: expected at least one Source, got {self.model!r}")
        return with_initial_values(self.model, image)

    def fit(self, image):
        """Fit the model to an image; variances that are missing or noisy are made first."""
        if image.mask.all():
            raise ValueError(f"image {image.name!r}: no usable pixel: {_reasons(image)}")
        image = slit_region(image)
        known = image.variance is not None
        image = image if known else with_constant_variance(image)
        model, image = self._prepared(image)
        fit = self._fitted(model, image)
        automatic = self.model is None and self.builder.profile is None
        if automatic and known and is_doubtful(fit):
            plain = replace(self.builder, profile=MoffatProfile())
            other = self._fitted(TiltedSlitBuilder(plain).build(image), image)
            fit = min(fit, other, key=lambda one: one.reduced_chi2)
        better = with_smooth_poisson(image, fit) if known else with_estimated_variance(image, fit)
        if better is None:
            return fit
        final = self._fitted(fit.template, better)
        return final if fit.success else final.replace(success=False, message=fit.message)

    def _fitted(self, model, image):
        """Fit of a model, or of its fluxes alone where that of a whole automatic model fails."""
        fit = self.fitter(model, image)
        if fit.success or self.model is not None:
            return fit
        message = f"{fit.message}: trace and width held as they were before"
        held = self.fitter(with_held_shape(model.copy()), image)
        return held.replace(success=False, message=message)

    def _prepared(self, image):
        """Model with initial values, and the part of the image that it describes."""
        if self.model is not None:
            return self.build_model(image), image
        if line_tilt(image) > MOST_TILT and lines_move(image):
            return TiltedSlitBuilder(self.builder).build(image), image
        guess = self.builder.guess(image)
        image = rows_near(image, guess)
        return self.builder.build(image, guess), image

    def _one(self, image, exposure):
        frame = many_spectra(image)
        if frame is not None:
            raise ValueError(
                f"image {image.name!r}: expected the spectrum of a slit, got {frame[0]} of shape "
                f"{image.shape}: {frame[1]}"
            )
        return super()._one(image, exposure)

    def evaluate(self, fit, image):
        """Make the result of a fit."""
        if fit.image.shape != image.shape:
            low, high = fit.image.y[0], fit.image.y[-1]
            image = image.cutout(rows=slice(*np.searchsorted(image.y, (low, high + 0.5))))
        return ExtractionResult(fit, image, self.aperture)


@dataclass(frozen=True, eq=False, repr=False)
class ExtractionResult:
    """Spectra of the sources of one image, with all that led to them.

    Attributes
    ----------
    fit : `~specmodels.fitters.FitResult`
        The fitted model of the slit.
    image : `~specmodels.exposure.SpectralImage`
        The data extracted.
    aperture : float
        Half the height of the comparison aperture, in full widths at half maximum.
    source_exposure : `~specmodels.exposure.Exposure`
        What the image came from.
    """

    fit: object
    image: object
    aperture: float = 1.5
    source_exposure: object = None

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
        found = {}
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
        found = {name: self.image.wavelength_along(self.trace(name)) for name in self.sources}
        return SeenSpectra(self.fit, {name: np.asarray(getattr(wave, "value", wave), dtype=float)
                                      for name, wave in found.items()})  # fmt: skip

    def covariance(self, name):
        """Covariance of the fluxes of a source, shape (n_dispersion, n_dispersion)."""
        if self.seen_spectra is not None:
            return self.seen_spectra.covariance(name)
        return np.diag(self._flux(name)[1] ** 2)

    @cached_property
    def _sums(self):
        traces = {name: self.trace(name) for name in self.sources}
        radii = {name: self.aperture * self.fwhm(name) for name in self.sources}
        image = self.fit.image
        whole = self.fit.replace(image=image.replace(mask=image.mask & ~self.coherent_light.lines))
        return source_sums(whole, self.sources, traces, radii, carriers=self.carriers)

    @cached_property
    def coherent_light(self):
        """Light that the model does not describe, over neighbouring pixels."""
        return coherent_light(self.fit, self.model)

    @cached_property
    def source_fluxes(self):
        """Flux of each source by name, a `SourceFlux`: fitted, or summed where light is left."""
        traces = {name: self.trace(name) for name in self.sources}
        widths = {name: self.fwhm(name) for name in self.sources}
        found = source_fluxes(self.fit, self.sources, traces, widths, self.coherent_light)
        if self.seen_spectra is None:
            return found
        fluxes = self.seen_spectra.fluxes
        return {name: replace(own, flux=fluxes[name][0], error=fluxes[name][1],
                              fitted=fluxes[name][0]) for name, own in found.items()}  # fmt: skip

    @cached_property
    def model(self):
        """Image of the fitted model."""
        return self.fit.predict()

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
        leaf, positions = self.sources[name]
        values = [self.fit.values[k] for k in positions]
        return np.broadcast_to(leaf.trace_position(self.image.x, values), self.image.x.shape)

    def fwhm(self, name):
        """Full width at half maximum of a source in each column, in pixels."""
        leaf, positions = self.sources[name]
        return leaf.fwhm(self.image.x, [self.fit.values[k] for k in positions])

    def table(self, name):
        """All that is known of a source per column.

        Returns
        -------
        `~astropy.table.QTable`
            ``column``, ``wavelength``, ``flux``, ``flux_error``, ``mask``, ``background`` (of one
            pixel at the trace), ``aperture_flux``, ``aperture_error``, ``trace``, ``chi2``,
            ``n_rejected``, and ``var_read``, … for the components of the variance.
        """
        return self.tables()[name]

    def tables(self):
        """The table of each source, by name; see `table`."""
        return dict(self._tables)

    @cached_property
    def _tables(self):
        return {name: self._table(name) for name in self.sources}

    def _table(self, name):
        unit = self.image.unit if self.image.unit is not None else u.dimensionless_unscaled
        flux, error, trace = *self._flux(name), self.trace(name)
        aperture_flux, aperture_error = self.aperture_flux(name)
        table = QTable()
        table["column"] = self.image.x
        table["wavelength"] = self.image.wavelength_along(trace)
        table["flux"], table["flux_error"] = flux * unit, error * unit
        table["mask"] = self.mask(name)
        table["background"] = self._sums[name].background * unit
        table["aperture_flux"] = aperture_flux * unit
        table["aperture_error"] = aperture_error * unit
        table["trace"], table["chi2"] = trace, self.fit.column_chi2()
        table["n_rejected"] = self.fit.rejected.sum(axis=0)
        for key, variance in self._propagated(name).items():
            table[f"var_{key}"] = variance * unit**2
        table.meta = {"source": name, "image": self.image.name, **judge_source(self, name)}
        return table

    def _flux(self, name):
        own = self.source_fluxes[name]
        return own.flux, own.error

    def _propagated(self, name):
        """Variance of the flux that each component of the pixels' variance brings."""
        position = self.sources[name][1][0]
        if (
            self.seen_spectra is not None
            or position not in self.fit.form.linear
            or not self.fit.image.components
        ):
            return {}
        row, own = self.fit.form.linear.index(position), self.source_fluxes[name]
        return {key: own.propagate(value, self.fit.propagate(np.nan_to_num(value))[row])
                for key, value in self.fit.image.components.items()}  # fmt: skip

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
        return self._sums[name].flux, self._sums[name].error

    def normalisation(self, name):
        """Optimal flux over aperture flux, which has been corrected for the light outside.

        Returns
        -------
        ratio, error : float
            Ratio of the weighted sums over all columns, and its standard error; NaN where there is
            nothing to compare.
        """
        sums = self._sums[name]
        flux, error, enclosed = sums.flux, sums.error, sums.enclosed
        use = np.isfinite(flux) & np.isfinite(enclosed) & (error > 0) & ~self.mask(name)
        summed = self.source_fluxes[name].columns
        if summed.size < 0.5 * use.size:  # whose flux is not that of the profile
            use[summed] = False
        if not use.any():
            return np.nan, np.nan
        weight = enclosed[use] / error[use] ** 2
        total = np.sum(weight * flux[use])
        ratio = np.sum(weight * enclosed[use]) / total if total else np.nan
        return float(ratio), float(
            abs(ratio) * np.sqrt(np.sum((weight * error[use]) ** 2)) / abs(total)
        )

    @property
    def spectrum(self):
        """Spectrum of the first source, a `~specutils.Spectrum`."""
        return next(iter(self.spectra.values()))

    @cached_property
    def spectra(self):
        """Spectra of all sources, by name."""
        return {name: self._spectrum(name, *self._flux(name)) for name in self.sources}

    @cached_property
    def aperture_spectra(self):
        """Spectra of the comparison aperture of all sources, by name."""
        return {name: self._spectrum(name, *self.aperture_flux(name)) for name in self.sources}

    def _spectrum(self, name, flux, error):
        """Spectrum of the columns that have a wavelength, by increasing wavelength."""
        from specutils import Spectrum  # here, because it takes a second to import

        wavelength = u.Quantity(self.image.wavelength_along(self.trace(name)))
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
            meta={"specmodels": {"source": name, "image": self.image.name}},
        )  # fmt: skip

    def report(self):
        """One row for each source: how well it was extracted, and a reason where to look closer."""
        rows = [{"source": name, **judge_source(self, name)} for name in self.sources]
        return readable(QTable(rows))

    def plot(self, figure=None):
        """Draw image, model, residual, profile and spectra; see `specmodels.plotting`."""
        from ..plotting import plot_extraction

        return plot_extraction(self, figure)


def _reasons(image):
    return ", ".join(f"{count} {reason}" for reason, count in image.masked.items())
