"""Bad pixels filled from the adaptive trace model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import QTable

from ...io.oversampled import REPLACEMENT, like_source, save_like_source
from ...io.provenance import note_of
from .oversample import TraceOversampling
from .result import OversamplingResult

__all__ = ["PixelReplacement", "ReplacementResult"]


class PixelReplacement(TraceOversampling):
    """Fill the bad pixels of slices and slits whose trace can be modelled.

    A missing pixel, or a hit that nothing has flagged, becomes the trace model in that pixel plus
    the interpolated residual of its neighbours; all others stay as they are.

    Parameters
    ----------
    model, fitter, fit_threshold, residual, regions, spatial, n_jobs
        As for `TraceOversampling`.

    Examples
    --------
    >>> import numpy as np
    >>> import specmodels as sm
    >>> slit, truth = sm.datasets.make_undersampled_slit()
    >>> result = sm.PixelReplacement()(slit)
    >>> bool(np.isfinite(result.data).all())
    True
    """

    product = "filled"
    step = REPLACEMENT

    def __init__(
        self, model=None, fitter=None, *, fit_threshold=10.0, residual=None, regions=None,
        spatial=None, n_jobs=None,
    ):  # fmt: skip
        super().__init__(
            model, fitter, factor=1, fit_threshold=fit_threshold, slope_limit=0, residual=residual,
            regions=regions, spatial=spatial, n_jobs=n_jobs,
        )  # fmt: skip

    def evaluate(self, fit, exposure):
        """Make the result from the fits and a `~specmodels.io.slices.SlicedImage`."""
        return ReplacementResult(super().evaluate(fit, exposure))


@dataclass(frozen=True, eq=False, repr=False)
class ReplacementResult:
    """An image without holes where a trace model knows what is missing.

    Attributes
    ----------
    trace_result : `~specmodels.evaluators.OversamplingResult`
        The fits of all slices, and the model in each pixel.
    """

    trace_result: OversamplingResult

    def __getstate__(self):
        """State to pickle: what was cached is made again."""
        return {"trace_result": self.trace_result}

    def __repr__(self):
        return (
            f"<ReplacementResult: {int(self.replaced.sum())} pixels replaced in "
            f"{len(self.trace_result.fits)} slices, {int(self.missing.sum())} missing>"
        )

    @property
    def sliced(self):
        """The image and its slices."""
        return self.trace_result.sliced

    @property
    def fits(self):
        """Fits by slice."""
        return self.trace_result.fits

    @property
    def source_exposure(self):
        """The exposure that the image belongs to."""
        return self.sliced.exposure

    @property
    def spectra(self):
        """Light of the modelled source of each slice."""
        return self.trace_result.spectra

    def tables(self):
        """Spectra as tables, by name of the slice."""
        return self.trace_result.tables()

    @property
    def replaced(self):
        """Pixels whose value is an estimate."""
        return self.trace_result.estimated

    @cached_property
    def missing(self):
        """Pixels of slices that have no value."""
        return (self.sliced.regions > 0) & ~np.isfinite(self.data)

    @cached_property
    def data(self):
        """The image; NaN where bad pixels could not be replaced."""
        image = self.sliced.image
        data = np.where(image.mask, np.nan, image.data)
        return np.where(self.replaced, self.trace_result.data, data).astype(image.data.dtype)

    @cached_property
    def variance(self):
        """Variance of each pixel, that of estimates from the model; None where none is known."""
        image = self.sliced.image
        if image.variance is None:
            return None
        own = np.where(image.mask, np.nan, image.variance)
        return np.where(self.replaced, self.trace_result.variance, own)

    @property
    def image(self):
        """The `~specmodels.SpectralImage` without its holes.

        Its ``meta`` has the maps ``regions``, ``estimated`` and ``trace_model``.
        """
        image = self.sliced.image
        components = {
            key: np.where(self.replaced, self.trace_result.components[key], part)
            for key, part in image.components.items()
        }
        maps = {"regions": self.sliced.regions, "estimated": self.replaced,
                "trace_model": self.trace_result.trace}  # fmt: skip
        return image.replace(
            data=self.data, variance=self.variance, components=components,
            mask=~np.isfinite(self.data), spatial=self.sliced.spatial, meta={**image.meta, **maps},
            notes=(*image.notes, note_of(REPLACEMENT)),
        )  # fmt: skip

    def report(self):
        """One row for each slice: pixels replaced and left, with the reason."""
        report = self.trace_result.report()
        kept = ["slice", "status", "hits", "filled", "missing", "reduced_chi2", "reason"]
        return QTable(report[kept])

    def to_source(self):
        """The exposure in the kind that came in, bad pixels replaced and flagged as estimates."""
        return like_source({self.sliced.image.name: self}, self.sliced.exposure)

    def save(self, path):
        """Write `to_source` to a FITS or ASDF file; `specmodels.write` calls this."""
        save_like_source({self.sliced.image.name: self}, self.sliced.exposure, path)

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw the trace model; see `OversamplingResult.plot`."""
        return self.trace_result.plot(figure, panel=panel, ax=ax)
