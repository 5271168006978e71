"""What flicker-noise subtraction returns: cleaned frames and all that was taken from them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.nddata import Covariance
from astropy.table import QTable

from ...exposure import Exposure
from ...io.cleaned import like_source
from ...io.datamodels import is_datamodel
from ...io.exposure_frames import FLICKER
from ...io.flicker_files import write_cleaned
from ...io.provenance import note_of
from ...numerics.noise_spectrum import line_spectrum
from .scene import draft_rate

__all__ = ["FlickerResult"]


@dataclass(frozen=True, eq=False, repr=False)
class FlickerResult:
    """Cleaned frames, with the noise, the background and the mask.

    Attributes
    ----------
    ramp : `~specmodels.ramp.Ramp`
        What was cleaned; never changed.
    cleaned : ndarray
        In the shape of the data; of one integration where `integration` is given.
    scenes : tuple
        Mask, background and plan of all integrations, or of each.
    levels : ndarray, optional
        Mean background of each frame or difference of groups.
    integration : int, optional
        The integration that was cleaned, if one only.
    flat : ndarray, optional
        What the frames were divided by for the fit, shape (n_y, n_x).
    """

    ramp: object
    cleaned: np.ndarray
    scenes: tuple
    levels: np.ndarray | None = None
    integration: int | None = None
    flat: np.ndarray | None = None

    def __getstate__(self):
        """State to pickle: what was cached is made again (a Spectrum cannot be pickled)."""
        return {key: self.__dict__[key] for key in self.__dataclass_fields__}

    def __repr__(self):
        used = np.mean([scene.use.mean() for scene in self.scenes])
        return f"<FlickerResult: {self.ramp.kind} {self.cleaned.shape}, {used:.1%} of pixels used>"

    @property
    def data(self):
        """What was cleaned, shape as `cleaned`."""
        if self.integration is None:
            return np.asarray(self.ramp.data)
        return self.ramp.integration(self.integration)

    @property
    def noise(self):
        """The noise that was subtracted, shape as `cleaned`."""
        with np.errstate(invalid="ignore"):  # infinite values stay
            return self.data - self.cleaned

    @property
    def background(self):
        """Background of the draft rate (faint light near sources included), shape (n_y, n_x).

        With masks of their own, that of the integrations is stacked, shape (n_int, n_y, n_x).
        """
        return self._per_scene(lambda s: np.broadcast_to(s.background + s.wings, s.use.shape))

    @property
    def background_mask(self):
        """True for pixels that show background and noise only, shape as `background`."""
        return self._per_scene(lambda scene: scene.use)

    @cached_property
    def variance(self):
        """Variance of what is left of the noise in a rate image; of a ramp, in one difference.

        It holds what the noise model cannot describe, as far as the spectra tell that are estimated
        from the data; where none can be, the error of the model's parameters only.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return self._per_scene(lambda scene: scene.variance)

    def cleaned_variance(self, variance):
        """Variance of cleaned images or integrations, of which that before is known.

        What is left of the noise adds to it; but a pixel that told of the noise itself has lost
        some of its own with it, so that its variance is the smaller one.

        Parameters
        ----------
        variance : array_like, broadcast shape of `cleaned`
            Of the frames as they came in, without flicker noise.

        Returns
        -------
        ndarray, shape of `cleaned`
        """
        variance = np.broadcast_to(np.asarray(variance, dtype=float), self.cleaned.shape)
        squared = 1.0 if self.flat is None else np.square(self.flat, dtype=float)
        parts = variance[np.newaxis] if len(self.scenes) == 1 else variance
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [scene.cleaned_variance(own / squared) * squared
                     for scene, own in zip(self.scenes, parts, strict=True)]  # fmt: skip
        return parts[0] if len(self.scenes) == 1 else np.stack(parts)

    @property
    def shared_error(self):
        """One random draw of what is left of the noise of an image, which neighbours share.

        None where no correlated noise is known of, or single frames were cleaned.
        """
        return self.scenes[0].shared_error if self.ramp.kind == "image" else None

    def covariance(self, line, *, scene=0):
        """Covariance of what is left of the noise, between the pixels of one line.

        Parameters
        ----------
        line : int
            Index along the slow axis of readout.
        scene : int
            Of integrations with masks of their own: which one.

        Returns
        -------
        `~astropy.nddata.Covariance`
            Of pixels in the order of their index; the error of the background is not in it.

        Raises
        ------
        ValueError
            If no correlated noise could be told from white noise, or there is no such line.
        """
        n_line = self.ramp.shape[self.ramp.readout.slow_axis]
        if not -n_line <= line < n_line:
            raise ValueError(f"line: expected one of {n_line} lines, got {line}")
        matrix = self.scenes[scene].line_covariance(line)
        if matrix is None:
            raise ValueError("covariance: no spectrum of correlated noise is known")
        unit = None if self.ramp.unit is None else self.ramp.unit**2
        return Covariance(array=matrix, unit=unit)

    def _per_scene(self, function):
        values = [function(scene) for scene in self.scenes]
        return values[0] if len(values) == 1 else np.stack(values)

    def draft_rates(self, scene=0):
        """Draft rate of the frames as they came in, and of the cleaned ones.

        The mean change per group of ramps, the mean of integrations, an image itself.

        Parameters
        ----------
        scene : int
            Of integrations with masks of their own: which one.

        Returns
        -------
        before, after : ndarray, shape (n_y, n_x)
            Divided by the flat, where there is one; NaN where not known.
        """
        ramp = self.ramp
        number = self.integration if self.integration is not None else scene
        if len(self.scenes) == 1 and self.integration is None:
            number = None
        before = draft_rate(ramp, number)
        if self.integration is not None and ramp.kind != "image":
            part = slice(number, number + 1)
            marks = {key: getattr(ramp, key) for key in ("frame_mask", "saturated", "jumped")}
            marks = {key: None if one is None else one[part] for key, one in marks.items()}
            ramp = ramp.replace(data=self.cleaned[np.newaxis], variance=None, **marks)
            number = 0
        else:
            ramp = ramp.replace(data=self.cleaned)
        rates = before, draft_rate(ramp, number)
        return rates if self.flat is None else tuple(rate / self.flat for rate in rates)

    def _left(self, number):
        """Pixels used, and what the draft rates are without background and faint light."""
        scene = self.scenes[number]
        left = [rate - scene.background - scene.wings for rate in self.draft_rates(number)]
        use = scene.use & np.isfinite(left).all(axis=0)
        return use, {name: np.where(use, one, 0)
                     for name, one in zip(("before", "after"), left, strict=True)}  # fmt: skip

    @cached_property
    def spectra(self):
        """Power spectra along time of unmasked pixels, ``before`` and ``after``.

        Returns
        -------
        dict of str to `~specutils.Spectrum`
            Of the draft rates (see `draft_rates`) of the frames that came in and of the cleaned
            ones, without their background, in units of the variance of white noise.
        """
        from specutils import Spectrum

        readout = self.ramp.readout
        use, frames = self._left(0)
        out, use = {}, readout.frames(use)
        for name, frame in frames.items():
            frequency, power = line_spectrum(readout.frames(frame), use, readout.overhead)
            axis = frequency / (readout.dwell * u.s)
            unit = u.dimensionless_unscaled if self.ramp.unit is None else self.ramp.unit**2
            out[name] = Spectrum(flux=power * unit, spectral_axis=axis.to(u.Hz))
        return out

    def report(self):
        """Pixels left out by reason, lines without any, and the spread before and after.

        The spread is that of the draft rate of the frames that came in, and of the cleaned ones;
        ``noise_removed`` the RMS of what was subtracted from the frames, or from the differences of
        groups; those in which no pixel could be used are left as they are.

        Returns
        -------
        `~astropy.table.QTable`
            One row for each scene mask.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            rows = [self._row(number, scene) for number, scene in enumerate(self.scenes)]
        return QTable(rows=rows)

    def _row(self, number, scene):
        use, left = self._left(number)
        spread = {name: float(np.std(v[use])) if use.any() else np.nan for name, v in left.items()}
        reasons = ", ".join(f"{reason}: {n}" for reason, n in scene.mask.reasons.items())
        return {
            "scene": number, "used": int(scene.use.sum()), "left_out": int((~scene.use).sum()),
            "reasons": reasons, "lines_without_pixels": scene.plan.n_empty,
            "background": scene.level, "spread_before": spread["before"],
            "spread_after": spread["after"],
            "frames_without_pixels": self._n_left(number), "noise_removed": self._removed(number),
        }  # fmt: skip

    def _n_left(self, number):
        """Frames, or differences of groups, that are left as they are: no pixel could be used."""
        if self.levels is None:
            return 0
        levels = self.levels if len(self.scenes) == 1 else self.levels[number]
        return int(np.count_nonzero(np.isnan(levels)))

    def _removed(self, number):
        """RMS of what was subtracted from the frames, or from the differences of groups."""
        noise = self.noise if len(self.scenes) == 1 else self.noise[number]
        if self.ramp.kind == "ramp":
            noise = np.diff(noise, axis=-3)
        known = noise[np.isfinite(noise)]
        return float(np.sqrt(np.mean(np.square(known, dtype="f8")))) if known.size else np.nan

    def to_source(self):
        """The cleaned frames in the kind that came in: datamodel, NDData, Quantity or array.

        Errors of images are those of `cleaned_variance`, of which the read noise has the change.
        """
        return like_source(self)

    def passed_on(self):
        """What the next evaluator of a chain takes: as `to_source`, but frames that came as arrays
        with all that is known of them.
        """
        made = self.to_source()
        if is_datamodel(made) or isinstance(made, Exposure):
            return made
        ramp, variance = self.ramp, self.ramp.variance
        if variance is not None and ramp.kind != "ramp":
            variance = self.cleaned_variance(variance)
        return ramp.replace(data=self.cleaned, variance=variance, source=None,
                            notes=(*ramp.notes, note_of(FLICKER)))  # fmt: skip

    def save(self, path):
        """Write the cleaned frames and the mask to a file; see `specmodels.write`."""
        write_cleaned(self, path)

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw a frame before and after, the noise, the mask and the power spectra."""
        from .plot import plot_flicker

        return plot_flicker(self, figure, panel=panel, ax=ax)
