"""What master background subtraction returns: the sky, its image in every slit, what is left."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import QTable

from ...io.provenance import note_of
from ...io.slit_models import BACKGROUND, with_new_slits
from ..tables import readable
from .rectified import rectified_sky
from .residuals import nod_comparison, residual_table

__all__ = ["MasterBackgroundResult", "SlitSky", "wavelengths_in"]

UNKNOWN = "the sky is not known at these wavelengths"


@dataclass(frozen=True, eq=False)
class SlitSky:
    """The sky in one slit.

    Attributes
    ----------
    background, variance : ndarray, shape of the image
        The sky in each pixel and the variance of that, NaN where it is not known.
    throughput : ndarray, shape of the image
        What fraction of the sky each pixel shows, for a level of one, as far as it was given.
    level, error : float
        Grey factor of the slit and its standard error.
    seen, seen_error : ndarray, shape of the image
        What fraction of that was measured, at dark ends of the slit (else one), and the standard
        error of that and of the throughput, relative to it: one where nothing is known.
    factor : float
        From the slit's own unit to that of the sky.
    """

    background: np.ndarray
    variance: np.ndarray
    throughput: np.ndarray
    level: float
    error: float
    seen: np.ndarray
    seen_error: np.ndarray
    factor: float = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class MasterBackgroundResult:
    """The sky of an exposure.

    Attributes
    ----------
    exposure : `~specmodels.Exposure`
        What was read; never changed.
    fit : `~specmodels.fitters.SkyFit`
        The fit of the background slits.
    skies : mapping of str to `SlitSky`
        The sky in every slit, in the unit of the sky.
    unit, wavelength_unit : `~astropy.units.Unit` or None
        Units of the sky and of its wavelengths.
    """

    exposure: object
    fit: object
    skies: dict
    unit: object = None
    wavelength_unit: object = None

    def __repr__(self):
        return f"<MasterBackgroundResult of {len(self.exposure)} slits: {self.fit!r}>"

    def __getstate__(self):
        """State to pickle: what was cached is made again (a Spectrum cannot be pickled)."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    @property
    def source_exposure(self):
        """What was read."""
        return self.exposure

    @property
    def left_out(self):
        """Background slits that were left out, with the reason."""
        return self.fit.left_out

    def background(self, name):
        """The sky in each pixel of a slit, in the slit's unit; NaN where it is not known."""
        sky = self._sky(name)
        return sky.background / sky.factor

    def background_variance(self, name):
        """Variance of the sky in each pixel of a slit, in the square of the slit's unit."""
        sky = self._sky(name)
        return sky.variance / sky.factor**2

    def _sky(self, name):
        if name not in self.skies:
            raise KeyError(f"no slit is called {name!r}; there are {list(self.skies)}")
        return self.skies[name]

    def wavelengths(self, name):
        """Wavelengths of the pixels of a slit in the unit of the sky's; NaN where it has none."""
        return wavelengths_in(self.wavelength_unit, self.exposure[name])

    @property
    def backgrounds(self):
        """The sky in each pixel of every slit, by name."""
        return {name: self.background(name) for name in self.exposure}

    @cached_property
    def subtracted(self):
        """The exposure without its sky.

        The variance of the sky is part of the variance, and its component ``background``. Pixels at
        whose wavelength the sky is not known are NaN and masked.
        """
        return self.exposure.map(self._subtracted)

    def _subtracted(self, image):
        background = self.background(image.name)
        extra = np.nan_to_num(self.background_variance(image.name))
        changes = {"data": image.data - background, "notes": (*image.notes, *self._notes(image))}
        if image.variance is not None:
            changes["variance"] = image.variance + extra
            changes["components"] = {**image.components, "background": extra}
        return image.replace(**changes)

    def _notes(self, image):
        lost = np.count_nonzero(~np.isfinite(self.background(image.name)) & ~image.mask)
        done = (note_of(BACKGROUND),)
        return (*done, f"{lost} pixels: {UNKNOWN}") if lost else done

    @cached_property
    def wavelength(self):
        """Wavelengths of the spectrum: one for each pixel along the dispersion."""
        low, high = self.fit.curve.limits
        names = self.fit.used or list(self.exposure)
        steps = [_steps_of(self.wavelengths(name)) for name in names]
        low_edge, step = max(steps, key=lambda one: len(one[0]))
        if not step.size:
            return np.array([low, high])
        grid = [low]
        while grid[-1] < high and len(grid) < 100_000:
            grid.append(grid[-1] + float(np.interp(grid[-1], low_edge, step)))
        return np.array(grid[:-1] if len(grid) > 2 else [low, high])

    @cached_property
    def spectrum(self):
        """The sky, a `~specutils.Spectrum` as the pixels of the slits see it.

        Its uncertainty is the diagonal of `covariance`.
        """
        from specutils import Spectrum  # here, because it takes a second to import

        value, variance = self.fit.curve(self.wavelength)
        unit = u.dimensionless_unscaled if self.unit is None else self.unit
        axis = self.wavelength_unit or u.pix
        mask = ~np.isfinite(value)
        return Spectrum(
            flux=value * unit, spectral_axis=self.wavelength * axis, mask=mask,
            uncertainty=StdDevUncertainty(np.sqrt(variance), unit=unit),
            meta={"specmodels": {"source": "sky", "slits": self.fit.used}},
        )  # fmt: skip

    @property
    def spectra(self):
        """The spectrum of the sky, by the name ``"sky"``."""
        return {"sky": self.spectrum}

    def tables(self):
        """The sky as a table, by the name ``"sky"``: wavelength, flux, flux_error, mask."""
        spectrum = self.spectrum
        table = QTable({"wavelength": u.Quantity(spectrum.spectral_axis), "flux": spectrum.flux,
                        "flux_error": spectrum.uncertainty.array * spectrum.flux.unit,
                        "mask": spectrum.mask})  # fmt: skip
        table.meta = {"source": "sky", "slits": ", ".join(self.fit.used)}
        return {"sky": table}

    @cached_property
    def covariance(self):
        """Covariance matrix of the spectrum, shape (n_wavelength, n_wavelength)."""
        return self.fit.curve.covariance(self.wavelength)

    def rectified(self, name, edges, rows=None):
        """The sky of a slit on a rectified grid, flux conserved.

        The mean over each bin of the fitted spectrum, times the level and the throughput of the
        slit: nothing is interpolated between pixels.

        Parameters
        ----------
        name : str
            The slit.
        edges : array_like or `~astropy.units.Quantity`, shape (n_bin + 1,)
            Increasing wavelengths between the bins, by default in the unit of the sky's.
        rows : array_like, shape (n_row,), optional
            Rows, which may be fractions; by default those of the slit. Beyond it the sky is NaN.

        Returns
        -------
        background, variance : ndarray, shape (n_row, n_bin)
            In the slit's unit; NaN where the sky is not known.

        Raises
        ------
        ValueError
            If the edges do not increase, or the slit has no wavelengths.
        """
        return rectified_sky(self, name, edges, rows)

    def normalised_residual(self, name):
        """Data minus sky over the error of the data, shape of the image; masked pixels NaN."""
        image = self.exposure[name]
        residual = (image.data - self.background(name)) * np.sqrt(image.weights)
        return np.where(image.mask, np.nan, residual)

    def sky_pixels(self, name):
        """Pixels of a background slit that took part in the fit, shape of the image."""
        use = np.zeros(self.exposure[name].shape, dtype=bool)
        if name in self.fit.used:
            use.ravel()[self.fit.indices[name]] = ~self.fit.rejected[name]
        return use

    @cached_property
    def residuals(self):
        """Distribution of the normalised residuals of the sky pixels of each slit, and of all.

        Returns
        -------
        `~astropy.table.QTable`
            ``slit``, ``n_pixels``, ``mean``, ``width`` (robust), ``gaussian_mean``,
            ``gaussian_width`` (fitted to the histogram), ``n_under``, ``n_over`` (pixels above and
            below three sigma: under- and over-subtracted), ``tail_excess`` (their number over that
            of a Gaussian).
        """
        return residual_table(self)

    def compare_nods(self, *nods):
        """Compare with nodded subtraction: pixel by pixel of the same slits in other exposures.

        Parameters
        ----------
        *nods : path, datamodel, `~specmodels.Exposure`, …
            The other nods, read as the first one was; their mean is subtracted.

        Returns
        -------
        `~astropy.table.QTable`
            For each background slit that is in all of them: ``slit``, ``n_pixels``, ``master`` and
            ``nodded`` (robust widths of the residuals over the error of the data), ``sky_noise``
            and ``nodded_noise`` (median predicted errors of what was subtracted) and their
            ``ratio``.
        """
        return nod_comparison(self, nods)

    def report(self):
        """One row for each slit: what it was used for, its level, and the reason if left out."""
        return readable(QTable(rows=[self._row(name) for name in self.exposure]))

    def _row(self, name):
        own, sky = self.fit.slits.get(name), self.skies[name]
        role = "science" if own is None else "left out" if own.reason else "background"
        image = self.exposure[name]
        unknown = np.count_nonzero(~np.isfinite(sky.background) & ~image.mask)
        used = 0 if own is None else own.n_used
        return {
            "slit": name, "role": role, "n_used": used,
            "n_rejected": 0 if own is None else own.n_rejected,
            "level": float(sky.level), "level_error": float(sky.error),
            "chi2_per_pixel": own.chi2 / used if used else np.nan,
            "misfit": np.nan if own is None else own.misfit, "n_unknown": int(unknown),
            "reason": own.reason if own is not None else UNKNOWN if unknown else "",
        }  # fmt: skip

    def degrees(self):
        """Chi-square of each degree tried, for polynomials; an empty table for splines."""
        names = ("degree", "chi2", "dof", "criterion")
        return QTable(rows=[dict(zip(names, row, strict=True)) for row in self.fit.degrees] or None,
                      names=None if self.fit.degrees else names)  # fmt: skip

    def to_source(self):
        """The slits without their sky in the kind that came in: a datamodel such as MultiSlitModel.

        An `~specmodels.Exposure` where the input was none. The variance of the sky is in
        the error and in the read-noise variance.
        """
        try:
            return with_new_slits(self.subtracted)
        except TypeError:
            return self.subtracted

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw the sky with its cloud of pixels, the slits' levels, and the residuals."""
        from .plot import plot_background

        return plot_background(self, figure, panel=panel, ax=ax)

    def plot_slit(self, name, figure=None, *, panel=None, ax=None):
        """Draw one slit: data, sky, what is left, and its residuals over the errors."""
        from .plot import plot_slit

        return plot_slit(self, name, figure, panel=panel, ax=ax)


def wavelengths_in(unit, image):
    """Wavelengths of the pixels of an image in a unit, shape of the image; NaN where it has none.

    Raises
    ------
    ValueError
        If one of them has a unit and the other none.
    """
    if image.wavelength is None:
        return np.full(image.shape, np.nan)
    wavelength = np.broadcast_to(image.wavelength, image.shape)
    if image.wavelength_unit == unit:
        return wavelength
    if None in (image.wavelength_unit, unit):
        raise ValueError(
            f"wavelength_unit: slit {image.name!r} has {image.wavelength_unit}, but others {unit}"
        )
    return (wavelength * image.wavelength_unit).to_value(unit, u.spectral())


def _steps_of(wavelength):
    """Wavelength and step of the columns of an image, by increasing wavelength."""
    row = wavelength[np.argmax(np.isfinite(wavelength).sum(axis=1))]
    row = np.sort(row[np.isfinite(row)])
    step = np.diff(row)
    good = step > 0
    return row[:-1][good], step[good]
