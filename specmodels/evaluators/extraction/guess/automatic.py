"""A model of a slit made from the data alone, or a user's model with the values it leaves open.

What the user set is never changed: a parameter counts as left open where it still has the value
that its class gives it and is not fixed.
"""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from astropy.modeling import Model

from ....fitters import SigmaClipFitter, VarProFitter
from ....models import (
    BSplineProfile,
    ColumnPolynomial,
    GaussianProfile,
    LinearForm,
    PolynomialTrace,
    Profile,
    Source,
)
from ....models.empirical import FWHM_OF_GAUSSIAN, graded_knots
from ..shapes import (
    star_profile,
    with_drifting_shape,
    with_fixed_frame,
    with_held_shape,
    with_shared_shape,
    with_symmetric_shape,
    with_trace_priors,
    with_wing_priors,
)
from .binned_shapes import BinnedShapeFitter
from .bright_columns import N_BLOCKS
from .coarse_fits import is_sensible, looks_like_sky, misfits, widths_are_alike
from .first_guess import find_sources
from .first_shapes import FirstShapeFitter
from .initial_values import project, width_guess
from .leaves import leaves_of, replace_leaf
from .sky_choice import LEAST_ROWS_FOR_SKY, gain, row_limits, sky_of, with_chosen_sky

__all__ = ["SlitModelBuilder"]

# Total signal-to-noise ratio from which a profile is learnt from the data, and a shape from it.
SNR_EMPIRICAL, SNR_MOFFAT, SNR_WIDTH = 100.0, 40.0, 20.0
COARSE_COLUMNS = 256
# Light has to be worth so many times what noise does to chi-square.
FAINT = 20.0
# What a trace may have though it is not seen.
HIDDEN_DEGREE = 2
# That of another order, at least.
FURTHER_DEGREE = 2
# Half the width of an empirical profile, in standard deviations of its core: at the most, at the
# least, and as a fraction of the slit.
LARGEST_REACH, LEAST_REACH, SLIT_FRACTION = 14.0, 5.0, 0.75
# Distance of its knots in the core, in standard deviations. The wider one misses the shoulders of a
# core with wings by a hundredth of the light: a flux per column hardly depends on that, but where
# all rows tell of one sky the throughput of the slit would have to mend it.
CORE, FINE_CORE = 1.0, 0.8
# It ends at the next source, from which it could take light, but for blends.
BLENDED = 7.0
# A profile of which one side lies outside of the slit keeps its symmetric, parametric shape.
LEAST_SIDE = 3.0
# So does one of which less than this part of the pixels at some distance from the trace are good.
LEAST_SEEN = 0.3
# In so many rows there is no profile to learn.
LEAST_ROWS = 8
# A profile may drift where each further coefficient lowers chi-square by this much.
DRIFT_GAIN = 6.0


