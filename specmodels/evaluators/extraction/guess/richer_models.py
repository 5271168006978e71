"""What a fit of an automatic model asks for beside it: a sky that bows, or another order.

Each is tried only where chi-square leaves room for it, and kept where it pays.
"""

from dataclasses import replace

import numpy as np

from ....models import ColumnPolynomial
from .further_traces import further_trace
from .sky_choice import LARGEST_SKY_DEGREE, row_limits, sky_bows, sky_is_told, sky_of

__all__ = ["is_worth_more", "with_bowed_sky", "with_further_traces"]

# Chi-square per degree of freedom beyond one from which more is looked for. By how much that has
# to lower chi-square, beside what its further coefficients take of noise: so much, and so many
# standard deviations of that.
LEAST_EXCESS, LEAST_GAIN, GAIN_SIGMA = 0.01, 30.0, 4.0
# A bow that is one of the sky leaves no more than this part of what chi-square had beyond one.
LARGEST_REST = 0.2


def with_bowed_sky(builder, fit, guess):
    """The builder with a sky that bows, and the guess; nothing where the sky shows no bow.

    Parameters
    ----------
    builder : `~specmodels.evaluators.extraction.guess.automatic.SlitModelBuilder`
    fit : `~specmodels.fitters.FitResult`
        Of the model that it made.
    guess : `~specmodels.evaluators.extraction.guess.first_guess.Guess`
        Of what.

    Yields
    ------
    builder, guess
    """
    if builder.sky is None and _leaves_more(builder, fit, guess) and sky_bows(fit, guess):
        limits = row_limits(fit.image)
        sky = ColumnPolynomial(LARGEST_SKY_DEGREE, limits=limits, name="sky")
        yield replace(builder, sky=sky), guess


def with_further_traces(builder, fit, guess):
    """The builder, and what was found together with another order that the fit leaves.

    What was taken for a parallel source may be a part of it. See `with_bowed_sky`.
    """
    told = (builder.n_sources, builder.trace, builder.trace_degree)
    if any(setting is not None for setting in told) or not builder.seeks_orders:
        return
    if not _leaves_more(builder, fit, guess):
        return
    for n_kept in sorted({len(guess.centers), 1}, reverse=True):
        trace = further_trace(fit, n_kept)
        if trace is not None:
            yield builder, replace(guess, centers=guess.centers[:n_kept], snr=guess.snr[:n_kept],
                                   extent=0.0, further=(trace,))  # fmt: skip


def is_worth_more(richer, fit, guess):
    """Whether a fit with more in its model describes the data better than one without.

    A sky with more terms has to be one, and not the wings of a source.
    """
    freedom = [float(np.sum(own.dof)) for own in (fit, richer)]
    degrees = [getattr(sky_of(own.template), "degree", 0) for own in (fit, richer)]
    if not richer.success:
        return False
    if degrees[1] > degrees[0]:
        excess = [own.reduced_chi2 - 1 for own in (fit, richer)]
        rest = max(LARGEST_REST * excess[0], GAIN_SIGMA * np.sqrt(2 / freedom[1]))
        if excess[1] > rest or not sky_is_told(richer, guess):
            return False
    gained = (fit.reduced_chi2 / max(richer.reduced_chi2, 1.0) - 1) * freedom[0]
    # Their images may have other rows: of each, terms are what freedom its own pixels have lost.
    n_pixels = [np.count_nonzero(own.image.weights) for own in (fit, richer)]
    n_more = max(n_pixels[1] - freedom[1] - n_pixels[0] + freedom[0], 0.0)
    return gained > LEAST_GAIN + GAIN_SIGMA * np.sqrt(2 * n_more)


def _leaves_more(builder, fit, guess):
    """Whether chi-square has room for more, and shapes are not those of noise."""
    certain = fit.success and fit.independent_columns and not builder.is_faint(guess)
    return certain and fit.reduced_chi2 > 1 + LEAST_EXCESS
