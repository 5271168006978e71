"""Optimal extraction: sources and sky fitted together, column by column.

The flux of a source is a linear parameter of the model of its slit; a weighted fit of that model is
Horne's (1986, PASP 98, 609) sum for one source on a known sky, and remains optimal for several
sources, an unknown sky and masked pixels.
"""

from copy import copy
from dataclasses import replace
from numbers import Integral

import numpy as np
from astropy import units as u

from ...dithers import Dithers
from ...fitters import SigmaClipFitter, StagedFitter, VarProFitter
from ...io import is_series, read, read_series
from ...io.jwst_files import EXTRACTION
from ...models import ColumnPolynomial, MoffatProfile, Source
from ..base import ImageEvaluator, ResultSet
from ..dithers.exposure import ExposureView
from ..dithers.joint import JointExtraction
from ..dithers.lobes import checked_lobes
from ..dithers.result import DitheredExtractionResult
from ..dithers.wings import joint_wings
from ..time_series.series import TimeSeriesExtraction
from .fluxes.noise import (
    with_constant_variance,
    with_estimated_variance,
    with_scaled_variance,
    with_smooth_poisson,
)
from .fluxes.sky_line_misfits import with_sky_line_misfits
from .fluxes.spectrum_sums import checked_grid
from .guess.automatic import SlitModelBuilder
from .guess.initial_values import with_initial_values
from .guess.leaves import leaves_of
from .guess.line_shifts import correlated_map, pixel_wavelengths, with_fitted_tilt
from .guess.region import rows_near, slit_region
from .guess.richer_models import is_worth_more, with_bowed_sky, with_further_traces
from .overlapping_orders import OrdersBuilder
from .refused import check_slit, masked_reasons
from .result import ExtractionResult
from .shapes import star_profile, with_held_shape
from .tilted import TiltedSlitBuilder, is_doubtful, line_tilt, lines_move

__all__ = ["OptimalExtraction"]

