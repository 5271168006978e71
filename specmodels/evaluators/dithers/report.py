"""What exposures have to do with a joint spectrum: their shares, and where they disagree."""

from dataclasses import dataclass

import numpy as np

from ..extraction.fluxes.seen_spectra import spectrum_name
from ..extraction.status.quality import judge_source

__all__ = ["Difference", "differences", "shares", "summary_of"]

N_PARTS = 12
# A difference counts at so many standard deviations of chi-square, and this part of the flux.
DIFFERENCE_SIGMA, LEAST_DIFFERENCE = 6.0, 0.01
MOST_SHARE = 0.98


@dataclass(frozen=True)
class Difference:
    """How an exposure differs from the joint spectrum.

    Attributes
    ----------
    chi2 : float
        Chi-square of the light in parts of the spectrum against that of the joint spectrum, for
        each part.
    reason : str
        Empty where it agrees.
    """

    chi2: float
    reason: str


def shares(result):
    """Part of the squared signal-to-noise ratio that each exposure has, by source and exposure."""
    out = {}
    for name in result.sources:
        power = {key: np.sum(_information(view, name)[1]) for key, view in result.views.items()}
        total = sum(power.values()) or 1.0
        out[name] = {key: float(value / total) for key, value in power.items()}
    return out


def differences(result):
    """`Difference` of each exposure, by source and exposure.

    The residual of an exposure, weighted as the light of a source, says by which factor that should
    be multiplied, in each part of the spectrum. Of two estimates of which one is part of the other
    the difference has the difference of their variances: the share of the exposure is subtracted.
    """
    out = {}
    for name in result.sources:
        edges = _edges(result, name)
        found = {key: _parts(view, name, edges) for key, view in result.views.items()}
        total = np.sum([power for _, power in found.values()], axis=0)
        out[name] = {key: _difference(*own, total) for key, own in found.items()}
    return out


def _information(view, name):
    """Residual times light, and light squared, both weighted: sums over rows, per column."""
    light = np.nan_to_num(view.fit.components()[spectrum_name(name)])
    weights = view.fit.image.weights
    residual = np.where(weights > 0, np.nan_to_num(view.fit.residual()), 0.0)
    return np.sum(weights * residual * light, axis=0), np.sum(weights * light**2, axis=0)


def _edges(result, name):
    """Wavelengths between parts of the spectrum of a source."""
    waves = np.concatenate([view.seen_spectra.wavelengths[name] for view in result.views.values()])
    waves = waves[np.isfinite(waves)]
    return np.quantile(waves, np.linspace(0, 1, N_PARTS + 1)[1:-1]) if len(waves) else np.zeros(0)


def _parts(view, name, edges):
    """Sums of `_information` over the parts of the spectrum."""
    wave = view.seen_spectra.wavelengths[name]
    part = np.searchsorted(edges, np.nan_to_num(wave))
    return [np.bincount(part, np.where(np.isfinite(wave), own, 0.0), minlength=N_PARTS)
            for own in _information(view, name)]  # fmt: skip


def _difference(pull, power, total):
    """`Difference` from sums over the parts of the spectrum."""
    share = np.divide(power, total, out=np.zeros(N_PARTS), where=total > 0)
    use = (power > 0) & (share < MOST_SHARE)
    if not use.any():
        return Difference(np.nan, "")
    pull, power, rest = pull[use], power[use], (1 - share)[use]
    chi2, n = float(np.sum(pull**2 / (power * rest))), np.count_nonzero(use)
    relative = pull / (power * rest)
    part = float(np.sqrt(np.sum(power * relative**2) / np.sum(power)))
    off = chi2 > n + DIFFERENCE_SIGMA * np.sqrt(2 * n) and part > LEAST_DIFFERENCE
    reason = f"differs from the other exposures by {part:.0%} in parts of the spectrum"
    return Difference(chi2 / n, reason if off else "")


def summary_of(result, name):
    """Figures of one source of all exposures, and its status, as `judge_source` has them of one.

    Reasons that only some of the exposures give name them.
    """
    each = {key: judge_source(view, name) for key, view in result.views.items()}
    first, mask = next(iter(each.values())), result.mask(name)
    reasons = {}
    for key, own in each.items():
        texts = [text for text in own["reason"].split("; ") if text]
        for text in dict.fromkeys([*texts, result.differences[name][key].reason]):
            if text:
                reasons.setdefault(text, []).append(key)
    said = [text if len(keys) == len(each) and len(each) > 1 else f"{', '.join(keys)}: {text}"
            for text, keys in reasons.items()]  # fmt: skip
    said += [f"{key} left out: {reason}" for key, reason in result.left_out.items()]
    flux, error = result.flux(name)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = (flux / error)[~mask]
    ratio, ratio_error = result.normalisation(name)
    figures = {
        "snr": float(np.median(snr)) if snr.size else np.nan,
        "flux": float(np.median(flux[~mask])) if snr.size else np.nan,
        "chi2_dof": float(result.fit.reduced_chi2), "n_rejected": result.fit.n_rejected,
        "lost": float(np.mean(mask)), "n_exposures": len(each),
        "optimal_over_aperture": ratio, "optimal_over_aperture_error": ratio_error,
    }  # fmt: skip
    kept = {key: first[key] for key in ("row", "fwhm")}
    return {"status": "check" if said else "ok", "reason": "; ".join(said), **kept, **figures}
