"""The adaptive trace model: a spatial profile for each slice, and images on finer rows."""

import warnings

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from ...fitters import WindowedFitter
from ...fitters.windowed.common_spectrum import with_common_spectrum
from ...io.oversampled import TRACE_MODEL
from ...io.slices import SlicedImage
from ...models.bspline_trace import BSplineTrace
from ...numerics.cores import in_order
from ...numerics.oversample import FineRows
from ..base import ImageEvaluator, check_number
from .fine_slice import FineSlice
from .residuals import NoResidual, ResidualWeight, SignificantResidual
from .result import OversamplingResult
from .result_set import OversamplingResultSet
from .trace_noise import noise_from_scatter, with_smooth_variance

__all__ = ["TraceOversampling", "signal_to_noise"]

# More would fill memories with pixels that a cubic spline tells no more about.
MOST_FACTOR = 1000


class TraceOversampling(ImageEvaluator):
    """Model the trace of each slice or slit, and oversample the light along it.

    Near compact sources an oversampled pixel is the model, averaged over that pixel, plus the
    interpolated residual; elsewhere it is interpolated linearly. Missing pixels, and hits that
    nothing has flagged, are filled from the model.

    Parameters
    ----------
    model : `~specmodels.models.BSplineTrace`, optional
        Knots and nodes to be used for every slice. Default: chosen by the data.
    fitter : `~specmodels.fitters.WindowedFitter`, optional
    factor : float
        Number of new rows for each row; 1 evaluates the trace model only. Where it makes no whole
        number of rows, the nearest factor that does is taken: ``result.factor``.
    fit_threshold : float
        Slices are modelled if the peak of their mean profile has this signal-to-noise ratio, and
        the light of the fitted profile exceeds that of noise by as many standard deviations.
    slope_limit : float
        Pixels are near a compact source where the profile of unit area changes by more than this
        from one native pixel to the next. Zero takes all for compact.
    pad : int
        Native pixels round such a place that belong to the source.
    residual : `~specmodels.evaluators.oversampling.residuals.ResidualWeight`, optional
        How much of the residual is added to the model. Default: `SignificantResidual`.
    psf_optimal : bool
        The model alone, in every slice and pixel: for single compact sources.
    common_spectrum : bool, optional
        Let the slices of a source share its spectrum; see
        `~specmodels.fitters.windowed.common_spectrum.with_common_spectrum`. Default: with
        ``psf_optimal``.
    native_response : bool
        Average the model over native pixels, centred on the fine ones, instead of over the fine
        pixels: what interpolation of well-sampled data would give. The light in fine pixels is
        not conserved then.
    flux_per_pixel : bool, optional
        Whether data are light per pixel, which fine pixels share, and not surface brightness.
        Default: what the unit says; without unit they are taken for surface brightness.
    inflate_errors : bool
        Multiply errors by the empirical factor ``0.23 factor + 0.77`` of the JWST pipeline, meant
        for cubes whose pixels are taken for independent. Default: errors are those of the pixels.
    regions, spatial : array_like, optional
        Map of slices (numbers from one; zero outside), and position along them, dispersion along
        the last axis. Default: from the WCS; else the image is one slit and rows are positions.
    n_jobs : int, optional
        Cores for the slices and slits, -1 for all; see `Evaluator`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of another kind or out of range.

    Examples
    --------
    >>> import specmodels as sm
    >>> slit, truth = sm.datasets.make_undersampled_slit()
    >>> result = sm.TraceOversampling(factor=2)(slit)
    >>> result.data.shape[0] == 2 * slit.shape[0]
    True
    """

    default_fitter = WindowedFitter()

    product = "oversampled"
    step = TRACE_MODEL

    def __init__(
        self, model=None, fitter=None, *, factor=2, fit_threshold=10.0, slope_limit=0.03, pad=3,
        residual=None, psf_optimal=False, common_spectrum=None, native_response=False,
        flux_per_pixel=None, inflate_errors=False, regions=None, spatial=None, n_jobs=None,
    ):  # fmt: skip
        super().__init__(model, fitter, n_jobs=n_jobs)
        if model is not None and not isinstance(model, BSplineTrace):
            raise TypeError(f"model: expected a BSplineTrace, got {type(model).__name__}")
        if not isinstance(self.fitter, WindowedFitter):
            raise TypeError(f"fitter: expected a WindowedFitter, got {self.fitter!r}")
        if residual is None:
            residual = NoResidual() if psf_optimal else SignificantResidual()
        if not isinstance(residual, ResidualWeight):
            raise TypeError(f"residual: expected a ResidualWeight, got {residual!r}")
        check_number("factor", factor, least=1, most=MOST_FACTOR)
        for name, value in (("fit_threshold", fit_threshold), ("slope_limit", slope_limit),
                            ("pad", pad)):  # fmt: skip
            check_number(name, value, least=0)
        self.factor, self.fit_threshold = float(factor), fit_threshold
        self.slope_limit, self.pad, self.residual = slope_limit, pad, residual
        self.psf_optimal, self.native_response = bool(psf_optimal), bool(native_response)
        self.common_spectrum = self.psf_optimal if common_spectrum is None else common_spectrum
        self.flux_per_pixel, self.regions, self.spatial = flux_per_pixel, regions, spatial
        self.inflate_errors = bool(inflate_errors)

    def collect(self, results, failures, exposure):
        """Set of the results of several images, written back in the kind that came in."""
        return OversamplingResultSet(results, failures, source_exposure=exposure)

    def _one(self, image, exposure):
        if image.variance is None:
            image = _with_noise(image)
        sliced = SlicedImage.of(image, exposure, regions=self.regions, spatial=self.spatial)
        return self.evaluate(self.fit(sliced.images), sliced)

    def fit(self, exposure):
        """Fit every slice that shows a source.

        Parameters
        ----------
        exposure : mapping of str to `~specmodels.SpectralImage`
            Slices by name.

        Returns
        -------
        fits : dict of str to `~specmodels.fitters.WindowedFit`
        reasons : dict of str to str
            Why other slices have none.
        """
        fits, reasons = {}, {}
        each = in_order(self._fit_or_reason, exposure.values(), self.n_jobs)
        for name, (found, reason) in zip(exposure, each, strict=True):
            if reason:
                reasons[name] = reason
            else:
                fits[name] = found
        if self.common_spectrum:
            fits = with_common_spectrum(fits, self.fit_threshold)
        return fits, reasons

    def _fit_or_reason(self, image):
        """The fit of a slice and no reason, or no fit and why there is none."""
        signal, least = signal_to_noise(image), self.fit_threshold
        if not self.psf_optimal and not signal >= least:
            return None, f"signal-to-noise ratio {signal:.3g} below {least:g}"
        try:
            found = self._fitted(image)
        except ValueError as error:
            return None, str(error)
        if not self.psf_optimal and not found.significance >= least:
            return None, f"significance {found.significance:.3g} below {least:g}"
        return found, ""

    def _fitted(self, image):
        """The fit of a slice, with smooth variances where the given ones follow the noise."""
        found = self.fitter(self.model, image)
        smooth = with_smooth_variance(found)
        return found if smooth is None else self.fitter(self.model, smooth)

    def evaluate(self, fit, exposure):
        """Make the result from the fits and a `~specmodels.io.slices.SlicedImage`."""
        fits, reasons = fit
        # A whole number of fine rows covers the image exactly: no light is lost, none counts twice.
        n_rows = exposure.image.shape[0]
        rows = FineRows.of(n_rows, round(n_rows * self.factor) / n_rows)
        parts = {
            name: FineSlice(fits[name].image if name in fits else image, exposure.inside(name),
                            fits.get(name), rows.within(exposure.boxes[name][0]), self)
            for name, image in exposure.images.items()
        }  # fmt: skip
        return OversamplingResult(exposure, rows, self, parts, reasons)


