"""Light that a profile lacks, in fits that cannot count it to the fluxes."""

import numpy as np

from ..fluxes.source_flux import LEAST_PIXELS

__all__ = ["uncounted_light"]

# Of the flux in the columns in which it is seen, and in standard errors of the sum of their pixels.
LEAST_PART, LEAST_SIGMA = 0.02, 3.0


def uncounted_light(result, name):
    """Light in the pixels of a source that its profile does not have: lines of a rotating galaxy.

    Where columns are independent it is summed. Where they are one system it is left out.
    """
    if result.fit.independent_columns:
        return
    own, light = result.source_fluxes[name], result.coherent_light
    columns = (np.count_nonzero(light.found & own.zone, axis=0) >= LEAST_PIXELS) & ~result.mask(
        name
    )
    pixels = own.zone & columns & (~result.fit.image.mask | light.lines)
    left = abs(float(np.sum(light.residual[pixels])))
    noise = float(np.sqrt(np.sum(result.variance[pixels])))
    part = left / max(abs(float(np.sum(own.flux[columns]))), 1e-300)
    if part > LEAST_PART and left > LEAST_SIGMA * noise:
        yield (
            f"light that the profile lacks, {part:.0%} of the flux in {np.count_nonzero(columns)} "
            "columns, is not in it: give another profile, or a sky of each column by itself, where "
            "sums of the pixels count it"
        )
