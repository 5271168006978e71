"""Whether an extraction can be trusted, and if not, why: the rows of its report."""

import numpy as np

from ..tilted import is_doubtful
from . import criticism, neighbours
from .clipped_cores import clipped_cores
from .uncounted_light import uncounted_light

__all__ = ["judge_source"]

# Variances in this range, as the residuals have it, are mended, or err on the safe side.
CHI2_RANGE = (0.2, 1.6)
LARGEST_CHI2 = 5.0
LARGEST_LOSS, MOSTLY = 0.2, 0.5
TESTS = (
    neighbours.blends, neighbours.hidden_neighbours, neighbours.doubtful_neighbours,
    criticism.light_outside, criticism.sky_that_follows, criticism.sums_in_bands,
    criticism.extrapolated, criticism.no_dark_rows, criticism.one_sided, criticism.light_beside,
    criticism.tilt_of_lines, criticism.lifted_sky, clipped_cores, uncounted_light,
)  # fmt: skip
# Those that hold where the light of a column is not that of one wavelength.
OF_WAVELENGTHS = (
    neighbours.blends, criticism.light_outside, criticism.light_beside, criticism.faint_under_lines,
    clipped_cores,
)  # fmt: skip
LEAST_FWHM = 0.7
LARGEST_OFFSET = 0.05


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # judged as infinite or unknown
def judge_source(result, name):
    """Figures of one source of an extraction, and its status.

    Parameters
    ----------
    result : `~specmodels.evaluators.ExtractionResult`
    name : str
        Name of the source.

    Returns
    -------
    dict
        ``status`` (``"ok"`` or ``"check"``), ``reason``, ``snr`` (median per column), ``flux``
        (median), ``row`` and ``fwhm`` (mean), ``chi2_dof``, ``n_rejected``, ``lost`` (fraction of
        columns), ``summed`` (fraction of columns whose flux is a sum of pixels),
        ``optimal_over_aperture`` and its error.
    """
    flux, error = result._flux(name)
    mask = result.mask(name)
    good = ~mask
    snr = float(np.median((flux / error)[good])) if good.any() else np.nan
    ratio, ratio_error = result.normalisation(name)
    figures = {
        "snr": snr,
        "flux": float(np.median(flux[good])) if good.any() else np.nan,
        "row": float(np.mean(result.trace(name))),
        "fwhm": float(np.mean(result.fwhm(name))),
        "chi2_dof": float(result.fit.reduced_chi2),
        "n_rejected": int(result.fit.rejected.sum()),
        "lost": _lost(result, mask),
        "summed": len(result.source_fluxes[name].columns) / len(flux),
        "optimal_over_aperture": ratio,
        "optimal_over_aperture_error": ratio_error,
    }
    reasons = list(_reasons(result, name, figures))
    status = "check" if reasons else "ok"
    return {"status": status, "reason": "; ".join(reasons), **figures}


def _lost(result, mask):
    """Fraction without a flux of the columns that have a pixel that can be used."""
    seen = ~(result.fit.image.mask & ~result.fit.rejected).all(axis=0)
    return float(np.mean(mask[seen])) if seen.any() else 1.0


def _reasons(result, name, figures):
    """Yield why a person should look at a source."""
    fit = result.fit
    if not fit.success:
        yield fit.message
    if figures["lost"] == 1:
        yield "no column determines the flux: sources that cannot be told apart, or no pixel left"
        return
    if figures["lost"] > LARGEST_LOSS:
        yield f"{figures['lost']:.0%} of the columns lost"
    total = criticism.total_snr(*result._flux(name), result.mask(name))
    if not total >= criticism.LEAST_SNR:
        yield f"uncertain: S/N {total:.2g} of all columns"
    if figures["fwhm"] < LEAST_FWHM:
        yield f"profile narrower than noise can be told from: {figures['fwhm']:.2g} pixels"
    scale = criticism.noise_scale(result) ** 2
    off = scale < CHI2_RANGE[0] or scale > CHI2_RANGE[1]
    if result.image.variance is not None and off:
        yield (
            f"chi2/dof {figures['chi2_dof']:.3g}: variances are off, by a factor of {scale:.2g} in "
            "most pixels"
        )
    chi2 = figures["chi2_dof"]
    # A sum of pixels is right with any profile, but what no model describes is in it too.
    if not off and (
        chi2 > LARGEST_CHI2 or (result.image.variance is not None and is_doubtful(fit))
    ):
        yield (
            f"chi2/dof {chi2:.3g}, in some pixels: the model lacks light, or hits "
            "are left; look at the residual"
        )
    offset = abs(figures["optimal_over_aperture"] - 1)
    of_profile = figures["summed"] < MOSTLY  # or it is a sum of pixels itself
    if of_profile and offset > max(LARGEST_OFFSET, 5 * figures["optimal_over_aperture_error"]):
        yield f"optimal/aperture flux {figures['optimal_over_aperture']:.3f}"
    for test in TESTS if result.seen_spectra is None else OF_WAVELENGTHS:
        yield from test(result, name)
