"""Whether an extraction can be trusted, and if not, why: the rows of its report."""

import numpy as np

__all__ = ["judge_source"]

LEAST_SNR = 3.0
CHI2_RANGE = (0.5, 2.0)
LARGEST_LOSS = 0.2
LEAST_FWHM = 0.7
LARGEST_OFFSET = 0.05


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
        columns), ``optimal_over_aperture`` and its error.
    """
    flux, error = result._flux(name)
    mask = result.mask(name)
    good = ~mask
    with np.errstate(divide="ignore", invalid="ignore"):
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
        "optimal_over_aperture": ratio,
        "optimal_over_aperture_error": ratio_error,
    }
    reasons = list(_reasons(result, figures))
    status = "check" if reasons else "ok"
    return {"status": status, "reason": "; ".join(reasons), **figures}


def _lost(result, mask):
    """Fraction without a flux of the columns that have a pixel that can be used."""
    seen = ~(result.fit.image.mask & ~result.fit.rejected).all(axis=0)
    return float(np.mean(mask[seen])) if seen.any() else 1.0


def _reasons(result, figures):
    """Yield why a person should look at a source."""
    fit = result.fit
    if not fit.success:
        yield fit.message
    if figures["lost"] == 1:
        yield "no column determines the flux: sources that cannot be told apart, or no pixel left"
        return
    if figures["lost"] > LARGEST_LOSS:
        yield f"{figures['lost']:.0%} of the columns lost"
    if not abs(figures["snr"]) >= LEAST_SNR:
        yield f"faint: S/N {figures['snr']:.2g} per column"
    if figures["fwhm"] < LEAST_FWHM:
        yield f"profile narrower than noise can be told from: {figures['fwhm']:.2g} pixels"
    if result.image.variance is None:
        yield "variance estimated from the data"
    elif not CHI2_RANGE[0] <= figures["chi2_dof"] <= CHI2_RANGE[1]:
        yield f"chi2/dof {figures['chi2_dof']:.3g}: variances or model are off"
    offset = abs(figures["optimal_over_aperture"] - 1)
    if offset > max(LARGEST_OFFSET, 5 * figures["optimal_over_aperture_error"]):
        yield f"optimal/aperture flux {figures['optimal_over_aperture']:.3f}"
