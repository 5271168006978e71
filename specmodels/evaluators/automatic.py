"""A model of a slit made from the data alone, or a user's model with the values it leaves open.

What the user set is never changed: a parameter counts as left open where it still has the value
that its class gives it and is not fixed.
"""

from dataclasses import dataclass

import numpy as np

from ..fitters import LinearFitter, SigmaClipFitter, VarProFitter
from ..models import (
    BSplineProfile,
    ColumnPolynomial,
    GaussianProfile,
    LinearForm,
    MoffatProfile,
    PolynomialTrace,
    Source,
    TiedTo,
)
from .first_guess import find_sources

__all__ = ["SlitModelBuilder"]

# Total signal-to-noise ratio from which a profile is learnt from the data, and a shape from it.
SNR_EMPIRICAL, SNR_MOFFAT, SNR_WIDTH = 100.0, 40.0, 20.0
COARSE_COLUMNS = 256
LEAST_ROWS_FOR_SKY = 5


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
    trace_degree, width_degree : int, optional
        Degrees of the polynomials of the trace and of the width; default: chosen by the data.
    """

    n_sources: int | None = None
    profile: object = None
    sky: object = None
    trace_degree: int | None = None
    width_degree: int | None = None
    knots: object = None

    def build(self, image):
        """Model of `image`, its values near the solution.

        Parameters
        ----------
        image : `~specmodels.exposure.SpectralImage`

        Returns
        -------
        `~astropy.modeling.Model`
            A compound of sources (``source``, or ``source 1``, …) and ``sky``.
        """
        guess = find_sources(image, n_sources=self.n_sources, trace_degree=self.trace_degree)
        snr = float(np.abs(guess.snr).max())
        model = self._parametric(image, guess, snr)
        coarse = _every_nth_column(image)
        fit = SigmaClipFitter(VarProFitter())(model, coarse)
        model = fit.template if _is_sensible(fit, guess, coarse) else with_held_shape(model)
        model = self._with_sky(model, fit, coarse)
        free = LinearForm(model).nonlinear
        if self.profile is None and free and snr > SNR_EMPIRICAL and image.shape[0] > 8:
            return self._empirical(model)
        return model

    def _parametric(self, image, guess, snr):
        """Sources of a parametric profile at the places found, with a constant sky."""
        limits = (image.x[0], image.x[-1] if len(image.x) > 1 else image.x[0] + 1)
        degree = guess.trace_degree if snr > SNR_WIDTH else min(guess.trace_degree, 1)
        profile = self._parametric_profile(snr)
        width = width_guess(profile, guess.fwhm)
        trace = project(PolynomialTrace(degree, limits=limits), image.x, guess.shape)
        sources = []
        for number, center in enumerate(guess.centers):
            name = "source" if len(guess.centers) == 1 else f"source {number + 1}"
            own = trace.copy()
            own.c0 = trace.c0.value + center
            width_model = PolynomialTrace(self._width_degree(snr), limits=limits, c0=width)
            if profile.width_parameter is None or profile.fixed[profile.width_parameter]:
                width_model = None
            sources.append(Source(profile, own, width=width_model, name=name))
        model = sources[0]
        for source in sources[1:]:
            model = model + source
        if self.sky is not None:
            model = model + self.sky
        elif image.shape[0] >= LEAST_ROWS_FOR_SKY:
            model = model + ColumnPolynomial(0, limits=_row_limits(image), name="sky")
        return with_shared_shape(model)

    def _parametric_profile(self, snr):
        if self.profile is not None:
            return self.profile
        return MoffatProfile(alpha=3.0) if snr > SNR_MOFFAT else GaussianProfile()

    def _width_degree(self, snr):
        if self.width_degree is not None:
            return self.width_degree
        return 0 if snr < SNR_WIDTH else 1 if snr < SNR_EMPIRICAL else 2

    def _with_sky(self, model, fit, coarse):
        """Model with a sloping sky where that lowers chi-square by more than it costs."""
        if self.sky is not None or coarse.shape[0] < 3 * LEAST_ROWS_FOR_SKY:
            return model
        sloping = ColumnPolynomial(1, limits=_row_limits(coarse), name="sky")
        trial = replace_leaf(model, "sky", sloping)
        cleaned = coarse.replace(mask=coarse.mask | fit.rejected)
        flat, slope = (LinearFitter()(m, cleaned) for m in (model, trial))
        gain = np.sum(flat.chi2 - slope.chi2) / max(slope.reduced_chi2, 1.0)
        return trial if gain > 2 * coarse.shape[1] else model

    def _empirical(self, model):
        """Model with B-spline profiles that start from the parametric ones."""
        first = next(leaf for leaf, _ in LinearForm(model).leaves() if isinstance(leaf, Source))
        parametric = first.part("profile")
        ends = first.part("width")(np.array(first.width.limits))
        setattr(parametric, parametric.width_parameter, float(np.mean(ends)))
        profile = BSplineProfile.like(parametric, self.knots)
        unit = float(profile.scale.value / getattr(parametric, parametric.width_parameter).value)
        for leaf, _ in LinearForm(model).leaves():
            if isinstance(leaf, Source):
                width = leaf.part("width")
                for n in width.param_names:
                    setattr(width, n, unit * getattr(width, n).value)
                model = replace_leaf(
                    model, leaf.name, leaf.with_parts(profile=profile, width=width)
                )
        model = with_shared_shape(model)
        return with_fixed_frame(model)


def width_guess(profile, fwhm):
    """Value of the width parameter that gives the profile this full width at half maximum."""
    if profile.width_parameter is None:
        return None
    shape = {n: getattr(profile, n).value for n in profile.param_names if n != "center"}
    ordered = [{**shape, profile.width_parameter: 1.0}[n] for n in shape]
    unit = float(np.squeeze(profile.fwhm(*ordered)))
    pixel = 0.9 * profile.pixel_size
    return max(np.sqrt(max(fwhm**2 - pixel**2, 0.25)), 0.5) / unit


def project(model, x, values):
    """Copy of a one-dimensional model that is nearest to `values` in the least-squares sense."""
    form = LinearForm(model)
    inputs = (np.asarray(x, dtype=float),)
    offset, columns = form.columns(form.values, inputs)
    basis = np.stack([np.broadcast_to(columns[k], np.shape(x)) for k in form.linear], axis=-1)
    solution = np.linalg.lstsq(basis, values - offset, rcond=None)[0]
    new = model.copy()
    for k, value in zip(form.linear, solution, strict=True):
        setattr(new, form.names[k], value)
    return new


def leaves_of(model):
    """Elementary models of a compound, in order."""
    if hasattr(model, "op"):
        return [*leaves_of(model.left), *leaves_of(model.right)]
    return [model]


def replace_leaf(model, name, new):
    """Compound with the elementary model called `name` replaced."""
    if hasattr(model, "op"):
        left, right = replace_leaf(model.left, name, new), replace_leaf(model.right, name, new)
        return type(model)(model.op, left, right, name=model.name)
    return new if model.name == name else model


def with_shared_shape(model):
    """Tie shape, width and distortion of all sources to those of the first: one instrument."""
    leaves = leaves_of(model)
    numbers = [j for j, leaf in enumerate(leaves) if isinstance(leaf, Source)]
    for j in numbers[1:]:
        for n in leaves[j].param_names:
            if n not in ("flux", "trace_c0"):
                leaves[j].tied[n] = TiedTo(f"{n}_{numbers[0]}")
                getattr(leaves[j], n).tied = TiedTo(f"{n}_{numbers[0]}")
    return model


def with_fixed_frame(model):
    """Fix mean position and width of the first source, which a free profile has in itself."""
    first = next(leaf for leaf in leaves_of(model) if isinstance(leaf, Source))
    for n in ("trace_c0", "width_c0"):
        if n in first.param_names:
            getattr(first, n).fixed = True
    return model


def with_held_shape(model):
    """Fix traces, widths and shapes of all sources at their values; their fluxes stay free."""
    for source in leaves_of(model):
        if isinstance(source, Source):
            for n in source.param_names:
                if n != "flux" and not source.tied[n]:
                    getattr(source, n).fixed = True
    return model


def _is_sensible(fit, guess, image):
    """Whether a coarse fit converged near the first guess, with widths that a profile can have."""
    if not fit.success:
        return False
    reach = max(guess.fwhm, 2.0)
    for source, center in zip(leaves_of(fit.template), guess.centers, strict=False):
        trace = source.trace_position(image.x)
        fwhm = source.fwhm(image.x)
        if abs(np.mean(trace) - center) > reach or np.ptp(trace) > np.ptp(guess.shape) + 2 * reach:
            return False
        if fwhm.min() < 0.2 or fwhm.max() > max(4 * guess.fwhm, 0.7 * image.shape[0]):
            return False
    return True


def _every_nth_column(image):
    step = max(1, image.shape[1] // COARSE_COLUMNS)
    return image.cutout(columns=slice(None, None, step)) if step > 1 else image


def _row_limits(image):
    return (image.y[0], image.y[-1])


def with_initial_values(model, image):
    """Copy of a user's model in which what was left open is guessed from the image.

    A trace counts as open where all its coefficients are zero and free, a width likewise, or where
    it has its default value.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A model with any number of sources.
    image : `~specmodels.exposure.SpectralImage`

    Returns
    -------
    `~astropy.modeling.Model`
    """
    model = model.copy()
    sources = [leaf for leaf in leaves_of(model) if isinstance(leaf, Source)]
    open_traces = [source for source in sources if _is_open(source, "trace_")]
    open_widths = [source for source in sources if _has_open_width(source)]
    if not open_traces and not open_widths:
        return model
    guess = find_sources(image, n_sources=max(len(sources), 1))
    centers = np.resize(guess.centers, len(sources))
    for source, center in zip(sources, centers, strict=True):
        if source in open_traces:
            found = project(source.trace, image.x, guess.shape + center)
            for n in found.param_names:
                setattr(source, f"trace_{n}", getattr(found, n).value)
        if source in open_widths:
            _set_width(source, guess, image)
    return model


def _is_open(source, prefix):
    names = [n for n in source.param_names if n.startswith(prefix)]
    return bool(names) and all(
        np.all(getattr(source, n).value == 0) and not source.fixed[n] and not source.tied[n]
        for n in names
    )


def _has_open_width(source):
    if source.width is not None:
        return _is_open(source, "width_")
    n = source.profile.width_parameter
    return n is not None and not source.fixed[n] and not source.tied[n] and (
        getattr(source, n).value == getattr(type(source.profile), n, getattr(source, n)).default
    )  # fmt: skip


def _set_width(source, guess, image):
    width = width_guess(source.profile, guess.fwhm)
    if source.width is None:
        setattr(source, source.profile.width_parameter, width)
        return
    found = project(source.width, image.x, np.full(image.shape[1], width))
    for n in found.param_names:
        setattr(source, f"width_{n}", getattr(found, n).value)
