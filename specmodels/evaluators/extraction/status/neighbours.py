"""What sources next to one another do to the flux of each: tests like those of model criticism."""

import numpy as np
from scipy import ndimage

from ..fluxes.profile_scale import expected_miss
from .criticism import AWAY, LARGEST_WINGS, LEAST_SNR, one_sided, sums_in_bands, total_snr

__all__ = ["blends", "doubtful_neighbours", "hidden_neighbours"]

# Sources nearer than this, in full widths at half maximum, exchange light by errors of the profile;
# the larger distance where the total signal-to-noise ratio is not so high that it is known well.
LEAST_SEPARATION, NEAR, WELL_KNOWN = 0.7, 1.0, 30.0
# Unless they are so many full widths apart in such a part of the columns.
APART, LEAST_PART_APART = 1.5, 0.25


def blends(result, name):
    """Sources so near to one that errors of the profile exchange their light.

    Where the profile itself is hardly known they do so from farther away. Where they are apart in
    many columns, as orders that diverge, those tell the profile.
    """
    trace, width = result.trace(name), float(np.median(result.fwhm(name)))
    own = result.source_fluxes[name]
    total = total_snr(own.flux, own.error, result.mask(name))
    least = LEAST_SEPARATION if total > WELL_KNOWN else NEAR
    for other in result.sources:
        if other != name:
            distances = np.abs(result.trace(other) - trace)
            distance, apart = float(np.min(distances)), np.mean(distances > APART * width)
            if distance < least * width and apart < LEAST_PART_APART:
                yield (
                    f"{other!r} is {distance:.2g} pixels away, the FWHM being {width:.2g}: the sum "
                    "is certain, the shares are not; give the profile"
                )


def hidden_neighbours(result, name):
    """Sources that were asked for and are not seen: their light may be in one that is."""
    if _is_misfit(result, name):
        yield (
            "no more light than the profile of a brighter source next to it may miss: it may be "
            "none; set n_sources, or give the profile"
        )
    for other, own in result.source_fluxes.items():
        faint = total_snr(own.flux, own.error, result.mask(other)) < LEAST_SNR
        if other != name and (faint or _is_opposed(result, other) or _is_misfit(result, other)):
            yield (
                f"{other!r} was asked for and is not seen: its light may be in this one; set "
                "n_sources, or give the profile"
            )
            return


def _is_opposed(result, name):
    """Whether a source is negative and overlaps with a positive one: no light does that."""
    trace, width = result.trace(name), np.median(result.fwhm(name))
    sums = {other: np.nansum(own.flux) for other, own in result.source_fluxes.items()}
    return sums[name] < 0 and any(
        total > 0 and np.median(np.abs(result.trace(other) - trace)) < width
        for other, total in sums.items()
    )


def _is_misfit(result, name):
    """Whether a source has no more light than a profile may miss of a brighter one next to it.

    Where two that were asked for lie in one place, the other is put where their profile is off.
    """
    fluxes = {other: abs(np.nansum(own.flux)) for other, own in result.source_fluxes.items()}
    for other, (leaf, _) in result.sources.items():
        near = np.median(np.abs(result.trace(other) - result.trace(name)))
        within = other != name and near < AWAY * np.median(result.fwhm(other))
        if within and fluxes[name] < expected_miss(leaf) * fluxes[other]:
            return True
    return False


def doubtful_neighbours(result, name):
    """Sources next to one whose own light is not as their model has it: it may lie in this one."""
    own = result.source_fluxes[name]
    around = ndimage.binary_dilation(own.zone, np.ones((3, 1)))
    for other, its in result.source_fluxes.items():
        part = np.nansum(np.abs(its.flux)) / max(np.nansum(np.abs(own.flux)), 1e-300)
        if other == name or part < LARGEST_WINGS or not np.any(around & its.zone):
            continue
        if any(True for test in (sums_in_bands, one_sided) for _ in test(result, other)):
            yield (
                f"next to {other!r}, whose light is not as the model has it: it may be a part of "
                "this one, or no source; set n_sources or mask it"
            )
            return
