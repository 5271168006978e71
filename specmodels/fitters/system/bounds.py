"""Linear coefficients within bounds: an active set over all of them."""

import numpy as np

from ..free_parameters import bounds_of

__all__ = ["limits", "within_bounds"]

MOST_ROUNDS = 60


def limits(layout):
    """Lower and upper bound of each coefficient, each of shape (n,); None where there are none."""
    parameters = layout.form.parameters
    lower, upper = (np.full(layout.n_coefficient, s * np.inf) for s in (-1, 1))
    for group in layout.groups:
        own = [(term, *bounds_of(parameters[k], layout.form.names[k]))
               for term, k in enumerate(group.positions.tolist())
               if k not in layout.form.followers]  # fmt: skip
        if own:
            terms, low, high = (np.array(column) for column in zip(*own, strict=True))
            numbers = group.numbers(terms[:, None])
            lower[numbers], upper[numbers] = low[:, None], high[:, None]
    return (lower, upper) if np.isfinite(lower).any() or np.isfinite(upper).any() else None


def within_bounds(equations, data, bounds):
    """Coefficients within their bounds, which are those of `limits`.

    Block principal pivoting (Portugal, Judice and Vicente 1994, Math. Comp. 63, 625): coefficients
    beyond a bound are held at it, those which the gradient draws inside are let free, all at once;
    one by one where that does not end.

    Returns
    -------
    equations : Equations
        With those coefficients held that end at a bound; the others are its ``unbounded``.
    coefficients : ndarray, shape (n,)
    """
    free, coefficients = equations, equations.solved(data)
    if bounds is None:
        return equations, coefficients
    lower, upper = bounds
    scale = 1e-9 / np.sqrt(np.maximum(equations.diagonal, 1e-300))
    held = np.zeros(equations.n, dtype=bool)
    at = np.zeros(equations.n)
    vector = equations.vector(data)
    for number in range(MOST_ROUNDS):
        slope = vector - equations.product(coefficients)
        out = ~held & ((coefficients < lower - scale) | (coefficients > upper + scale))
        back = held & (((at == lower) & (slope > 0)) | ((at == upper) & (slope < 0)))
        back &= np.abs(slope) * scale > 1e-12
        if not out.any() and not back.any():
            break
        if number > MOST_ROUNDS // 2:  # one at a time: the last, which cannot go round in circles
            last = np.flatnonzero(out | back)[-1]
            out, back = (mask & (np.arange(len(mask)) == last) for mask in (out, back))
        at = np.where(out, np.clip(coefficients, lower, upper), at)
        held = (held | out) & ~back
        equations = equations.holding(held)
        coefficients = equations.solved(data, at)
    if equations is not free:
        equations.known["unbounded"] = free
    return equations, np.clip(coefficients, lower, upper)
