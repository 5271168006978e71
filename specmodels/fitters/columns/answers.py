"""What a fit of independent columns, or of one small system, knows beyond its values.

Leverages, covariances of weighted sums, correlations. `FitResult` asks; nothing is fitted here.
"""

import numpy as np
from astropy.table import Table
from scipy import sparse

from ...models.linear import Outer
from ...numerics import NormalEquations
from ..free_parameters import FreeParameters
from .elimination import Slopes, as_image

__all__ = [
    "column_values",
    "correlation_table",
    "correlations",
    "covariance_of",
    "leverages",
    "place",
    "prediction_error",
    "propagated",
    "residual_variance",
    "variance_of_sums",
]


def column_values(values, row, column):
    """Values of all parameters at pixels, by their place on the image; those of columns there."""
    return [v[column] if np.ndim(v) else v for v in values]


def _chunks(result):
    """Chunks of columns with basis images, weights, and the covariance of the linear parameters."""
    held = np.nan_to_num(result.held_covariance)
    for chunk in result.problem().chunks(len(result.form.linear) + 5):
        weights = result.image.weights[:, chunk]
        _, columns = result.design.of(chunk)
        basis = np.array([np.broadcast_to(columns[k], weights.shape) for k in result.form.linear])
        scale = np.max(weights, initial=0.0) or 1.0  # so that squares of any units are numbers
        inner = held if held.shape[-1] == 1 else held[..., chunk]
        yield chunk, basis, weights / scale, scale * inner


def leverages(result):
    """Part of each pixel in its own model, shape of the image; see `FitResult.leverages`."""
    out = np.empty(result.image.shape)
    for chunk, basis, weights, inner in _chunks(result):
        pulled = np.einsum("klx,lyx->kyx", inner, basis)
        out[:, chunk] = weights * np.sum(basis * pulled, axis=0)
    return out


def residual_variance(result, variance):
    """Variance of the residuals of noise of this variance; see `FitResult.residual_variance`."""
    variance, out = np.asarray(variance, dtype=float), np.empty(result.image.shape)
    mixed = [np.einsum("kyx,yx,lyx->klx", basis, weights**2 * variance[:, chunk], basis,
                       optimize=True) for chunk, basis, weights, _ in _chunks(result)]  # fmt: skip
    if result.held_covariance.shape[-1] == 1:
        total = sum(m.sum(axis=-1, keepdims=True) for m in mixed)
        mixed = [total] * len(mixed)
    for (chunk, basis, weights, inner), middle in zip(_chunks(result), mixed, strict=True):
        pulled = np.einsum("klx,lyx->kyx", inner, basis)
        hat = weights * np.sum(basis * pulled, axis=0)
        middle = np.broadcast_to(middle, (*middle.shape[:2], basis.shape[-1]))
        spread = np.einsum("kyx,klx,lyx->yx", pulled, middle, pulled, optimize=True)
        out[:, chunk] = (1 - 2 * hat) * variance[:, chunk] + spread
    return out


def propagated(result, variance):
    """Variance of the linear parameters that a variance of the pixels brings; see `FitResult`."""
    parts = []
    for chunk in result.problem().chunks(len(result.form.linear) + 3):
        weights = result.image.weights[:, chunk]
        given = np.asarray(variance[:, chunk], dtype=float)
        squared = np.where(weights > 0, weights**2 * given, 0.0)
        _, columns = result.design.of(chunk)
        columns = [as_image(columns[k], weights.shape) for k in result.form.linear]
        none = np.zeros(weights.shape)
        parts.append(NormalEquations.from_columns(columns, none, squared).matrix)
    middle = np.concatenate(parts, axis=-1)
    if result.batch is None:
        middle = middle.sum(axis=-1, keepdims=True)
    inner = result.held_covariance
    return np.einsum("kjb,kjb->kb", np.einsum("kib,ijb->kjb", inner, middle), inner)


