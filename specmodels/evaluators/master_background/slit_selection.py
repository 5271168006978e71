"""Which slits show nothing but sky, and which of their pixels: strategies for the sky job."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np
from scipy import ndimage

from ...io.slices import SlicedImage

__all__ = ["FlaggedSlits", "NamedSlits", "SkyPixelSelection", "SlitSelection", "as_slit_selection",
           "slit_positions"]  # fmt: skip


class SlitSelection(ABC):
    """Base of the ways to choose the background slits of an exposure."""

    def __repr__(self):
        settings = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({settings})"

    @abstractmethod
    def __call__(self, exposure):
        """Names of the images chosen, in the order of the exposure; empty if there are none."""


class FlaggedSlits(SlitSelection):
    """Slits that say so themselves: ``is_background`` in their metadata, or their source's name.

    Parameters
    ----------
    words : sequence of str
        A source's name with one of them, in any case, marks a background slit, as in MOS
        exposures of JWST.
    """

    def __init__(self, words=("BKG", "BACKGROUND")):
        self.words = tuple(str(word).upper() for word in words)

    def __call__(self, exposure):
        """Names of the images that are flagged."""
        return [name for name, image in exposure.items() if self._is_flagged(image)]

    def _is_flagged(self, image):
        if image.meta.get("is_background"):
            return True
        names = (image.name, str(image.meta.get("source_name", "")))
        return any(word in name.upper() for word in self.words for name in names)


class NamedSlits(SlitSelection):
    """Slits by their names, or those or the numbers of their sources.

    Parameters
    ----------
    names : sequence of str or int
        Wildcards as in file names are understood: ``"BKG_*"``.
    """

    def __init__(self, names):
        names = [names] if isinstance(names, str | int) else names
        self.names = tuple(str(name) for name in names)

    def __call__(self, exposure):
        """Names of the images chosen.

        Raises
        ------
        ValueError
            If a name fits none.
        """
        chosen = set()
        for pattern in self.names:
            found = {name for name, image in exposure.items() if _fits(image, pattern)}
            if not found:
                raise ValueError(
                    f"slits: no slit is called {pattern!r}; there are {list(exposure)}"
                )
            chosen |= found
        return [name for name in exposure if name in chosen]


class _ChosenSlits(SlitSelection):
    """Slits that a function picks."""

    def __init__(self, function):
        self.function = function

    def __call__(self, exposure):
        return [name for name, image in exposure.items() if self.function(image)]


def as_slit_selection(slits):
    """The strategy that a setting stands for: None, a list of names, a function, or a strategy."""
    if slits is None:
        return FlaggedSlits()
    if isinstance(slits, SlitSelection):
        return slits
    if isinstance(slits, str | int):
        return NamedSlits([slits])
    if isinstance(slits, Callable):
        return _ChosenSlits(slits)
    if isinstance(slits, Iterable):
        return NamedSlits(slits)
    raise TypeError(f"slits: expected names, a function or a SlitSelection, got {slits!r}")


def _fits(image, pattern):
    own = (image.name, image.meta.get("source_name"), image.meta.get("source_id"))
    return any(fnmatchcase(str(value), pattern) for value in own if value is not None)


class SkyPixelSelection:
    """Which pixels of a background slit are used, besides those that are not masked.

    Parameters
    ----------
    windows : sequence of (float, float), optional
        Ranges of the position along the slit: for micro-shutters
        ``[(-1.2, -0.8), (-0.2, 0.2), (0.8, 1.2)]`` leaves out what lies near a bar.
    least_throughput : float
        Pixels whose throughput is less than this fraction of the highest of their slit are left
        out: the deepest shadows, of which little is known.
    source_mask : mapping of str to array_like of bool, optional
        True where a source is, by name of the slit: so the empty rows of science slits can be used.
        Where no slits are chosen, those named here take part, besides the background slits.
    median_filter : (int, int), optional
        Rows and columns of a running median that is taken of the data over their throughput. The
        errors stay those of single pixels. More than one column takes narrow lines away (five: an
        error of 6 per cent of the sky in simulated slitlets, one column: 0.1); cosmic rays are
        rejected without it.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, windows=None, least_throughput=0.0, source_mask=None, median_filter=None):
        if windows is not None:
            windows = _ranges(windows)
        if not 0 <= least_throughput < 1:
            raise ValueError(f"least_throughput: expected 0 to 1, got {least_throughput!r}")
        if source_mask is not None and not isinstance(source_mask, Mapping):
            raise TypeError("source_mask: expected a mapping from names of slits to masks, got "
                            f"{type(source_mask).__name__}")  # fmt: skip
        size = np.ravel(np.asarray([] if median_filter is None else median_filter, dtype=float))
        if median_filter is not None and (size.size != 2 or np.any((size < 1) | (size % 1 > 0))):
            raise ValueError(f"median_filter: expected (rows, columns), got {median_filter!r}")
        self.windows, self.least_throughput = windows, float(least_throughput)
        self.source_mask = dict(source_mask or {})
        self.median_filter = None if median_filter is None else tuple(size.astype(int).tolist())

    def __repr__(self):
        return (
            f"SkyPixelSelection(windows={self.windows}, least_throughput={self.least_throughput}, "
            f"source_mask={list(self.source_mask)}, median_filter={self.median_filter})"
        )

    def use(self, image, exposure, throughput):
        """Pixels to use, shape of the image.

        Raises
        ------
        ValueError
            If windows are asked for and no positions are known, or a mask has another shape.
        """
        use = ~image.mask
        if self.windows is not None:
            position = slit_positions(image, exposure)
            with np.errstate(invalid="ignore"):
                use &= np.any([(position >= a) & (position <= b) for a, b in self.windows], axis=0)
        if self.least_throughput > 0:
            with np.errstate(invalid="ignore"):
                use &= throughput >= self.least_throughput * np.nanmax(throughput)
        mask = self.source_mask.get(image.name)
        if mask is not None:
            mask = np.asarray(mask, dtype=bool)
            if mask.shape != image.shape:
                raise ValueError(f"source_mask of {image.name!r}: expected shape {image.shape}, "
                                 f"got {mask.shape}")  # fmt: skip
            use &= ~mask
        return use

    def filtered(self, image, use, throughput):
        """The image with the running median of the pixels used, where one is asked for."""
        if self.median_filter is None:
            return image
        with np.errstate(all="ignore"):
            data = np.where(use & (throughput > 0), image.data / throughput, np.nan)
            smooth = ndimage.vectorized_filter(
                data, np.nanmedian, size=self.median_filter, mode="constant", cval=np.nan
            )
            smooth *= throughput
        return image.replace(data=np.where(use, smooth, image.data))


def _ranges(windows):
    """Windows as pairs of numbers."""
    try:
        pairs = np.asarray(windows, dtype=float).reshape(-1, 2).tolist()
    except (TypeError, ValueError) as error:
        raise ValueError(f"windows: expected ranges (low, high), got {windows!r}") from error
    if not pairs or not all(low < high for low, high in pairs):
        raise ValueError(f"windows: expected ranges (low, high), got {windows!r}")
    return tuple((low, high) for low, high in pairs)


def slit_positions(image, exposure):
    """Position of each pixel along its slit, shape of the image.

    Raises
    ------
    ValueError
        If none is known.
    """
    position = SlicedImage.of(image, exposure).spatial
    if position is None:
        raise ValueError(
            f"no position along the slit is known for image {image.name!r}; expected `spatial`, or "
            "a WCS with a slit frame"
        )
    return position
