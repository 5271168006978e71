"""One of several exposures that were extracted together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...models import Source
from ..by_source import BySource
from ..extraction.fluxes.hidden_wings import NOTHING_HIDDEN, HiddenWings
from ..extraction.result import LEAST_LIGHT, ExtractionResult
from .spectrum import JointSpectra, plain_wavelengths

__all__ = ["ExposureView"]


@dataclass(frozen=True, eq=False, repr=False)
class ExposureView(ExtractionResult):
    """One of several exposures that were extracted together: its pixels, the spectra of all.

    Attributes
    ----------
    names : tuple of str
        The sources.
    joint : `~specmodels.evaluators.dithers.joint.JointFit`
        The fit of all exposures.
    wings : `~specmodels.evaluators.extraction.fluxes.hidden_wings.HiddenWings`
        Part of the light that the skies of all exposures had.
    """

    names: tuple = ()
    joint: object = None
    wings: HiddenWings = NOTHING_HIDDEN

    @cached_property
    def sources(self):
        """Sources of the fitted model, by name; further lobes of one are no sources."""
        return BySource((leaf.name, (leaf, positions))
                        for leaf, positions in self.fit.form.leaves()
                        if isinstance(leaf, Source) and leaf.name in self.names)  # fmt: skip

    @cached_property
    def seen_spectra(self):
        """The spectra of all exposures, read off in the columns of this one."""
        waves = {name: plain_wavelengths(self.image, self.trace(name)) for name in self.sources}
        return JointSpectra(self.fit, waves, self.wings, self.image.x, self.joint.flexure)

    @property
    def shared_covariances(self):
        """None: what pixels share in one exposure is no error of all."""
        return {}

    def mask(self, name):
        """Columns of which no exposure tells the flux."""
        flux, error = self._flux(name)
        return ~np.isfinite(flux) | ~np.isfinite(error)

    def sees(self, name):
        """Whether each column has light of a source on good pixels."""
        return self._sums[name].seen >= LEAST_LIGHT
