"""Light in wings that the skies of several exposures have taken, as of one exposure."""

import numpy as np

from ...models import ColumnPolynomial, UniformSky
from ..extraction.fluxes.hidden_wings import (
    NOTHING_HIDDEN,
    FittedLight,
    HiddenWings,
    hidden_wings,
)
from ..extraction.fluxes.profile_scale import expected_miss
from ..extraction.fluxes.seen_spectra import spectrum_name
from ..extraction.fluxes.source_flux import source_zones

__all__ = ["joint_wings"]


def joint_wings(views):
    """Part of the light that the skies have, of exposures that were extracted together.

    Each exposure tells it by its own rows, and counts by its share of the light. What is not known
    of wings is the same in all of them: errors do not become smaller by their number.

    Parameters
    ----------
    views : iterable of `~specmodels.evaluators.dithers.exposure.ExposureView`

    Returns
    -------
    HiddenWings
    """
    views = list(views)
    found = [_of_one(view) for view in views]
    power = np.array([_power(view) for view in views])
    if not np.sum(power) > 0:
        return NOTHING_HIDDEN
    share = power / np.sum(power)
    return HiddenWings(*(float(share @ [getattr(one, key) for one in found])
                         for key in ("part", "error")))  # fmt: skip


def _of_one(view):
    """What the rows of one exposure foretell; nothing where the profile or the sky is known."""
    terms = _sky_terms(view)
    given = all(expected_miss(leaf) == 0 for leaf, _ in view.sources.values())
    if terms == 0 or given or len(view.joint.weights) > 1:
        return NOTHING_HIDDEN
    names, spectra = list(view.sources), view.seen_spectra.fluxes
    throughputs = [view.fit.values[view.sources[name][1][0]] for name in names]
    traces, widths = ({name: of(name) for name in names} for of in (view.trace, view.fwhm))
    zones = source_zones(view.fit, view.sources, traces, widths)
    return hidden_wings(FittedLight(
        view.fit.image, view.sky, terms,
        np.array([part * spectra[name][0] for name, part in zip(names, throughputs, strict=True)]),
        np.array(list(traces.values())), float(np.median(widths[names[0]])),
        np.any(list(zones.values()), axis=0), view.coherent_light,
    ))  # fmt: skip


def _sky_terms(view):
    """Terms of the sky along the slit; none where it is known from the wavelengths of all rows."""
    spectra = {spectrum_name(name) for name in view.sources}
    skies = [leaf for leaf, _ in view.fit.form.leaves() if leaf.name not in spectra]
    terms = [leaf.degree + 1 for leaf in skies if isinstance(leaf, ColumnPolynomial)]
    return max(terms, default=int(any(isinstance(leaf, UniformSky) for leaf in skies)))


def _power(view):
    """Squared signal-to-noise ratio of the light of all sources."""
    return float(np.sum(view.fit.image.weights * np.nan_to_num(view.model - view.sky) ** 2))
