"""What the adaptive trace model returns: the trace, and the image on finer rows."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ...io.oversampled import TRACE_MODEL, like_source, save_like_source
from ...io.provenance import note_of
from ...io.units import has_solid_angle
from ...numerics.oversample import FineRows
from ...spectral_image import SpectralImage
from .fine_aperture import aperture_spectrum
from .fine_covariance import FineCovariance, checked_columns
from .fine_slice import FineSlice
from .fine_variance import fill_variance
from .report import report_row
from .trace_spectrum import spectrum_table, trace_spectrum

__all__ = ["OversamplingResult"]


@dataclass(frozen=True, eq=False, repr=False)
class OversamplingResult:
    """Trace model of an exposure, and its oversampled image.

    All images have the dispersion along the last axis.

    Attributes
    ----------
    sliced : `~specmodels.io.slices.SlicedImage`
        The image, its slices, and the exposure that it came from; never changed.
    rows : `~specmodels.numerics.oversample.FineRows`
        The fine rows of the whole image. Where the factor asked for makes no whole number of
        them, theirs is the nearest one that does, so that they cover the image exactly.
    settings : `~specmodels.evaluators.TraceOversampling`
    parts : dict of str to `~specmodels.evaluators.oversampling.fine_slice.FineSlice`
        Slices by name.
    reasons : dict of str to str
        Why slices have no model.
    """

    sliced: object
    rows: FineRows
    settings: object
    parts: dict
    reasons: dict

    def __getstate__(self):
        """State to pickle: what was cached is made again (a Spectrum cannot be pickled)."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    def __repr__(self):
        return (
            f"<OversamplingResult: {len(self.fits)} of {len(self.parts)} slices modelled, "
            f"{self.sliced.image.shape} to {self.shape} pixels>"
        )

    @property
    def factor(self):
        """Number of fine rows for each row: what was asked for, or next to it, see `rows`."""
        return self.rows.factor

    @property
    def source_exposure(self):
        """The exposure that the image belongs to."""
        return self.sliced.exposure

    @property
    def shape(self):
        """Shape of the oversampled image."""
        return (len(self.rows.native), self.sliced.image.shape[1])

    @property
    def fits(self):
        """Fits by slice, `~specmodels.fitters.WindowedFit`."""
        return {name: part.fit for name, part in self.parts.items() if part.fit is not None}

    @property
    def models(self):
        """Profiles by slice, `~specmodels.models.BSplineTrace`."""
        return {name: fit.model for name, fit in self.fits.items()}

    @cached_property
    def share(self):
        """Part of the light of a pixel that a fine pixel holds: one for surface brightness."""
        per_pixel = self.settings.flux_per_pixel
        if per_pixel is None:
            unit = self.sliced.image.unit
            per_pixel = unit is not None and not has_solid_angle(unit)
        return 1 / self.factor if per_pixel else 1.0

    @cached_property
    def trace(self):
        """Trace model of the native pixels near compact sources, NaN elsewhere."""
        out = np.full(self.sliced.image.shape, np.nan, dtype=self.sliced.image.data.dtype)
        for name, part in self._passing():
            if part.fit is not None:
                self._paste(out, name, part.native_model, part.compact)
        return out

    @cached_property
    def oversampled_trace(self):
        """Trace model of the fine pixels near compact sources, NaN elsewhere."""
        return self.share * self._fine(
            lambda part: part.fine_model, lambda part: part.fine_compact, modelled=True
        )

    @cached_property
    def data(self):
        """The oversampled image, NaN outside of slices and where nothing is known."""
        return self._scaled(self._filled(FineSlice.fill_data))

    @cached_property
    def variance(self):
        """Variance of the oversampled image, that of the profile included."""
        return self._inflated(self._filled(fill_variance))

    @cached_property
    def components(self):
        """Parts of the variance, by name as in the image."""
        names = self.sliced.image.components

        def part_of(name):
            def fill(part, *where):
                fill_variance(part, *where, part.image.components[name])

            return self._filled(fill)

        return {name: self._inflated(part_of(name)) for name in names}

    @cached_property
    def error(self):
        """Standard deviation of each oversampled pixel."""
        return np.sqrt(self.variance)

    @property
    def inflation(self):
        """The empirical factor ``0.23 N + 0.77``.

        Errors multiplied by it (``inflate_errors``) are those that resampled cubes would show if
        their pixels were independent; the true covariance is given by `covariance`.
        """
        return 0.23 * self.factor + 0.77

    @cached_property
    def estimated(self):
        """Oversampled pixels whose native pixel has no value of its own."""
        return self._fine(lambda part: part.rows.own(part.filled), fill=False)

    @cached_property
    def regions(self):
        """Number of the slice of each oversampled pixel."""
        return self.rows.own(self.sliced.regions)

    @cached_property
    def spatial(self):
        """Position of the oversampled pixels along their slices, in the image's unit."""

        def positions(part):
            own = part.image.spatial
            return part.fine_positions if own is None else part.rows.coordinates(own)

        return self._fine(positions, dtype=float)

    @cached_property
    def wavelength(self):
        """Wavelength of the oversampled pixels, or of the columns; None where unknown."""
        values = self.sliced.image.wavelength
        if values is None or values.ndim == 1:
            return values

        def coordinates(part):
            return part.rows.coordinates(np.where(part.inside, part.image.wavelength, np.nan))

        return self._fine(coordinates, dtype=values.dtype)

    @cached_property
    def image(self):
        """The oversampled `~specmodels.SpectralImage`.

        Its ``meta`` has the maps ``regions``, ``estimated`` and ``trace_model``.
        """
        image = self.sliced.image
        return SpectralImage(
            data=self.data, variance=None if image.variance is None else self.variance,
            components=self.components, wavelength=self.wavelength, spatial=self.spatial,
            unit=image.unit, wavelength_unit=image.wavelength_unit, name=image.name,
            meta=self._meta, notes=(*image.notes, note_of(TRACE_MODEL)),
        )  # fmt: skip

    @property
    def _meta(self):
        """Metadata of the image, those which finer pixels change made theirs, with its maps."""
        meta = dict(self.sliced.image.meta)
        if meta.get("pixel_area") is not None:
            meta["pixel_area"] = meta["pixel_area"] / self.factor
        maps = {"regions": self.regions, "estimated": self.estimated,
                "trace_model": self.oversampled_trace}  # fmt: skip
        return meta | maps

    def covariance(self, name, columns=None):
        """Covariance of the oversampled pixels of a slice.

        Parameters
        ----------
        name : str
            Name of the slice.
        columns : sequence of int, optional
            Columns within the slice, as in ``parts[name].image``. Default: all.

        Returns
        -------
        `~astropy.nddata.Covariance`
            Of the fine rows times columns of the slice's box, in this order. Columns count as
            independent: of the error of the profile, what they share is left out.

        Raises
        ------
        KeyError
            If there is no such slice.
        ValueError
            If there is no such column.
        """
        from astropy.nddata import Covariance

        part = self._part(name)
        columns = checked_columns(columns, part.image.shape[1])
        native = np.ones(part.image.shape) if part.image.variance is None else part.image.variance
        native = np.where(part.available, native, 0.0)[:, columns]
        return Covariance(self.share**2 * FineCovariance(part).covariance(columns, native))

    def aperture_spectrum(self, name, size, center=None, *, subtract_ground=False):
        """Light between two positions along a slice, in each column.

        Sums over pixels, oversampled or not, ripple as a source moves across their edges. Here the
        model is integrated from edge to edge, and the residual of the pixels comes to it.

        Parameters
        ----------
        name : str
            Name of the slice.
        size : float or `~astropy.units.Quantity`
            Length of the aperture, in the unit of the positions. A Quantity can be given where
            that is known: from a WCS, or from ``spatial`` with a unit.
        center : float or `~astropy.units.Quantity`, optional
            Its middle. Default: the brightest source of the slice.
        subtract_ground : bool
            Leave out the level and slope under the profile.

        Returns
        -------
        `~specutils.Spectrum`
            Sum over native pixels, with its standard deviation, in columns in which the aperture is
            inside of the slice.

        Raises
        ------
        KeyError
            If there is no such slice.
        TypeError
            If a place is no number.
        ValueError
            If the slice has no model, the size is not positive, no column holds the aperture, or
            a unit is not that of the positions.
        """
        positions = self.sliced.spatial_unit if self.sliced.spatial is not None else u.pix
        return aperture_spectrum(
            replace(self._part(name)), size, center, subtract_ground=subtract_ground,
            unit=self.sliced.image.unit, position_unit=positions,
        )  # fmt: skip

    @cached_property
    def spectra(self):
        """Light of the modelled source of each slice, `~specutils.Spectrum` by name."""
        return {name: trace_spectrum(fit) for name, fit in self.fits.items()}

    def tables(self):
        """Spectra as tables by name of the slice: ``wavelength``, ``flux`` and ``flux_error``."""
        image = self.sliced.image.name
        return {name: spectrum_table(spectrum, source=name, image=image)
                for name, spectrum in self.spectra.items()}  # fmt: skip

    def report(self):
        """One row for each slice: what was modelled, filled, rejected, and why not.

        Returns
        -------
        `~astropy.table.QTable`
        """
        return QTable(rows=[report_row(*part, self.reasons) for part in self._passing()])

    def to_source(self):
        """The oversampled exposure in the kind that came in, with its WCS where it has one."""
        return like_source({self.sliced.image.name: self}, self.sliced.exposure)

    def save(self, path):
        """Write `to_source` to a FITS or ASDF file; `specmodels.write` calls this."""
        save_like_source({self.sliced.image.name: self}, self.sliced.exposure, path)

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw data, trace and oversampled image of the brightest slice, and its profile."""
        from .plot import plot_oversampling

        return plot_oversampling(self, figure, panel=panel, ax=ax)

    def _part(self, name):
        if name not in self.parts:
            raise KeyError(f"no slice {name!r}; there are {list(self.parts)}")
        return self.parts[name]

    def _passing(self):
        """Slices by name, as copies: what is found on the way is not kept for all of them."""
        return ((name, replace(part)) for name, part in self.parts.items())

    def _inflated(self, variance):
        factor = self.inflation**2 if self.settings.inflate_errors else 1
        return self._scaled(variance, 2) * variance.dtype.type(factor)

    def _scaled(self, values, power=1):
        return values if self.share == 1 else values * values.dtype.type(self.share**power)

    def _filled(self, function):
        """Image of fine pixels that a function of each slice writes into."""
        out = np.full(self.shape, np.nan, dtype=self.sliced.image.data.dtype)
        for name, part in self._passing():
            rows, columns = self.sliced.boxes[name]
            function(part, out, (self.rows.slice_of(rows).start, columns.start))
        return out

    def _fine(self, function, where=None, *, fill=np.nan, dtype=None, modelled=False):
        """Image of fine pixels put together from the slices."""
        if dtype is None:
            dtype = bool if fill is False else self.sliced.image.data.dtype
        out = np.full(self.shape, fill, dtype=dtype)
        for name, part in self._passing():
            if part.fit is None and modelled:
                continue
            use = part.rows.own(part.inside)
            if where is not None:
                use = use & where(part)
            self._paste(out, name, function(part), use, fine=True)
        return out

    def _paste(self, out, name, values, use, *, fine=False):
        rows, columns = self.sliced.boxes[name]
        rows = self.rows.slice_of(rows) if fine else rows
        np.copyto(out[rows, columns], values, where=use, casting="same_kind")
