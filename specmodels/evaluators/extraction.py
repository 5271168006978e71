"""Optimal extraction: sources and sky fitted together, column by column.

The flux of a source is a linear parameter of the model of its slit; a weighted fit of that model is
Horne's (1986, PASP 98, 609) sum for one source on a known sky, and remains optimal for several
sources, an unknown sky and masked pixels.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from ..dithers import Dithers
from ..fitters import SigmaClipFitter, StagedFitter, VarProFitter
from ..io import is_series, read, read_series
from ..io.whole_frames import many_spectra
from ..models import MoffatProfile, Source
from ..numerics.spectrum_covariance import SpectrumCovariance, interpolation_weights
from .aperture import source_sums
from .automatic import SlitModelBuilder, star_profile, with_held_shape, with_initial_values
from .base import ImageEvaluator, ResultSet
from .coherent_light import coherent_light
from .dithered import JointExtraction
from .dithered_lobes import checked_lobes
from .dithered_result import DitheredExtractionResult
from .dithered_spectrum import JointSpectra, plain_wavelengths
from .leaves import leaves_of
from .line_shifts import correlated_map, pixel_wavelengths, with_fitted_tilt
from .noise import (
    with_constant_variance,
    with_estimated_variance,
    with_scaled_variance,
    with_smooth_poisson,
)
from .orders import OrdersBuilder
from .quality import judge_source
from .region import rows_near, slit_region
from .source_flux import source_fluxes
from .spectrum_sums import SpectrumSums, checked_grid, numbers_in
from .tables import readable
from .tilted import (
    NEIGHBOURS,
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
MOST_TILT = 0.1


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
    orders : sequence of `~specmodels.Order`, optional
        Spectral orders of one source, which may overlap: where they lie and what wavelengths they
        have. They share a profile: `profile`, or one that is learnt. Not together with `model`.
    distortion : int
        Degree of the distortion of traces of orders that are given as rows.
    common_distortion : bool
        Whether all orders have the same.
    spectrum : `~astropy.modeling.Model`, optional
        A spectrum of wavelength, such as `~specmodels.MasterBackgroundSpectrum`, that all orders
        show, times their throughputs. Default: each order has fluxes of its own in each column.
    lobes : sequence of float, optional
        Weights of the lobes of the one source of images that were combined of nods, by increasing
        row, such as ``(-0.5, 1, -0.5)``: they give one spectrum.
    wavelength_terms : bool, optional
        Whether spectra and sky are functions of the wavelength in each pixel, or a flux and a sky
        per column. Default: of wavelength where lines of constant wavelength span more than a tenth
        of a column over the slit and those of the sky are seen to move with them.
    wavelengths : array_like or `~astropy.units.Quantity`, optional
        Where ``result.spectra`` are sampled, increasing: light per pixel of the detector at these
        wavelengths. Default: the wavelength at the trace in each column.

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
        trace=None, trace_degree=None, width_degree=None, aperture=1.5, lobes=None, orders=None,
        distortion=2, common_distortion=False, spectrum=None, wavelength_terms=None,
        wavelengths=None,
    ):  # fmt: skip
        super().__init__(model, fitter)
        settings = dict(n_sources=n_sources, profile=profile, sky=sky, trace=trace,
                        trace_degree=trace_degree, width_degree=width_degree)  # fmt: skip
        given = [key for key, value in settings.items() if value is not None]
        if model is not None and given:
            raise ValueError(f"model: cannot be given together with {given}, which would shape it")
        if spectrum is not None and orders is None:
            raise ValueError("spectrum: expected orders that share it, got none")
        self.orders, self.spectrum = None, spectrum
        if orders is not None:
            given += ["model"] if model is not None else []
            wrong = sorted(set(given) - {"profile", "sky"})
            if wrong:
                raise ValueError(f"orders: cannot be given together with {wrong}")
            self.orders = OrdersBuilder(
                orders, profile, sky, distortion=distortion, common=common_distortion
            )
        if not aperture > 0:
            raise ValueError(f"aperture: expected a positive number, got {aperture!r}")
        self.builder = SlitModelBuilder(**settings)
        if wavelength_terms not in (None, True, False):
            raise ValueError(f"wavelength_terms: expected True, False or None, got "
                             f"{wavelength_terms!r}")  # fmt: skip
        if wavelength_terms is not None and model is not None:
            raise ValueError("model: cannot be given together with wavelength_terms")
        self.aperture, self.lobes = aperture, checked_lobes(lobes, [model, n_sources])
        self.wavelength_terms = wavelength_terms
        self.wavelengths = None if wavelengths is None else checked_grid(wavelengths)

    def __call__(self, data):
        """Apply to anything that `~specmodels.read` or `~specmodels.read_series` understands.

        Parameters
        ----------
        data : object
            One exposure, of one slit or several, whose sources are different ones; or a list of
            exposures, or `~specmodels.Dithers`, in which they are the same.

        Returns
        -------
        `ExtractionResult`, `DitheredExtractionResult` of several exposures (or lobes), or a
        `ResultSet` of several slits.
        """
        if is_series(data):
            return TimeSeriesExtraction(self)(read_series(data))
        exposure = read(data)
        if not isinstance(exposure, Dithers):
            if self.lobes is None or not hasattr(exposure, "values"):
                return super().__call__(exposure)
            exposure = Dithers([exposure])
        results, failures = {}, {}
        for slit, images in exposure.slits.items():
            try:
                results[slit] = self._together(images).with_exposure(exposure)
            except ValueError as error:
                if len(exposure.slits) == 1:
                    raise
                failures[slit] = str(error)
        if len(exposure.slits) == 1:
            return next(iter(results.values()))
        return ResultSet(results, failures, source_exposure=exposure)

    def _together(self, images):
        """Result of exposures of the same sources."""
        left_out = {image.name: f"no usable pixel: {_reasons(image)}"
                    for image in images if image.mask.all()}  # fmt: skip
        images = [image for image in images if image.name not in left_out]
        if not images:
            raise ValueError(f"exposures: no usable pixel in any of them: {left_out}")
        for image in images:
            _check_slit(image)
        joint = JointExtraction(self._alone, self.fitter, self.builder, self.model,
                                self.lobes)(images)  # fmt: skip
        views = {image.name: ExposureView(joint.fit.of_image(n), image, self.aperture,
                                          names=tuple(joint.sources))
                 for n, image in enumerate(joint.images)}  # fmt: skip
        return DitheredExtractionResult(joint, views, left_out)

    def build_model(self, image):
        """Model of the slit with initial values."""
        if self.model is None:
            return self.builder.build(image)
        if not any(isinstance(leaf, Source) for leaf in leaves_of(self.model)):
            raise ValueError(f"model: expected at least one Source, got {self.model!r}")
        return with_initial_values(self.model, image)

    def _alone(self, image, n_sources):
        """Fit of one of several exposures, with so many sources if it is not said how many."""
        one, builder = copy(self), self.builder
        if builder.n_sources is None:
            builder = replace(builder, n_sources=n_sources)
        if self.lobes is not None and builder.profile is None:
            # Learnt beside lobes of the other sign a profile would have wings of theirs.
            builder = replace(builder, profile=star_profile())
        one.builder = builder
        return one.fit(image)

    def fit(self, image):
        """Fit the model to an image; variances that are missing or noisy are made first."""
        if self.orders is not None:
            return self._fit_orders(image)
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
        mend = (with_smooth_poisson, with_scaled_variance) if known else (with_estimated_variance,)
        for with_better_variance in mend:
            better = with_better_variance(image, fit)
            if better is not None:
                final = self._fitted(fit.template, better)
                success, message = fit.success and final.success, fit.message or final.message
                image, fit = better, final.replace(success=success, message=message)
        return fit

    def _fit_orders(self, image):
        """Fit of orders: each with fluxes of its own, then, where they share one, of a spectrum."""
        known = image.variance is not None
        image = image if known else with_constant_variance(image)
        fitter = StagedFitter() if self.fitter is self.default_fitter else self.fitter
        fit = fitter(self.orders.build(image), image)
        better = with_smooth_poisson(image, fit) if known else with_estimated_variance(image, fit)
        if better is not None:
            image, fit = better, fitter(fit.template, better)
        if self.spectrum is None:
            return fit
        shared = self.orders.shared(fit.template, image, self.spectrum)
        return self.default_fitter(shared, image)

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
        image = self._with_lines_found(image)
        if self._of_wavelength(image):
            return TiltedSlitBuilder(self.builder).build(image), image
        guess = self.builder.guess(image)
        image = rows_near(image, guess)
        return self.builder.build(image, guess), image

    def _with_lines_found(self, image):
        """Image with the wavelength of each pixel, where lines are seen to be tilted."""
        given = image.wavelength is not None and np.ndim(image.wavelength) == 1
        if not given or self.wavelength_terms is False:
            return image
        start = correlated_map(image)
        if start is None:
            return image
        trial = image.replace(wavelength=pixel_wavelengths(image, start))
        tilted = line_tilt(trial) > MOST_TILT and lines_move(trial)
        return with_fitted_tilt(image, start) if tilted or self.wavelength_terms else image

    def _of_wavelength(self, image):
        """Whether spectra are functions of wavelength: as the user says, or as the lines show."""
        if self.wavelength_terms is None:
            return line_tilt(image) > MOST_TILT and lines_move(image)
        if self.wavelength_terms and np.ndim(image.wavelength) != 2:
            raise ValueError(
                f"wavelength_terms: image {image.name!r} has no wavelength for each pixel"
            )
        return self.wavelength_terms

    def _one(self, image, exposure):
        _check_slit(image)
        return super()._one(image, exposure)

    def evaluate(self, fit, image):
        """Make the result of a fit."""
        if fit.image.shape != image.shape:
            low, high = fit.image.y[0], fit.image.y[-1]
            image = image.cutout(rows=slice(*np.searchsorted(image.y, (low, high + 0.5))))
        if np.ndim(fit.image.wavelength) > np.ndim(image.wavelength):  # found from the lines
            image = image.replace(wavelength=fit.image.wavelength)
        wavelengths = {} if self.orders is None else self.orders.wavelengths
        return ExtractionResult(
            fit, image, self.aperture, wavelengths=wavelengths, grid=self.wavelengths
        )


@dataclass(frozen=True, eq=False, repr=False)
class ExtractionResult(SpectrumSums):
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
        found = {name: self.wavelength(name) for name in self.sources}
        return SeenSpectra(self.fit, {name: np.asarray(getattr(wave, "value", wave), dtype=float)
                                      for name, wave in found.items()})  # fmt: skip

    def covariance(self, name):
        """Covariance of the fluxes of a source, shape (n_dispersion, n_dispersion)."""
        return self.sample_covariance(name).dense()

    def sample_covariance(self, name):
        """The same as band and low rank, a `~specmodels.numerics.SpectrumCovariance`."""
        if self.seen_spectra is not None:
            return self.seen_spectra.covariances[name]
        position = self.sources[name][1][0]
        if self.fit.independent_columns or position not in self.fit.form.linear:
            own = self.source_fluxes[name]
            return SpectrumCovariance.with_common(own.error, own.common)
        return SpectrumCovariance.of_dense(self.fit.covariance_of(self.fit.names[position]))

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
        sky = self.sky if self.seen_spectra is None and _has_sky(self.fit) else None
        found = source_fluxes(self.fit, self.sources, traces, widths, self.coherent_light, sky)
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

    def wavelength(self, name):
        """Wavelength of a source in each column, a Quantity or plain numbers; columns in pixels."""
        if name in self.wavelengths:
            return self.wavelengths[name]
        return self.image.wavelength_along(self.trace(name))

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
            ``n_rejected``, ``resolution`` where fluxes are samples of a function of wavelength
            (full width at half maximum of what they average over), and ``var_read``, … for the
            components of the variance.
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
        table["wavelength"] = self.wavelength(name)
        table["flux"], table["flux_error"] = flux * unit, error * unit
        table["mask"] = self.mask(name)
        table["background"] = self._sums[name].background * unit
        table["aperture_flux"] = aperture_flux * unit
        table["aperture_error"] = aperture_error * unit
        if self.seen_spectra is not None:
            width = self.seen_spectra.resolution(name)
            unit = self.image.wavelength_unit
            table["resolution"] = width if unit is None else width * unit
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
        if self.grid is not None:
            return {name: self.spectrum_at(self.grid, name) for name in self.sources}
        return {name: self._spectrum(name, *self._flux(name)) for name in self.sources}

    @cached_property
    def aperture_spectra(self):
        """Spectra of the comparison aperture of all sources, by name."""
        return {name: self._spectrum(name, *self.aperture_flux(name)) for name in self.sources}

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
            fluxes, covariance = self.seen_spectra.at(name, grid)
            bad = (weights[:, self.mask(name)] != 0).any(axis=1)
        else:
            fluxes, whole = (part.value for part in self.weighted_sums(weights, name))
            covariance, bad = SpectrumCovariance.of_matrix(whole, NEIGHBOURS), ~np.isfinite(fluxes)
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

    def report(self):
        """One row for each source: how well it was extracted, and a reason where to look closer."""
        rows = [{"source": name, **judge_source(self, name)} for name in self.sources]
        return readable(QTable(rows))

    def plot(self, figure=None):
        """Draw image, model, residual, profile and spectra; see `specmodels.plotting`."""
        from ..plotting import plot_extraction

        return plot_extraction(self, figure)


@dataclass(frozen=True, eq=False, repr=False)
class ExposureView(ExtractionResult):
    """One of several exposures that were extracted together: its pixels, the spectra of all.

    Attributes
    ----------
    names : tuple of str
        The sources.
    """

    names: tuple = ()

    @cached_property
    def sources(self):
        """Sources of the fitted model, by name; further lobes of one are no sources."""
        return {leaf.name: (leaf, positions) for leaf, positions in self.fit.form.leaves()
                if isinstance(leaf, Source) and leaf.name in self.names}  # fmt: skip

    @cached_property
    def seen_spectra(self):
        """The spectra of all exposures, read off in the columns of this one."""
        waves = {name: plain_wavelengths(self.image, self.trace(name)) for name in self.sources}
        return JointSpectra(self.fit, waves, self.image.x)

    def mask(self, name):
        """Columns of which no exposure tells the flux."""
        flux, error = self._flux(name)
        return ~np.isfinite(flux) | ~np.isfinite(error)

    def sees(self, name):
        """Whether each column has light of a source on good pixels."""
        return self._sums[name].seen >= LEAST_LIGHT


def _check_slit(image):
    """Refuse whole frames."""
    frame = many_spectra(image)
    if frame is not None:
        raise ValueError(
            f"image {image.name!r}: expected the spectrum of a slit, got {frame[0]} of shape "
            f"{image.shape}: {frame[1]}"
        )


def _has_sky(fit):
    """Whether a part of the model that is no source was fitted."""
    sources = [set(p) for leaf, p in fit.form.leaves() if isinstance(leaf, Source)]
    free = {*fit.form.linear, *fit.form.nonlinear}
    return bool(free - set().union(*sources))


def _reasons(image):
    return ", ".join(f"{count} {reason}" for reason, count in image.masked.items())