def covariance_of(result, sums):
    """Covariance of weighted sums of linear parameters, (n_sum, n_sum); see `FitResult`."""
    rows = sparse.csr_array(np.concatenate([_rows(result, one) for one in sums]))
    shared = result.shared_covariance
    moving = shared.shape[-1] == 1 and np.any(shared)
    inner = result.held_covariance if moving else result.covariance
    n_linear, _, n_batch = inner.shape
    known = np.isfinite(inner).all(axis=(0, 1))
    blocks = np.moveaxis(np.where(known, inner, 0.0), -1, 0)
    numbers = np.arange(n_batch * n_linear).reshape(n_batch, n_linear)
    i, j = np.broadcast_arrays(numbers[:, :, None], numbers[:, None, :])
    matrix = sparse.csr_array((blocks.ravel(), (i.ravel(), j.ravel())))
    covariance = (rows @ matrix @ rows.T).toarray()
    bad = np.abs(rows) @ np.repeat(~known, n_linear) > 0
    if moving:
        response = np.moveaxis(np.nan_to_num(_response(result)), -1, 0).reshape(rows.shape[1], -1)
        moved, outer = rows @ response, shared[..., 0]
        lost = ~np.isfinite(np.diagonal(outer))
        bad |= np.any(moved[:, lost] != 0, axis=1)
        covariance += moved @ np.nan_to_num(outer, posinf=0.0) @ moved.T
    covariance[bad] = covariance[:, bad] = np.nan
    covariance[bad, bad] = np.inf
    return covariance


def variance_of_sums(result, weights, summed, position):
    """Variance of sums of the data less all but one part; see `FitResult.variance_of_sums`."""
    image, form = result.image, result.form
    part = next(set(p) for _, p in form.leaves() if position in p)
    own = np.array([k in part for k in form.linear])
    noise, out = _noise(image), np.empty(image.shape[1])
    known = np.isfinite(np.einsum("kkx->kx", result.held_covariance))
    for chunk, basis, given, scaled in _chunks(result):
        data = np.where(summed, weights, 0.0)[:, chunk]
        fitted = np.where(given > 0, data, 0.0)
        left, seen = (np.einsum("kyx,yx->kx", basis, one) for one in (weights[:, chunk], fitted))
        rest = left * own[:, None] - np.einsum("kyx,yx->kx", basis, data)
        inner = scaled / (np.max(image.weights[:, chunk], initial=0.0) or 1.0)
        moved = np.einsum("klx,lx->kx", inner, rest + 2 * seen)
        out[chunk] = np.sum(data**2 * noise[:, chunk], axis=0) + np.sum(rest * moved, axis=0)
        lost = ~(known if known.shape[-1] == 1 else known[:, chunk])
        out[chunk][((rest != 0) & lost).any(axis=0)] = np.inf
    return out


def _noise(image):
    """Variance of each pixel, zero where it is not known."""
    if image.variance is None:
        return np.ones(image.shape)
    return np.where(np.isfinite(image.variance), image.variance, 0.0)


def _rows(result, one):
    """Weights of all linear parameters, those of a column together: (n_sum, n_batch * n_linear)."""
    n_linear, n_batch = len(result.form.linear), result.covariance.shape[-1]
    if isinstance(one, str):
        out = np.zeros((n_batch, n_batch, n_linear))
        out[np.arange(n_batch), np.arange(n_batch), place(result, one)] = 1.0
        return out.reshape(n_batch, -1)
    out = np.zeros((n_batch, n_linear))
    for name, weights in one.items():
        out[:, place(result, name)] += np.asarray(weights, dtype=float)
    return out.reshape(1, -1)


def place(result, name):
    """Place of a linear parameter among these."""
    k = result.position(name)
    if k not in result.form.linear:
        raise KeyError(f"{name!r} is no free linear parameter")
    return result.form.linear.index(k)


def _response(result):
    """Derivative of the linear parameters by shared non-linear ones, with the sign turned."""
    parameters, theta = _parameters(result)
    return parameters.linearise(result.problem(), theta).response


