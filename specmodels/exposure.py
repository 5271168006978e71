"""Several images of one detector or file by name: `Exposure`."""

from collections.abc import Mapping

from .spectral_image import SpectralImage

__all__ = ["Exposure"]


class Exposure(Mapping):
    """An ordered mapping of names to `SpectralImage`, with where they came from.

    Parameters
    ----------
    images : iterable of `SpectralImage`
        The regions; their names are the keys and must differ.
    instrument : `~specmodels.instruments.Instrument`, optional
        What is known about the detector and mode.
    source : object, optional
        The object that was read, so that results can be written back in kind. Never changed.

    Raises
    ------
    ValueError
        If there is no image, or two images share a name.
    """

    def __init__(self, images, *, instrument=None, source=None):
        images = tuple(images)
        if not images:
            raise ValueError("images: expected at least one SpectralImage, got none")
        for image in images:
            if not isinstance(image, SpectralImage):
                raise TypeError(f"images: expected SpectralImage, got {type(image).__name__}")
        names = [image.name for image in images]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"images: names must differ, got more than one {repeated}")
        self._images = dict(zip(names, images, strict=True))
        self.instrument = instrument
        self.source = source

    def __getitem__(self, name):
        try:
            return self._images[name]
        except KeyError:
            raise KeyError(f"no image {name!r}; there are {list(self)}") from None

    def __iter__(self):
        return iter(self._images)

    def __len__(self):
        return len(self._images)

    def __repr__(self):
        lines = "\n".join(f"  {image!r}" for image in self.values())
        return f"<Exposure of {len(self)} image{'s' if len(self) > 1 else ''}\n{lines}>"

    @property
    def single(self):
        """The only image.

        Raises
        ------
        ValueError
            If there are several.
        """
        if len(self) != 1:
            raise ValueError(f"expected one image, this exposure has {len(self)}: {list(self)}")
        return next(iter(self.values()))

    def map(self, function):
        """Return a new exposure of ``function(image)`` for every image."""
        images = [function(image) for image in self.values()]
        return Exposure(images, instrument=self.instrument, source=self.source)
