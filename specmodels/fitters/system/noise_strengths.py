r"""Spectra of correlated noise of greatest restricted likelihood.

Newton's steps with the average information (Gilmour, Thompson and Cullis 1995, Biometrics 51,
1440). The trace in the gradient,

.. math::
    2\,\partial_i \log L = d^T P\,\partial_i K\,P d - \mathrm{tr}(P\,\partial_i K),

is that with the covariance of the data alone, from its determinant, less what the coefficients take
of it: the mean over some simulated frames, always the same ones, at the cost of a few solutions.
"""

import numpy as np

__all__ = ["learnt_noise"]

N_SIMULATED = 32
# Steps end where the next one would raise the logarithm of the likelihood by no more than this: a
# tenth of a standard error.
LEAST_PROMISE, MOST_STEPS, MOST_HALVINGS = 0.005, 20, 4
MOST_CHANGE = {"amplitude": 1.5, "exponent": 0.3}
# Exponents scatter around that of 1/f noise: data without any would leave them to chance.
EXPONENT, EXPONENT_SPREAD, LEAST_EXPONENT, MOST_EXPONENT = 1.0, 0.5, 0.1, 2.5
STEP = 1e-3
LEAST_AMPLITUDE = 1e-6  # of the white noise: as good as none


def learnt_noise(equations, data):
    """Equations with the spectra of the noise that the data make most likely.

    Parameters
    ----------
    equations : CorrelatedEquations
    data : ndarray, shape (n_pixel,)

    Returns
    -------
    CorrelatedEquations
    """
    white = 1 / np.median(equations.weights[equations.weights > 0])
    noise = equations.noise
    least = np.array([np.log(LEAST_AMPLITUDE * white) if what == "amplitude" else LEAST_EXPONENT
                      for _, what in noise.learnt])  # fmt: skip
    most = np.array([np.inf if what == "amplitude" else MOST_EXPONENT for _, what in noise.learnt])
    limit = np.array([MOST_CHANGE[what] for _, what in noise.learnt])
    value = _badness(equations, data)
    for _ in range(MOST_STEPS):
        numbers = equations.noise.numbers
        score, information = _score(equations, data)
        free = ~((numbers <= least) & (score < 0)) & ~((numbers >= most) & (score > 0))
        step = np.zeros(len(numbers))
        if free.any():
            step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        if 0.5 * step @ score < LEAST_PROMISE:
            break
        step *= min(1.0, np.min(limit / np.maximum(np.abs(step), 1e-300)))
        for _ in range(MOST_HALVINGS):
            trial = np.clip(numbers + step, least, most)
            other = equations.of(equations, equations.noise.with_laws(trial))
            found = _badness(other, data)
            if not found >= value:  # nor where it is not known
                break
            step *= 0.3
        if found >= value:
            break
        equations, value = other, found
    return equations


def _badness(equations, data):
    """Twice the negative logarithm of the restricted likelihood, but for a constant.

    NaN where its determinant is not known.
    """
    if np.isnan(equations.log_determinant):
        return np.nan
    coefficients = equations.solved(data)
    left = np.where(equations.weights > 0, data - equations.image(coefficients), 0.0)
    out = equations.covariance_of_data.log_determinant + equations.log_determinant
    out += float(left @ equations.weighted(left))
    for penalty, strength in zip(equations.penalties.all, equations.strengths, strict=True):
        out += strength * penalty.square(coefficients)
    exponents = equations.noise.numbers[_exponents(equations.noise)]
    return out + float(np.sum(((exponents - EXPONENT) / EXPONENT_SPREAD) ** 2))


def _exponents(noise):
    return np.array([what == "exponent" for _, what in noise.learnt], dtype=bool)


def _score(equations, data):
    """Gradient of the logarithm of the likelihood by what is learnt, and its information."""
    noise, metric = equations.noise, equations.covariance_of_data
    rng = np.random.default_rng(noise.leaves[0].seed)
    simulated = metric.coloured(rng.standard_normal((N_SIMULATED, len(noise.order))))
    coefficients = equations.solved(data)
    left = equations.weighted(np.where(equations.weights > 0,
                                       data - equations.image(coefficients), 0.0))  # fmt: skip
    outer, inner = equations.weighted(simulated), equations.without_model(simulated)
    slopes, score, moved = noise.slopes(), [], []
    for slope in slopes:
        moved.append(metric.correlated(left, slope))
        taken = np.mean(np.sum(outer * metric.correlated(outer - inner, slope), axis=1))
        score.append(0.5 * (left @ moved[-1] + taken))
    moved = np.where(equations.weights > 0, np.stack(moved), 0.0)
    information = 0.5 * moved @ equations.without_model(moved).T
    steep = _exponents(noise)
    score = np.array(score) - 0.5 * _determinant_slopes(equations)
    score[steep] -= (noise.numbers[steep] - EXPONENT) / EXPONENT_SPREAD**2
    # A little for amplitudes too: of data that have no noise at all nothing is to be learnt.
    information[np.diag_indices(len(score))] += np.where(steep, EXPONENT_SPREAD**-2, 1e-3)
    return score, information


def _determinant_slopes(equations):
    """Derivatives of the logarithm of the determinant of the data's covariance, (n_learnt,)."""
    noise, out = equations.noise, []
    for step in STEP * np.eye(len(noise.learnt)):
        ends = [noise.with_laws(noise.numbers + sign * step).covariance(equations.weights)
                for sign in (1, -1)]  # fmt: skip
        out.append((ends[0].log_determinant - ends[1].log_determinant) / (2 * STEP))
    return np.array(out)