def _parameters(result):
    """Free non-linear parameters, and their values, (n_free, n_system)."""
    n_system = result.shared_covariance.shape[-1]
    values = [np.nan_to_num(result.values[k]) for k in result.form.nonlinear]
    theta = [np.broadcast_to(v, (n_system,)) for v in values]
    return FreeParameters(result.form, n_system), np.reshape(theta, (len(theta), n_system))


def prediction_error(result):
    """Standard error of the model in each pixel; see `FitResult.prediction_error`."""
    out, weights = np.empty(result.image.shape), result.image.weights
    for chunk, basis, _, inner in _chunks(result):
        scale = np.max(weights[:, chunk], initial=0.0) or 1.0
        out[:, chunk] = np.einsum("kyx,klx,lyx->yx", basis, inner / scale, basis, optimize=True)
    if np.any(result.shared_covariance):
        _add_of_shape(result, out)
    return np.sqrt(np.where(weights > 0, out, np.nan))


def _add_of_shape(result, variance):
    """Add what the non-linear parameters bring to the variance of the model, in place."""
    parameters, theta = _parameters(result)
    response, coupling = np.nan_to_num(_response(result)), parameters.coupling(theta)
    free, outer = parameters.free, np.nan_to_num(result.shared_covariance, posinf=0.0)
    problem, values = result.problem(), result.known_values
    for chunk, basis, _, _ in _chunks(result):
        slopes = {k: s if s.shape[1] == 1 else s[:, chunk] for k, s in coupling.items()}
        found = result.form.derivatives(problem.local(values, chunk), problem.inputs(chunk),
                                        {*free, *coupling}, factored=True)  # fmt: skip
        found = {k: d if isinstance(d, Outer) else Outer(d) for k, d in found.items()}
        shape = basis.shape[1:]
        net = Slopes.of(found, free, slopes, shape).jacobian(shape)
        own = response if response.shape[-1] == 1 else response[..., chunk]
        net = net - np.einsum(
            "kyx,kpx->pyx", basis, np.broadcast_to(own, (*own.shape[:2], shape[1]))
        )
        inner = outer if outer.shape[-1] == 1 else outer[..., chunk]
        inner = np.broadcast_to(inner, (*inner.shape[:2], shape[1]))
        variance[:, chunk] += np.einsum("pyx,pqx,qyx->yx", net, inner, net, optimize=True)


def correlations(result, least):
    """Pairs of parameters by correlation, those of the columns by their median over them."""
    form, linear, shared = result.form, result.covariance, result.shared_covariance
    if shared.shape[-1] == 1 and np.any(shared):
        outer = np.nan_to_num(shared, posinf=0.0)
        mixed = -np.einsum("kpb,pq->kqb", np.nan_to_num(_response(result)), outer[..., 0])
        top = np.concatenate([linear, mixed], axis=1)
        outer = np.broadcast_to(outer, (*outer.shape[:2], linear.shape[-1]))
        below = np.concatenate([np.moveaxis(mixed, 0, 1), outer], axis=1)
        linear, order = np.concatenate([top, below]), [*form.linear, *form.nonlinear]
    else:
        order = list(form.linear)
    error = np.sqrt(np.einsum("kkb->kb", linear))
    with np.errstate(invalid="ignore", divide="ignore"):
        each = linear / (error[:, None] * error)
    known = np.isfinite(each).all(axis=(0, 1))
    middle = np.median(each[..., known], axis=-1) if known.any() else np.zeros(each.shape[:2])
    return correlation_table([form.names[k] for k in order], middle, least)


def correlation_table(names, correlation, least):
    """Table of the pairs whose absolute correlation is at least this, the strongest first."""
    i, j = np.nonzero(np.triu(np.abs(np.nan_to_num(correlation)) >= least, 1))
    order = np.argsort(-np.abs(correlation[i, j]), kind="stable")
    return Table({"first": [names[k] for k in i[order]], "second": [names[k] for k in j[order]],
                  "correlation": correlation[i, j][order]})  # fmt: skip
