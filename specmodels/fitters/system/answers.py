"""What a system fit knows beyond its values, where it takes more than a line to work it out."""

import numpy as np
from scipy import sparse

from ...numerics.bordered_band import LEAST_PART, BorderedBand
from ...numerics.sparse_rows import image_of
from ..columns.answers import correlation_table

__all__ = [
    "correlations",
    "covariance_of_neighbours",
    "joint_covariance",
    "prediction_error",
    "prediction_variances",
    "propagated",
    "variance_of_sums",
]

# Parameters up to this number of repetitions take part in the table of correlations.
MOST_CORRELATED = 200
# Coefficients whose variances are propagated together, sums that are weighted together, and
# derivatives of pixels that are held together.
AT_ONCE, SUMS_AT_ONCE, SLOPES_AT_ONCE = 200, 32, 1e5
# Diagonals of the inverse up to which covariances of neighbours are read off it.
MOST_DIAGONALS = 400


def correlations(result, least):
    """Pairs of parameters by correlation; see `FitResult.correlations`."""
    names, numbers = [], []
    for group in result.layout.groups:
        if group.size * len(group.positions) > MOST_CORRELATED:
            continue
        for term, k in enumerate(group.positions):
            if k not in result.form.followers:
                numbers.extend(group.numbers(term))
    # Of what the data do not determine there is no correlation.
    numbers = [number for number in numbers if result.equations.determined[number]]
    names = [result.layout.name(number) for number in numbers]
    covariance = joint_covariance(result, np.array(numbers, dtype=int))
    names += result.fitted.parameters.names
    error = np.sqrt(np.diagonal(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = covariance / np.multiply.outer(error, error)
    return correlation_table(names, correlation, least)


def joint_covariance(result, numbers):
    """Covariance of some coefficients and all non-linear parameters."""
    inner = result.equations.solve(_unit(result, numbers))[numbers]
    outer, response = result.known_covariance, result.response[numbers]
    mixed = -response @ outer
    return np.block([[inner + response @ outer @ response.T, mixed], [mixed.T, outer]])


def covariance_of_neighbours(result, rows, width):
    """Covariances of local sums of coefficients with those that follow, shapes held.

    Parameters
    ----------
    result : SystemFitResult
    rows : `~scipy.sparse.csr_array`, shape (n_sum, n_coefficient)
        Sums that are next to one another, of few coefficients each.
    width : int

    Returns
    -------
    ndarray, shape (n_sum, width)
        Entry ``k`` of row ``i`` belongs to the sums ``i`` and ``i + k``; infinite in the first
        column, and else zero, where a sum is not determined.
    """
    found = _in_the_band(result.equations, rows, width)
    if found is not None:
        return found
    n = rows.shape[0]
    out = np.zeros((n, width))
    for start in range(0, n, AT_ONCE):
        own = rows[start : start + AT_ONCE + width].toarray()
        own = result.covariance_of_linear_rows(own)
        for k in range(width):
            entries = np.diagonal(own, k)[:AT_ONCE]
            out[start : start + len(entries), k] = entries
    out[:, 1:] = np.nan_to_num(out[:, 1:])
    return out


def _in_the_band(equations, rows, width):
    """As `covariance_of_neighbours`, from diagonals of the inverse; None where these do not do."""
    factor, n = equations.factor, rows.shape[0]
    exact = equations.direct is equations  # else its factor is a preconditioner
    if not (exact and isinstance(factor, BorderedBand)):
        return None
    ranked = sparse.csr_array((rows.data, equations.structure.rank[rows.indices], rows.indptr),
                              shape=rows.shape)  # fmt: skip
    reach = _reach(ranked, width)
    if ranked.indices.max(initial=0) >= factor.n_band or reach >= MOST_DIAGONALS:
        return None
    ranked.resize(n, factor.n_band)
    product = ranked @ _symmetric(factor.inverse_within(reach + 1)) @ ranked.T
    out = np.zeros((n, width))
    for k in range(min(width, n)):
        out[: n - k, k] = product.diagonal(k)
    lost = ~_determined(factor, ranked)
    for k in range(1, min(width, n)):
        out[: n - k, k][lost[: n - k] | lost[k:]] = 0.0
    out[lost, 0] = np.inf
    return out


def _determined(factor, ranked):
    """Whether each sum is determined, as `BorderedBand.determines` tells of dense rows."""
    seen, n = factor.scale[: factor.n_band], ranked.shape[0]
    part = ranked @ (seen[:, None] * factor.null[: factor.n_band])
    size = np.sqrt(ranked**2 @ seen**2)
    unseen = np.bincount(np.repeat(np.arange(n), np.diff(ranked.indptr)),
                         weights=seen[ranked.indices] == 0, minlength=n)  # fmt: skip
    return (np.sqrt(np.sum(part**2, axis=1)) <= LEAST_PART * size) & (unseen == 0)


def _reach(ranked, width):
    """Largest distance of coefficients of sums that are less than `width` apart."""
    n = ranked.shape[0]
    row = np.repeat(np.arange(n), np.diff(ranked.indptr))
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(first, row, ranked.indices)
    np.maximum.at(last, row, ranked.indices)
    pairs = ((first[: n - k], last[k:], first[k:], last[: n - k]) for k in range(min(width, n)))
    return int(max((max(np.max(b - a), np.max(d - c)) for a, b, c, d in pairs), default=0))


def _symmetric(band):
    """Sparse matrix of a band as in `BorderedBand`, its upper part added."""
    n, lines = len(band), {}
    for d in range(min(band.shape[1], n)):
        lines[d] = lines[-d] = band[: n - d, d]
    return sparse.diags_array(list(lines.values()), offsets=list(lines), format="csr")


def _unit(result, numbers):
    unit = np.zeros((len(result.coefficients), len(numbers)))
    unit[numbers, np.arange(len(numbers))] = 1.0
    return unit


def prediction_error(result):
    """Standard error of the model in all pixels of all images, shape (n_pixel,)."""
    equations, problem = result.equations, result.fitted
    variance = equations.leverages()
    variance /= np.maximum(equations.weights, 1e-300)
    for number, rows in problem.parts(SLOPES_AT_ONCE) if len(result.theta) else ():
        place = problem.parameters.places[number]
        part, *entries = equations.entries.rows(number, rows)
        net = problem.slopes(number, result.theta, result.coefficients, rows=rows)
        for own, response in zip(net, result.response[:, place].T, strict=True):
            own -= image_of(*entries, np.ascontiguousarray(response))
        net = equations.followed(net, part)
        outer = result.known_covariance[np.ix_(place, place)]
        variance[part] += np.einsum("pn,pn->n", net, outer @ net)
    return np.sqrt(np.where(equations.weights > 0, variance, np.nan))


def prediction_variances(equations, pixels):
    """Variance of the prediction in pixels without weight, by their numbers; shape (n,).

    That of correlated noise included, and infinite where the others do not tell. Where solutions
    take iterations, coefficients have the covariance of white noise alone.
    """
    if equations.noise is None and not equations.factor.null.shape[1]:
        unseen = ~equations.seen
        out = equations.predicted_variances()[pixels]
        return np.where(equations.entries.see(unseen)[pixels], np.inf, out)
    out = np.empty(len(pixels))
    for start in range(0, len(pixels), SUMS_AT_ONCE):
        some = pixels[start : start + SUMS_AT_ONCE]
        unit = sparse.csr_array((np.ones(len(some)), (np.arange(len(some)), some)),
                                shape=(len(some), len(equations.weights)))  # fmt: skip
        variance, net = equations.noise_beyond(unit)
        rows = equations.entries.of_sums(net)
        out[start : start + len(some)] = variance + _quadratic(equations.direct, rows, rows)
    return out


def propagated(result, variance):
    """Variance of each linear parameter that a variance of the pixels brings, as a list."""
    equations, out = result.equations, []
    root = np.sqrt(np.nan_to_num(np.ravel(variance)))
    for k in result.form.linear:
        group, term = result.layout.place[k]
        own = np.empty(group.size)
        for start in range(0, group.size, AT_ONCE):
            numbers = group.numbers(term)[start : start + AT_ONCE]
            solved = equations.solve(_unit(result, numbers))
            images = (equations.weighted(equations.image(c)) for c in solved.T)
            own[start : start + len(numbers)] = [np.sum((root * one) ** 2) for one in images]
        out.append(own.reshape(group.shape) if group.over else own)
    return out


def variance_of_sums(result, weights, summed, position):
    """Variance of sums of the data less all but one part; see `FitResult.variance_of_sums`.

    With the coefficients :math:`t` in the weighted sum of the fitted pixels, and those that the sum
    has besides, :math:`r = s - t`, it is the variance of the pixels and :math:`r^T C (r + 2t)`. The
    non-linear parameters are further coefficients whose entries are the slopes of the model.
    """
    equations, shape = result.equations, result.image.shape
    part = next(set(p) for _, p in result.form.leaves() if position in p)
    own = result.fitted.entries_of(part, result.theta)
    # Pixels first: products with sparse sums would else copy all of them for each chunk.
    slopes, own_slopes = (np.ascontiguousarray(s.T) for s in _slopes_of_part(result, part))
    place = result.fitted.parameters.places[0]
    response, outer = result.response[:, place], result.known_covariance[np.ix_(place, place)]
    given = result.image.variance
    noise = np.ones(own.n_pixel) if given is None else np.nan_to_num(np.ravel(given))
    out = np.empty(shape[1])
    for start in range(0, shape[1], SUMS_AT_ONCE):
        chunk = slice(start, min(start + SUMS_AT_ONCE, shape[1]))
        light, data = (_along_columns(one, chunk)
                       for one in (weights, np.where(summed, weights, 0.0)))  # fmt: skip
        fitted = data * (equations.weights > 0)
        unseen = data - fitted
        weighted = equations.weighted_sums(fitted * noise)
        variance, beyond = equations.noise_beyond(unseen)
        variance += (unseen * unseen * noise).sum(axis=1) + (fitted * noise * weighted).sum(axis=1)
        seen, subtracted = (equations.entries.of_sums(one) for one in (weighted, beyond))
        rest = own.of_sums(light) - subtracted - seen
        variance += _quadratic(equations, rest, rest + 2 * seen)
        seen_slopes = weighted @ slopes
        moved = rest @ response - light @ own_slopes + beyond @ slopes + seen_slopes
        held = seen @ response - seen_slopes
        out[chunk] = variance + np.einsum("sp,pq,sq->s", moved, outer, moved + 2 * held)
    return out


def _along_columns(weights, chunk):
    """Sums along some columns of an image of weights, sparse (n_sum, n_pixel)."""
    row, column = np.nonzero(weights[:, chunk])
    pixel = row * weights.shape[1] + column + chunk.start
    shape = chunk.stop - chunk.start, weights.size
    return sparse.csr_array((weights.ravel()[pixel], (column, pixel)), shape=shape)


def _quadratic(equations, left, right):
    """Products of rows of coefficients in their covariance, shapes held; infinite if unknown."""
    moved = equations.covariance_times(right)
    return np.where(equations.determines(left), np.sum(left * moved.T, axis=1), np.inf)


def _slopes_of_part(result, part):
    """Slopes of the model by its free parameters, and those of one part, (n_free, n_pixel)."""
    problem = result.fitted
    if not problem.parameters.places[0]:
        return (np.zeros((0, result.image.data.size)),) * 2
    all_, rest = (problem.slopes(0, result.theta, result.coefficients, without=without)
                  for without in ((), part))  # fmt: skip
    return all_, all_ - rest
