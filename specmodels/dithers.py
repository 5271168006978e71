"""`Dithers`: several exposures of the same sources, to be taken together.

An `~specmodels.Exposure` of several images is several slits with sources of their own. Here each
slit is there several times, moved along or across the slit or not, and every source has one
spectrum in all of them. Nothing here knows files or fits.
"""

from collections.abc import Mapping
from pathlib import Path

from .exposure import Exposure
from .spectral_image import SpectralImage

__all__ = ["Dithers"]


class Dithers(Mapping):
    """Exposures of the same sources, by name: each source has one spectrum in all of them.

    Parameters
    ----------
    exposures : sequence or mapping of `SpectralImage` or `Exposure`
        One for each exposure: a slit, or several slits that have the same names in all exposures.
        Names of exposures are the keys of a mapping; else those of the images where they differ,
        else those of the files.
    source : object, optional
        What was read. Never changed.

    Raises
    ------
    TypeError
        If there is something else among them.
    ValueError
        If there is none, or no slit is in two of several exposures.

    Examples
    --------
    >>> import numpy as np
    >>> from specmodels import Dithers, SpectralImage
    >>> nods = Dithers([SpectralImage(np.ones((9, 30)), name=name) for name in ("A", "B")])
    >>> nods
    <Dithers of 2 exposures of 1 slit: 'A', 'B'>
    """

    kind = "exposures of the same sources"

    def __init__(self, exposures, *, source=None):
        names = list(exposures) if isinstance(exposures, Mapping) else None
        listed = list(exposures.values() if isinstance(exposures, Mapping) else exposures)
        if not listed:
            raise ValueError("exposures: expected at least one, got none")
        for one in listed:
            if not isinstance(one, SpectralImage | Exposure):
                raise TypeError(
                    "exposures: expected SpectralImage or Exposure, got "
                    f"{type(one).__module__}.{type(one).__qualname__}"
                )
        listed = [Exposure([one]) if isinstance(one, SpectralImage) else one for one in listed]
        names = _names(listed) if names is None else [str(name) for name in names]
        self._exposures = dict(zip(names, listed, strict=True))
        self.source = source
        self._slits = self._by_slit()

    def __getitem__(self, name):
        try:
            return self._exposures[name]
        except KeyError:
            raise KeyError(f"no exposure {name!r}; there are {list(self)}") from None

    def __iter__(self):
        return iter(self._exposures)

    def __len__(self):
        return len(self._exposures)

    def __repr__(self):
        counts = f"{len(self)} exposure{'s' if len(self) > 1 else ''}"
        slits = f"{len(self._slits)} slit{'s' if len(self._slits) > 1 else ''}"
        return f"<Dithers of {counts} of {slits}: {', '.join(map(repr, self))}>"

    @property
    def slits(self):
        """The images of each slit, by the name of the slit; images have those of the exposures."""
        return dict(self._slits)

    def _by_slit(self):
        if all(len(one) == 1 for one in self.values()):
            images = [one.single.replace(name=name) for name, one in self.items()]
            own = {one.single.name for one in self.values()}
            return {own.pop() if len(own) == 1 else "slit": images}
        found = {}
        for name, exposure in self.items():
            for slit, image in exposure.items():
                found.setdefault(slit, []).append(image.replace(name=name))
        if len(self) > 1 and all(len(images) == 1 for images in found.values()):
            raise ValueError(
                "exposures: expected slits of the same names, which have the same sources, got "
                f"{[list(one) for one in self.values()]}"
            )
        return found


def _names(exposures):
    """Names of exposures that differ: of their images, else of their files, else numbers."""
    images = [one.single.name if len(one) == 1 else "" for one in exposures]
    files = [Path(one.source).name.split(".")[0] if isinstance(one.source, str | Path) else ""
             for one in exposures]  # fmt: skip
    for names in (images, files):
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"exposure {number + 1}" for number in range(len(exposures))]
