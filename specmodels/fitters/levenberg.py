"""Steps of Levenberg and Marquardt within bounds, of one system or of many small ones at once."""

import numpy as np

from ..numerics.normal import factorise, solve_factorised

__all__ = ["LEAST_INFORMATION", "damped_step", "next_damping"]

# Information below this is rounding: the data say nothing of the parameter.
LEAST_INFORMATION = 1e-100
SMALLEST_DAMPING, LEAST_FACTOR = 1e-9, 0.1


def next_damping(damping, growth, ratio):
    """Damping of the next step, from the gain over what was promised.

    The rule is that of Nielsen (1999, report IMM-REP-1999-05, Technical University of Denmark).
    Along a curved valley steps stay as long as they succeed, where a fixed factor would have every
    second one fail.
    """
    better = ratio > 0
    factor = np.clip(1 - (2 * ratio - 1) ** 3, LEAST_FACTOR, None)
    damping = np.where(better, damping * factor, damping * growth)
    growth = np.where(better, 2.0, 2 * growth)
    return np.clip(damping, SMALLEST_DAMPING, None), growth


def damped_step(parameters, state, damping):
    """Damped step of each system within the bounds, and the decrease of chi-square it promises.

    A step that would leave the bounds is not cut, which would spoil it for the other parameters: it
    ends at the first bound in its way, and the others are solved for again.
    """
    gradient, information = parameters.with_priors(
        state.theta, state.solved.gradient, state.solved.information
    )
    lower, upper = parameters.lower - state.theta, parameters.upper - state.theta
    diagonal = np.einsum("ppb->pb", information)
    known = diagonal > LEAST_INFORMATION
    held = ((lower >= 0) & (gradient < 0)) | ((upper <= 0) & (gradient > 0)) | ~known
    floor = 1e-12 * np.maximum(np.max(diagonal, axis=0), 0.0) + 1e-300
    scale = np.where(known, 1 / np.sqrt(np.maximum(diagonal, floor)), 0.0)
    damped = information * scale[:, None] * scale[None]
    index, systems = np.arange(len(gradient)), np.arange(gradient.shape[1])
    damped[index, index] += damping + 1e-10
    step = np.zeros_like(gradient)
    for _ in index:
        step = _with_some_held(damped, gradient, scale, held, step)
        bound = np.where(step > 0, upper, lower)
        over = ~held & (np.abs(step) > np.abs(bound))
        if not over.any():
            break
        way = np.divide(bound, step, out=np.full(step.shape, np.inf), where=over)
        first = np.argmin(way, axis=0), systems
        stops = tuple(one[over.any(axis=0)] for one in first)
        held[stops], step[stops] = True, bound[stops]
    bent = np.einsum("pb,pqb,qb->b", step, information, step)
    return step, 2 * np.sum(step * gradient, axis=0) - bent


def _with_some_held(damped, gradient, scale, held, step):
    """Step in which those parameters that are `held` keep theirs, and the others are free."""
    fixed = np.divide(step, scale, out=np.zeros_like(step), where=held & (scale > 0))
    vector = gradient * scale - np.einsum("pqb,qb->pb", damped, fixed)
    matrix = np.where(held[:, None] | held[None], 0.0, damped)
    index = np.arange(len(step))
    matrix[index, index] += held
    free = _solved(matrix, np.where(held, 0.0, vector)) * scale
    return np.where(held, fixed * scale, free)


def _solved(matrix, vector):
    """Solution of one system, or of many small ones at once."""
    if vector.shape[1] == 1:
        return np.linalg.solve(matrix[..., 0], vector)
    factor, scale, _ = factorise(matrix)
    return solve_factorised(factor, vector * scale) * scale
