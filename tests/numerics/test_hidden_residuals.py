"""What pixels without a value leave over of a model, by the pixels around."""

import numpy as np

from specmodels.numerics.hidden_residuals import ColumnErrors, predicted


def test_changes_of_the_model_count_as_far_as_pixels_around_follow_them():
    """On the left the columns of the data change as the model says, on the right they do not."""
    rng = np.random.default_rng(3)
    shape, noise, size = (40, 600), 0.05, 0.3
    change = size * rng.normal(size=shape[1])
    left = np.arange(shape[1]) < shape[1] // 2
    model = np.broadcast_to(10 + change, shape)
    data = 10 + np.where(left, change, 0.0) + noise * rng.normal(size=shape)
    hidden = rng.random(shape) < 0.02
    residual = np.where(hidden, 0.0, data - model)
    none = ColumnErrors(np.zeros(shape), np.zeros(shape))
    value, _, _ = predicted(model, residual, np.full(shape, noise**2), ~hidden, hidden, none)
    error = (model[hidden] + value) - data[hidden]
    on_left = np.broadcast_to(left, shape)[hidden]
    assert np.std(error[on_left]) < 1.2 * noise
    # One part for all columns leaves as much of the changes as there is.
    assert np.std(error[~on_left]) < 0.8 * size


def test_where_the_model_is_worse_than_the_neighbours_these_are_taken():
    """In the middle the spectrum changes from column to column; at the ends the model is wrong."""
    rng = np.random.default_rng(4)
    shape, noise = (40, 900), 0.1
    rows, columns = np.indices(shape)
    edge = (rows < 6) | (rows > 33)
    spectrum = 10 + rng.normal(0, 0.5, shape[1])
    data = np.where(edge, 8 + 0.01 * rows, spectrum)
    model = np.where(edge, 8 + rng.normal(0, 2, shape), spectrum)
    data = data + noise * rng.normal(size=shape)
    hidden = (rng.random(shape) < 0.02) & (columns > 0) & (columns < shape[1] - 1)
    hidden[:, 1:] &= ~hidden[:, :-1]
    known = ~hidden
    residual = np.where(known, data - model, 0.0)
    none = ColumnErrors(np.zeros(shape), np.zeros(shape))
    value, variance, _ = predicted(model, residual, np.full(shape, noise**2), known, hidden, none)
    error = (model - data)[hidden] + value
    neighbours = 0.5 * (np.roll(data, 1, 1) + np.roll(data, -1, 1)) - data
    at_edge = ((rows < 5) | (rows > 34))[hidden]  # whose neighbours are such rows as well
    assert np.std(error[at_edge]) < 1.1 * np.std(neighbours[hidden][at_edge])
    inside = ((rows > 6) & (rows < 33))[hidden]
    assert np.std(error[inside]) < 1.2 * noise
    pulls = error / np.sqrt(variance + noise**2)
    assert 0.8 < np.std(pulls[at_edge]) < 1.25
    assert 0.8 < np.std(pulls[inside]) < 1.25
