"""What a system fit knows beyond its values, where it takes more than a line to work it out."""

import numpy as np

from ..columns.answers import correlation_table

__all__ = ["correlations", "joint_covariance", "prediction_error", "propagated"]

# Parameters up to this number of repetitions take part in the table of correlations.
MOST_CORRELATED = 200
# Coefficients whose variances are propagated together.
AT_ONCE = 200


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


def _unit(result, numbers):
    unit = np.zeros((len(result.coefficients), len(numbers)))
    unit[numbers, np.arange(len(numbers))] = 1.0
    return unit


def prediction_error(result):
    """Standard error of the model in all pixels of all images, shape (n_pixel,)."""
    equations = result.equations
    variance = equations.leverages() / np.maximum(equations.weights, 1e-300)
    for number, part in enumerate(result.fitted.slices if len(result.theta) else ()):
        place = result.fitted.parameters.places[number]
        slopes = result.fitted._slopes(number, result.theta, result.coefficients)
        net = slopes - np.stack([equations.image(r)[part] for r in result.response[:, place].T])
        net = equations.followed(net, part)
        outer = result.known_covariance[np.ix_(place, place)]
        variance[part] += np.einsum("pn,pq,qn->n", net, outer, net)
    return np.sqrt(np.where(equations.weights > 0, variance, np.nan))


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
