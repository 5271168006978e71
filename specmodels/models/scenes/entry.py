"""`SceneEntry`: where one source is in the table of a scene."""

from dataclasses import dataclass

from ..spectra import SourceSpectrum

__all__ = ["SceneEntry"]


@dataclass(frozen=True, eq=False)
class SceneEntry:
    """One source in one order: where its columns are in the table of the scene.

    Attributes
    ----------
    label, order : int
    first, stop : int
        Its columns.
    spectrum : `~specmodels.models.spectra.SourceSpectrum`
        With the limits of the order; its coefficients are the initial ones.
    light : float
        Sum of the source's light on the direct image, in its unit times pixels.
    """

    label: int
    order: int
    first: int
    stop: int
    spectrum: SourceSpectrum
    light: float

    @property
    def key(self):
        """Label and order."""
        return self.label, self.order

    @property
    def terms(self):
        """Its columns as a slice."""
        return slice(self.first, self.stop)
