"""Trace models of several slits, which are written back as one exposure."""

from ...io.oversampled import like_source, save_like_source
from ..base import ResultSet

__all__ = ["OversamplingResultSet"]


class OversamplingResultSet(ResultSet):
    """Results of several slits by name, which are written back as one exposure.

    Slits that could not be treated are left as they were.
    """

    def to_source(self):
        """The exposure in the kind that came in; see `OversamplingResult.to_source`."""
        return like_source(self, self.source_exposure)

    def save(self, path):
        """Write `to_source` to a FITS or ASDF file; `specmodels.write` calls this."""
        save_like_source(self, self.source_exposure, path)

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw data, oversampled image and profile of each slit, one beneath the other."""
        from .plot import plot_slits

        return plot_slits(self, figure, panel=panel, ax=ax)
