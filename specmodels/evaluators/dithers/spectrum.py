"""One spectrum of a source in several exposures: where its knots lie, and how it is read off."""

from dataclasses import dataclass, field

import numpy as np

from ...models import ColumnPolynomial, MasterBackgroundSpectrum, repeated_over
from ..extraction.fluxes.seen_spectra import SeenSpectra, spectrum_name

__all__ = ["JointSpectra", "joint_spectrum", "plain_wavelengths"]

# Wavelengths of the same column that differ by less, in pixels, are the same.
SAME_GRID = 0.05
# A breakpoint is added where the next one is further away than this, in pixels.
LEAST_SPACING = 0.75


def plain_wavelengths(image, trace):
    """Wavelength of each column along a trace, as plain numbers; column numbers if there is none.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    trace : ndarray, shape (n_dispersion,)
        Row of the trace in each column.

    Returns
    -------
    ndarray, shape (n_dispersion,)
    """
    found = image.wavelength_along(trace)
    return np.asarray(getattr(found, "value", found), dtype=float)


def joint_spectrum(name, images, waves):
    """Model of the spectrum of a source in all exposures, without values.

    A flux for each column where the columns of all exposures have the same wavelengths; else a
    cubic B-spline of wavelength with a breakpoint at each column of the first exposure, and where
    others see what that does not.

    Parameters
    ----------
    name : str
        Of the source.
    images : sequence of `~specmodels.SpectralImage`
    waves : sequence of ndarray, each of shape (n_dispersion,)
        Wavelengths at the trace of the source.

    Returns
    -------
    `~astropy.modeling.Model`
    """
    name = spectrum_name(name)
    if images[0].wavelength is None or _same_columns(images, waves):
        return repeated_over(ColumnPolynomial(0, name=name), "column")
    used = [wave[(~image.mask).any(axis=0) & np.isfinite(wave)]
            for image, wave in zip(images, waves, strict=True)]  # fmt: skip
    breaks = _breakpoints([wave for wave in used if len(wave)])
    if any(np.ndim(image.wavelength) == 2 for image in images):
        breaks = _extended(breaks, images)
    return MasterBackgroundSpectrum(breaks, name=name)


def _same_columns(images, waves):
    """Whether all exposures have the same wavelengths in the same columns, whatever the row."""
    first = waves[0]
    step = np.nanmedian(np.abs(np.diff(first))) if len(first) > 1 else 1.0
    for image, wave in zip(images, waves, strict=True):
        if wave.shape != first.shape or not np.array_equal(image.x, images[0].x):
            return False
        off = np.abs(wave - first)
        if np.ndim(image.wavelength) == 2:
            off = np.abs(image.wavelength - first)
        if not np.nanmax(off, initial=0.0) <= SAME_GRID * step:
            return False
    return True


def _breakpoints(waves):
    """Breakpoints at the wavelengths of the first exposure, and of others where it has none.

    The second and the last but one are left out: as many coefficients as columns are determined,
    whatever the exposures have in common.
    """
    breaks = np.unique(waves[0])
    for wave in waves[1:]:
        step = np.gradient(breaks) if len(breaks) > 1 else np.ones(1)
        near = np.clip(np.searchsorted(breaks, wave), 1, len(breaks) - 1)
        near = np.where(wave - breaks[near - 1] < breaks[near] - wave, near - 1, near)
        lone = np.abs(wave - breaks[near]) > LEAST_SPACING * np.abs(step[near])
        breaks = np.unique(np.concatenate([breaks, wave[lone]]))
    low, high = min(map(np.min, waves)), max(map(np.max, waves))
    breaks[0], breaks[-1] = min(breaks[0], low), max(breaks[-1], high)
    return np.delete(breaks, [1, len(breaks) - 2]) if len(breaks) > 5 else breaks


def _extended(breaks, images):
    """Breakpoints on to the first and the last wavelength of all pixels, a step apart."""
    low = min(np.nanmin(image.wavelength) for image in images)
    high = max(np.nanmax(image.wavelength) for image in images)
    first, last = breaks[2] - breaks[1], breaks[-2] - breaks[-3]
    below = np.arange(breaks[0] - first, low - first, -first)[::-1]
    above = np.arange(breaks[-1] + last, high + last, last)
    return np.concatenate([below, breaks, above])


@dataclass(frozen=True, eq=False)
class JointSpectra(SeenSpectra):
    """Fluxes of sources with one spectrum in several exposures, read off in the columns of one.

    Attributes
    ----------
    columns : ndarray, shape (n_dispersion,)
        Column numbers of that exposure.
    flexure : ndarray, shape (n_coefficient, n_moved)
        What errors of the shifts of exposures do to all coefficients.
    """

    columns: np.ndarray = field(default=None)
    flexure: np.ndarray = field(default=None)

    def shared_part(self, rows):
        """What all fluxes have in common by shapes, and by the shifts of exposures."""
        return np.hstack([super().shared_part(rows), rows @ self.flexure])

    def rows(self, name):
        """The flux in each column as weighted sums of all coefficients.

        Returns
        -------
        `~scipy.sparse.csr_array`, shape (n_dispersion, n_coefficient)
        """
        group = self.group(name)
        if not group.over:
            return super().rows(name)
        place = np.searchsorted(group.labels[0], self.columns)
        numbers = group.numbers(0)[place][:, None]
        return self._sparse(numbers, np.ones(numbers.shape))