def _with_noise(image):
    """The image with variances from its scatter."""
    variance = noise_from_scatter(image)
    warnings.warn(
        f"{image.name}: no variance is known; a constant and a part in proportion to the light "
        f"are taken from the scatter along the dispersion, in the median {np.median(variance):.3g}",
        AstropyUserWarning,
        stacklevel=4,
    )
    return image.replace(variance=variance)


def signal_to_noise(image):
    """Signal-to-noise ratio of the highest or lowest point of a slice's mean profile.

    It counts from a line through the medians of both halves, so that diffuse light is no source.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        With positions along the slice in ``spatial``, or straight along rows.

    Returns
    -------
    float
        Zero where there are too few pixels.
    """
    use = image.weights > 0
    positions = np.broadcast_to(image.y[:, None], image.shape)
    if image.spatial is not None:
        use = use & np.isfinite(image.spatial)
        positions = image.spatial
    step = np.abs(np.diff(positions, axis=0))
    step = step[step > 0]
    if not step.size or not use.any():
        return 0.0
    place = positions[use] / np.median(step)
    bins = np.rint(place - place.min()).astype(int)
    weights = image.weights[use]
    total = np.bincount(bins, weights)
    light = np.bincount(bins, weights * image.filled[use])
    known = np.flatnonzero(total > 0.01 * np.median(total[total > 0]))
    if known.size < 4:
        return 0.0
    profile = light[known] / total[known]
    halves = np.array_split(np.arange(known.size), 2)
    floors = [np.median(profile[half]) for half in halves]
    middles = [known[half].mean() for half in halves]
    slope = (floors[1] - floors[0]) / (middles[1] - middles[0])
    above = profile - floors[0] - slope * (known - middles[0])
    return float(np.max(np.abs(above) * np.sqrt(total[known])))