@dataclass(frozen=True)
class SlitModelBuilder:
    """Settings by which a model of a slit is made.

    Attributes
    ----------
    n_sources : int, optional
        Number of sources; default: those found.
    profile : `~specmodels.models.Profile`, optional
        Profile of all sources; default: as the signal-to-noise ratio allows, a Gaussian, a Moffat
        or a B-spline.
    sky : `~astropy.modeling.Model`, optional
        Sky of a column; default: a constant or a slope.
    trace : `~astropy.modeling.Model`, optional
        Row as a function of the column, as a template for all sources; default: a polynomial.
    trace_degree, width_degree : int, optional
        Degrees of the polynomials of the trace and of the width; default: chosen by the data.
    seeks_orders : bool
        Whether traces that are not parallel to the others are looked for.
    starts_wavelengths : bool
        Whether what is built starts a fit in which all rows tell the sky of a wavelength. Profiles
        are then finer, may reach beyond the next source, and are left to that fit.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind, or out of range.
    """

    n_sources: int | None = None
    profile: object = None
    sky: object = None
    trace: object = None
    trace_degree: int | None = None
    width_degree: int | None = None
    seeks_orders: bool = True
    starts_wavelengths: bool = False

    def __post_init__(self):
        for key, least in (("n_sources", 1), ("trace_degree", 0), ("width_degree", 0)):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, Integral) and value >= least):
                raise ValueError(f"{key}: expected a whole number from {least}, got {value!r}")
        for key, kind in (("profile", Profile), ("sky", Model), ("trace", Model)):
            value = getattr(self, key)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{key}: expected a {kind.__name__}, got {value!r}")
        if self.trace is not None and self.trace_degree is not None:
            raise ValueError("trace_degree: cannot be given together with a trace")

    def guess(self, image):
        """Where the sources are; see `find_sources`."""
        return find_sources(image, n_sources=self.n_sources, trace_degree=self.trace_degree)

    def is_faint(self, guess):
        """Whether shapes are to be fitted to bins of columns: noise bends chi-square of columns.

        Its scatter with the shape, of n columns, is the root of 2n, and the light of a source is
        worth the square of its signal-to-noise ratio.
        """
        scatter = np.sqrt(2 * len(guess.shape))
        return guess.n_binned > 1 and np.max(guess.snr**2) < FAINT * scatter

    def fitter(self, guess):
        """Fitter for an image in which this was found."""
        if self.is_faint(guess):
            return BinnedShapeFitter(guess.n_binned)
        return SigmaClipFitter(VarProFitter())

    def build(self, image, guess=None):
        """Model of `image`, its values near the solution.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`
        guess : `~specmodels.evaluators.extraction.guess.first_guess.Guess`, optional
            Where the sources are; default: what `guess` finds.

        Returns
        -------
        `~astropy.modeling.Model`
            A compound of sources (``source``, or ``source 1``, …) and ``sky``.
        """
        return self.begun(image, guess)[0]

    def begun(self, image, guess=None):
        """As `build`; and the fit of all or of some of the columns that the model is of, if any.

        Returns
        -------
        model : `~astropy.modeling.Model`
        fit : `~specmodels.fitters.FitResult` or None
        """
        guess = self.guess(image) if guess is None else guess
        snr = float(np.abs(guess.snr).max())
        coarse = image if self.is_faint(guess) else _every_nth_column(image)
        model, fit, sensible = self._shaped(image, coarse, guess, snr)
        if self.sky is None:
            model = with_chosen_sky(model, fit, coarse, guess, faint=self.is_faint(guess))
        if not sensible:  # a sky that slopes may have been taken for a source
            other, _, sensible = self._shaped(image, coarse, guess, snr, sky_of(model))
            model = other if sensible else model
        if self._is_learnt(image, snr) and LinearForm(model).nonlinear:
            model = self.learnt(model, image, guess)
            # One source may have a profile that drifts, as only this tells.
            if len(guess.centers) == 1 or not self.starts_wavelengths:
                return self._refined(model, coarse, fit.rejected)
        return model, None

    def _is_learnt(self, image, snr):
        """Whether the profile is to be learnt from the data."""
        return self.profile is None and snr > SNR_EMPIRICAL and image.shape[0] > LEAST_ROWS

    def _shaped(self, image, coarse, guess, snr, sky=None):
        """Parametric model fitted to some of the columns, its fit, and whether that makes sense.

        If it does not, shapes are held at the first guess.
        """
        is_start = self._is_learnt(image, snr) and not self.is_faint(guess)
        fitter = FirstShapeFitter() if is_start else self.fitter(guess)
        for profile, width_degree in self._shapes(snr, guess):
            model = self._parametric(image, guess, snr, profile, width_degree)
            if sky is not None:
                model = replace_leaf(model, "sky", sky)
            fit = fitter(model, coarse)
            trades = self.profile is None and looks_like_sky(fit, coarse)
            if is_sensible(fit, guess, coarse) and not trades:
                return fit.template, fit, True
        return with_held_shape(model), fit, False

    def _refined(self, model, coarse, hits):
        """Empirical model fitted to some of the columns, drifting where they ask for it; its fit.

        The fit is None where it failed, or hits were not looked for.
        """
        fit = SigmaClipFitter(VarProFitter()).without(hits, model, coarse)
        if not fit.success:
            return model, None
        drifting = with_drifting_shape(fit.template, coarse) if misfits(fit) else None
        if drifting is None:
            return fit.template, fit
        cleaned = coarse.replace(mask=coarse.mask | fit.rejected)
        richer = VarProFitter()(drifting, cleaned)
        n_more = len(richer.form.nonlinear) - len(fit.form.nonlinear)
        worth = richer.success and gain(fit, richer) > DRIFT_GAIN * n_more
        worth = worth and widths_are_alike(fit, richer)
        return (richer.template, None) if worth else (fit.template, fit)

    def _parametric(self, image, guess, snr, profile, width_degree):
        """Sources of a parametric profile at the places found, with a constant sky."""
        limits = (image.x[0], image.x[-1] if len(image.x) > 1 else image.x[0] + 1)
        width = width_guess(profile, guess.fwhm)
        trace = self._trace(limits, guess) if self.trace is None else self.trace
        sources, traces = [], guess.traces
        for number, rows in enumerate(traces):
            name = "source" if len(traces) == 1 else _numbered(number)
            of_order = PolynomialTrace(max(guess.trace_degree, FURTHER_DEGREE), limits=limits)
            own = project(trace if number < len(guess.centers) else of_order, image.x, rows)
            width_model = PolynomialTrace(width_degree, limits=limits, c0=width)
            if profile.width_parameter is None or profile.fixed[profile.width_parameter]:
                width_model = None
            sources.append(Source(profile, own, width=width_model, name=name))
        model = sources[0]
        for source in sources[1:]:
            model = model + source
        if self.sky is not None:
            model = model + self.sky
        elif image.shape[0] >= LEAST_ROWS_FOR_SKY:
            model = model + ColumnPolynomial(0, limits=row_limits(image), name="sky")
        return with_shared_shape(model, _further_names(guess))

    def _trace(self, limits, guess):
        """Polynomial of the degree that was found, and no less than noise or gaps may have hidden.

        Of a bright source, what is found is all there is; but where the end of the slit cuts its
        light, shifts are not all seen. From a few lines it goes on as those of instruments do.
        """
        whole = guess.n_bright >= N_BLOCKS // 2
        hidden = np.max(np.abs(guess.snr)) <= SNR_EMPIRICAL or guess.is_cut
        grows = self.is_faint(guess) or (whole and hidden)
        if self.trace_degree is not None or (whole and not grows):
            return PolynomialTrace(guess.trace_degree, limits=limits)
        degree = max(guess.trace_degree, HIDDEN_DEGREE if grows else 0)
        return with_trace_priors(PolynomialTrace(degree, limits=limits))

    def _shapes(self, snr, guess):
        """Profiles to try with the degree of their width, the richest first."""
        degree = self._width_degree(snr, guess)
        if self.profile is not None:
            return [(self.profile, degree)]
        simple = [(GaussianProfile(), degree), (GaussianProfile(), self.width_degree or 0)]
        if snr <= SNR_MOFFAT:
            return simple if degree else simple[:1]
        return [(star_profile(), degree), *simple]

    def _width_degree(self, snr, guess):
        if self.width_degree is not None:
            return self.width_degree
        by_light = 0 if snr < SNR_WIDTH else 1 if snr < SNR_EMPIRICAL else 2
        # What only one line or two constrain is held.
        return min(by_light, guess.n_bright - 1)

    def learnt(self, model, image, guess):
        """Model with B-spline profiles that start from the parametric ones.

        The spline reaches no further than the slit; where the slit is too narrow for wings to be
        told from sky, the parametric profile stays.
        """
        sources = [leaf for leaf in leaves_of(model) if isinstance(leaf, Source)]
        parametric = sources[0].part("profile")
        ends = sources[0].part("width")(np.array(sources[0].width.limits))
        width = float(np.mean(ends))
        setattr(parametric, parametric.width_parameter, width)
        unit = float(np.squeeze(parametric.fwhm(*parametric.parameters[1:]))) / FWHM_OF_GAUSSIAN
        both = min(_sides(sources, image)) >= LEAST_SIDE * unit
        seen = both and _core_is_seen(sources, image)
        largest = max(LARGEST_REACH, guess.extent / unit)
        reach = min(largest, SLIT_FRACTION * _room(sources, image) / unit)
        nearest = guess.least_distance / unit
        if nearest > BLENDED and not self.starts_wavelengths:
            reach = min(reach, nearest)
        if reach < LEAST_REACH:
            return model
        core = FINE_CORE if self.starts_wavelengths else CORE
        profile = with_wing_priors(
            BSplineProfile.like(parametric, graded_knots(reach, core=core), falling=True)
        )
        for source in sources:
            scale = source.part("width")
            for n in scale.param_names:
                setattr(scale, n, unit / width * getattr(scale, n).value)
            new = source.with_parts(profile=profile, width=scale)
            model = replace_leaf(model, source.name, new)
        model = with_shared_shape(model, _further_names(guess))
        return with_fixed_frame(model) if seen else with_symmetric_shape(model)