# Lines that span more columns than this over the rows of a slit are no columns any more.
MOST_TILT = 0.1
# Without wavelengths lines are meant to be straight: what is left in a rectified slit is less.
UNTOLD_TILT = 1.0


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
        data. A whole number as `sky` is its degree along the slit, in each column. Not to be given
        together with `model`.
    aperture : float
        Half the height of the comparison aperture, in full widths at half maximum.
    orders : `~specmodels.Orders` or sequence of `~specmodels.Order`, optional
        Spectral orders of one source, which may overlap: where they lie and what wavelengths they
        have. They share a profile: `profile`, or one that is learnt. Not together with `model`.
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
    n_jobs : int, optional
        Cores for the slits of an exposure, -1 for all; see `Evaluator`.

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
    step = EXTRACTION

    def __init__(
        self, model=None, fitter=None, *, n_sources=None, profile=None, sky=None,
        trace=None, trace_degree=None, width_degree=None, aperture=1.5, lobes=None, orders=None,
        wavelength_terms=None, wavelengths=None, n_jobs=None,
    ):  # fmt: skip
        super().__init__(model, fitter, n_jobs=n_jobs)
        if isinstance(sky, Integral) and not isinstance(sky, bool):
            sky = ColumnPolynomial(sky)
        settings = dict(n_sources=n_sources, profile=profile, sky=sky, trace=trace,
                        trace_degree=trace_degree, width_degree=width_degree)  # fmt: skip
        given = [key for key, value in settings.items() if value is not None]
        if model is not None and given:
            raise ValueError(f"model: cannot be given together with {given}, which would shape it")
        self.orders = None
        if orders is not None:
            given += ["model"] if model is not None else []
            wrong = sorted(set(given) - {"profile", "sky"})
            if wrong:
                raise ValueError(f"orders: cannot be given together with {wrong}")
            self.orders = OrdersBuilder(orders, profile, sky)
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
        left_out = {image.name: f"no usable pixel: {masked_reasons(image)}"
                    for image in images if image.mask.all()}  # fmt: skip
        images = [image for image in images if image.name not in left_out]
        if not images:
            raise ValueError(f"exposures: no usable pixel in any of them: {left_out}")
        for image in images:
            check_slit(image)
        fitter = self.fitter
        if self.model is None:
            images = [self._with_lines_found(image) for image in images]
            if fitter is self.default_fitter and self._of_wavelength(images[0]):
                fitter = self._staged
        joint = JointExtraction(self._alone, fitter, self.builder, self.model,
                                self.lobes)(images)  # fmt: skip
        views = {image.name: ExposureView(joint.fit.of_image(n), image, self.aperture,
                                          names=tuple(joint.sources), joint=joint)
                 for n, image in enumerate(joint.images)}  # fmt: skip
        wings = joint_wings(views.values())
        views = {name: replace(view, wings=wings) for name, view in views.items()}
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
        one, builder = copy(self), replace(self.builder, seeks_orders=False)
        if builder.n_sources is None:
            builder = replace(builder, n_sources=n_sources)
        if self.lobes is not None and builder.profile is None:
            # Learnt beside lobes of the other sign a profile would have wings of theirs.
            builder = replace(builder, profile=star_profile())
        one.builder = builder
        if np.ndim(image.wavelength) < 2:  # tilt found in one of them is not known to all
            one.wavelength_terms = False
        return one.fit(image)

    def fit(self, image):
        """Fit the model to an image; variances that are missing or noisy are made first."""
        if self.orders is not None:
            return self._fit_orders(image)
        if image.mask.all():
            raise ValueError(f"image {image.name!r}: no usable pixel: {masked_reasons(image)}")
        image = slit_region(image)
        known = image.variance is not None
        image = image if known else with_constant_variance(image)
        fit, image, fitter = self._first_fit(image)
        automatic = self.model is None and self.builder.profile is None
        if automatic and known and is_doubtful(fit):
            plain = replace(self.builder, profile=MoffatProfile())
            other = fitter(TiltedSlitBuilder(plain).build(image), image)
            if other.success and other.reduced_chi2 < fit.reduced_chi2:
                fit = other
        mend = (with_smooth_poisson, with_scaled_variance) if known else (with_estimated_variance,)
        for with_better_variance in (*mend, with_sky_line_misfits):
            better = with_better_variance(image, fit)
            if better is not None:
                final = self._fitted(fit.template, better, fitter)
                success, message = fit.success and final.success, fit.message or final.message
                image, fit = better, final.replace(success=success, message=message)
        return fit

    def _fit_orders(self, image):
        """Fit of orders: each with fluxes of its own, then, where they share one, of a spectrum."""
        known = image.variance is not None
        image = image if known else with_constant_variance(image)
        fitter = self._staged
        fit = fitter(self.orders.build(image), image)
        better = with_smooth_poisson(image, fit) if known else with_estimated_variance(image, fit)
        if better is not None:
            image, fit = better, fitter(fit.template, better)
        if self.orders.orders.spectrum is None:
            return fit
        shared = self.orders.shared(fit.template, image)
        return self.default_fitter(shared, image)

    def _fitted(self, model, image, fitter):
        """Fit of a model, or of its fluxes alone where that of a whole automatic model fails."""
        fit = fitter(model, image)
        if fit.success or self.model is not None:
            return fit
        message = f"{fit.message}: trace and width held as they were before"
        held = self.fitter(with_held_shape(model.copy()), image)
        return held.replace(success=False, message=message)

    @property
    def _staged(self):
        """The fitter; by default that of a part of the columns first."""
        return StagedFitter() if self.fitter is self.default_fitter else self.fitter

    def _first_fit(self, image):
        """Fit of the model, the part of the image that it describes, and the fitter."""
        if self.model is not None:
            return self._fitted(self.build_model(image), image, self.fitter), image, self.fitter
        image = self._with_lines_found(image)
        if self._of_wavelength(image):
            model, fitter = TiltedSlitBuilder(self.builder).build(image), self._staged
            return self._fitted(model, image, fitter), image, fitter
        guess = self.builder.guess(image)
        builder, best = self.builder, self._of_guess(image, self.builder, guess)
        for richer in (with_bowed_sky, with_further_traces):
            for other in richer(builder, best[0], guess):
                found = self._of_guess(image, *other)
                if is_worth_more(found[0], best[0], other[1]):
                    best, (builder, _) = found, other
        return best

    def _of_guess(self, image, builder, guess):
        """As `_first_fit`, of the model that a builder makes of what was found."""
        image = rows_near(image, guess)
        chosen = self.fitter is not self.default_fitter
        fitter = self.fitter if chosen else builder.fitter(guess)
        model, fit = builder.begun(image, guess)
        if fit is None or chosen:
            fit = self._fitted(model, image, fitter)
        elif fit.image.shape != image.shape:
            fit = StagedFitter().continued(fit, image)
        return fit, image, fitter

    def _with_lines_found(self, image):
        """Image with the wavelength of each pixel, where lines are seen to be tilted.

        Where there are no wavelengths, columns tell of a tilt of more than one of them as well.
        """
        if np.ndim(image.wavelength) == 2 or self.wavelength_terms is False:
            return image
        known, least = image, MOST_TILT
        if image.wavelength is None:
            if self.wavelength_terms:  # it is said elsewhere that the image has none
                return image
            known, least = image.replace(wavelength=image.x, wavelength_unit=u.pix), UNTOLD_TILT
        start = correlated_map(known)
        if start is None:
            return image
        trial = known.replace(wavelength=pixel_wavelengths(known, start))
        tilted = line_tilt(trial) > least and lines_move(trial)
        return with_fitted_tilt(known, start) if tilted or self.wavelength_terms else image

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
        check_slit(image)
        return super()._one(image, exposure)

    def evaluate(self, fit, image):
        """Make the result of a fit."""
        if fit.image.shape != image.shape:
            low, high = fit.image.y[0], fit.image.y[-1]
            image = image.cutout(rows=slice(*np.searchsorted(image.y, (low, high + 0.5))))
        if np.ndim(fit.image.wavelength) > np.ndim(image.wavelength):  # found from the lines
            image = image.replace(
                wavelength=fit.image.wavelength, wavelength_unit=fit.image.wavelength_unit
            )
        wavelengths = {} if self.orders is None else self.orders.orders.wavelengths
        return ExtractionResult(
            fit, image, self.aperture, wavelengths=wavelengths, grid=self.wavelengths
        )
