"""`TimeSeries`: two-dimensional spectra of one slit, taken one after the other.

Integrations are made when they are asked for, so that a series may be longer than the memory.
Nothing here knows files, datamodels or instruments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .exposure import Exposure
from .spectral_image import SpectralImage

__all__ = ["LazyImages", "TimeSeries"]


@dataclass(frozen=True)
class LazyImages(Sequence):
    """A sequence of images, each of which a function makes anew when it is asked for.

    Parameters
    ----------
    length : int
        Number of images.
    function : callable
        ``function(i)`` returns image `i`, a `~specmodels.SpectralImage`.
    """

    length: int
    function: object

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return self.function(i)


class TimeSeries(Sequence):
    """Integrations of one slit: a sequence of `SpectralImage` of one shape.

    Parameters
    ----------
    images : sequence of `SpectralImage`, or `Exposure`
        The integrations in the order of time. A sequence may make its images when they are asked
        for; no more than about ten are held at once.
    times : array_like, shape (n_integration,), optional
        Time of the middle of each integration, in days or any unit; default: their numbers.
    time_scale : str, optional
        ``"utc"`` or ``"tdb"``, of times that are modified Julian dates; default: not known.
    instrument : `~specmodels.Instrument`, optional
        What is known about the detector and mode.
    source : object, optional
        What was read, never changed.

    Raises
    ------
    TypeError
        If an integration is no `SpectralImage`.
    ValueError
        If there is none, `times` have another shape or are not finite, or, when it is asked for, an
        integration has another shape or unit than the first, or alone has variances or none.
    """

    kind = "time series"

    def __init__(self, images, *, times=None, time_scale=None, instrument=None, source=None):
        if isinstance(images, Exposure):
            instrument, source = instrument or images.instrument, source or images.source
            images = list(images.values())
        if len(images) == 0:
            raise ValueError("images: expected at least one integration, got none")
        self._images, self.instrument, self.source = images, instrument, source
        self.times = np.arange(len(images), dtype=float) if times is None else _checked(times)
        if self.times.shape != (len(images),):
            raise ValueError(
                f"times: expected one for each of {len(images)} integrations, got shape "
                f"{self.times.shape}"
            )
        self.has_times = times is not None
        self.time_scale = time_scale

    def __len__(self):
        return len(self._images)

    def __getitem__(self, i):
        """Integration `i`, or the series of a slice of them."""
        if isinstance(i, slice):
            numbers = range(len(self))[i]
            part = LazyImages(len(numbers), lambda k: self._images[numbers[k]])
            times = self.times[i] if self.has_times else None
            return TimeSeries(part, times=times, time_scale=self.time_scale,
                              instrument=self.instrument, source=self.source)  # fmt: skip
        number = range(len(self))[i]
        image = self._images[number]
        if not isinstance(image, SpectralImage):
            raise TypeError(
                f"images: expected SpectralImage, integration {number} is a {type(image).__name__}"
            )
        if number and (image.shape, image.unit) != (self.first.shape, self.first.unit):
            raise ValueError(
                f"images: expected the shape {self.first.shape} and unit {self.first.unit} of the "
                f"first integration, integration {number} has {image.shape} and {image.unit}"
            )
        if number and (image.variance is None) != (self.first.variance is None):
            raise ValueError(
                f"images: expected variances in all integrations or in none, integration {number} "
                f"{'lacks' if image.variance is None else 'has'} them, unlike the first"
            )
        return image

    def replace(self, *, times):
        """Return the series with other times."""
        return TimeSeries(self._images, times=times, instrument=self.instrument, source=self.source)

    @cached_property
    def first(self):
        """The first integration."""
        return self[0]

    @property
    def name(self):
        """What the slit is called."""
        return self.first.name

    @property
    def shape(self):
        """Shape of all data: (n_integration, n_spatial, n_dispersion)."""
        return (len(self), *self.first.shape)

    def __repr__(self):
        return f"<TimeSeries of {len(self)} integrations, the first {self.first!r}>"


def _checked(times):
    times = np.array(getattr(times, "value", times), dtype=float)
    if not np.isfinite(times).all():
        raise ValueError("times: expected finite numbers")
    return times