def _numbered(number):
    """Name of one of several sources."""
    return f"source {number + 1}"


def _further_names(guess):
    """Names of the sources whose traces are not parallel to the others."""
    first, last = len(guess.centers), len(guess.centers) + len(guess.further)
    return [_numbered(number) for number in range(first, last)]


def _core_is_seen(sources, image):
    """Whether good pixels lie at all distances from the trace within the full width.

    Where a row is bad along the trace, a free shape would be whatever fits beside it.
    """
    for source in sources:
        offset = np.round(image.y[:, None] - source.trace_position(image.x))
        for distance in range(-int(width := np.median(source.fwhm(image.x))), int(width) + 1):
            there = offset == distance
            if np.count_nonzero(there & ~image.mask) < LEAST_SEEN * np.count_nonzero(there):
                return False
    return True


def _room(sources, image):
    """Rows between the traces and the farther edge of the usable part of the image."""
    below, above = _sides(sources, image, outer=max)
    return max(below, above)


def _sides(sources, image, outer=min):
    """Rows between the traces and either edge of the usable part of the image."""
    rows = image.y[(~image.mask).any(axis=1)]
    centers = [float(np.mean(source.trace_position(image.x))) for source in sources]
    return outer(c - rows[0] for c in centers), outer(rows[-1] - c for c in centers)


def _every_nth_column(image):
    step = max(1, image.shape[1] // COARSE_COLUMNS)
    return image.cutout(columns=slice(None, None, step)) if step > 1 else image
