"""What is to be said of a time series: figures, and reasons to look closer."""

import numpy as np

from ...numerics.robust import MAD_TO_SIGMA
from ..extraction.status.quality import CHI2_RANGE, TESTS
from .moving_sources import largest_movements

__all__ = ["summary_of"]

# Movements beyond this part of the largest that are followed are named.
NEAR = 5 / 6
# Integrations whose chi-square lies so many of its standard deviations off the others are named.
STRANGE_SIGMA = 8.0
# A mean spectrum is no better than this where its model misses so much of the light; and no source
# is seen below this signal-to-noise ratio of the white light.
MOST_MISSED, LEAST_SNR = 0.03, 5.0
# From one integration to the next the white light may scatter by so much more than its errors, and
# by so many standard deviations of that ratio.
LARGEST_EXCESS, EXCESS_SIGMA = 0.3, 4.0


def summary_of(result, name):
    """Figures of a source, and its status: a row of the report."""
    white = result.white_light(name)
    known = np.isfinite(white["flux"].value) & (white["flux_error"].value > 0)
    snr = float(np.median((white["flux"] / white["flux_error"])[known])) if known.any() else np.nan
    reasons = list(_reasons(result, name, white, snr))
    return {
        "source": name, "status": "check" if reasons else "ok", "reason": "; ".join(reasons),
        "n_integrations": len(result.series), "snr_white": snr,
        "chi2_dof": _middle(result.reduced_chi2[result.dof > 0]),
        "shift": float(np.std(result.theta[:, 0])), "stretch": float(np.std(result.theta[:, 1])),
        "n_hits": len(result.hits),
    }  # fmt: skip


def _reasons(result, name, white, snr):
    if not result.mean.fit.success:
        yield f"mean image: {result.mean.fit.message}"
    for test in TESTS:
        yield from (f"mean image: {reason}" for reason in test(result.mean, name))
    missed = _missed(result.mean)
    if missed > MOST_MISSED:
        yield f"mean image: the model misses {missed:.0%} of the light: see result.mean.plot()"
    if not abs(snr) > LEAST_SNR:
        yield f"no source is seen: signal-to-noise ratio {snr:.2g} of the white light"
    excess = _excess_scatter(white)
    if excess:
        yield (
            f"white light scatters from one integration to the next by {excess:.2g} times its "
            "errors: if the star does not, detrend with movements()"
        )
    seen, chi2 = result.dof > 0, result.reduced_chi2
    if not seen.all():
        yield f"integrations {_listed(np.flatnonzero(~seen))} have no usable pixel"
    middle = _middle(chi2[seen])
    known = result.series.first.variance is not None
    if known and not CHI2_RANGE[0] <= middle <= CHI2_RANGE[1]:
        yield f"chi2/dof {middle:.3g} in most integrations: variances are off"
    limit = STRANGE_SIGMA * middle * np.sqrt(2 / np.maximum(result.dof, 1))
    strange = np.flatnonzero(seen & ~(np.abs(chi2 - middle) <= np.maximum(limit, 0.3 * middle)))
    if strange.size:
        yield f"integrations {_listed(strange)} do not fit, look at movements()['chi2_dof']"
    near = np.abs(result.theta[:, :2]) > NEAR * largest_movements(result.mean)
    far = np.flatnonzero(near.any(axis=1))
    if far.size:
        yield f"integrations {_listed(far)} moved or widened about as far as is followed"


def _excess_scatter(white):
    """Scatter of the white light over its errors, where it is larger by more than chance; or None.

    Differences of neighbours know nothing of transits and trends.
    """
    flux, error = white["flux"].value, white["flux_error"].value
    step = np.diff(flux) / np.hypot(error[1:], error[:-1])
    step = step[np.isfinite(step)]
    if step.size < 2:
        return None
    ratio = MAD_TO_SIGMA * np.median(np.abs(step - np.median(step)))
    # Of a median absolute deviation of normal numbers, somewhat more as neighbours share one.
    limit = max(LARGEST_EXCESS, EXCESS_SIGMA * 1.3 / np.sqrt(step.size))
    return float(ratio) if ratio > 1 + limit else None


def _missed(mean):
    """Rms of what a model leaves beyond the noise, over that of the light of the sources."""
    image, light = mean.fit.image, 0.0
    for name, component in mean.fit.components().items():
        light = light + np.nan_to_num(component) * (name in mean.sources)
    use = image.weights > 0
    residual = np.nan_to_num(image.data - mean.model)[use]
    excess = np.sum(residual**2) - np.sum(1 / image.weights[use])
    total = np.sum(light[use] ** 2)
    return float(np.sqrt(max(excess, 0.0) / total)) if total else 0.0


def _middle(values):
    return float(np.median(values)) if len(values) else np.nan


def _listed(numbers, most=5):
    text = ", ".join(str(number) for number in numbers[:most])
    return text if len(numbers) <= most else f"{text} and {len(numbers) - most} more"
