"""What pixels without a value leave over of a model, by the pixels around."""

import numpy as np

from specmodels.numerics.hidden_residuals import predicted


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
    value, _ = predicted(model, residual, np.full(shape, noise**2), ~hidden, hidden)
    error = (model[hidden] + value) - data[hidden]
    on_left = np.broadcast_to(left, shape)[hidden]
    assert np.std(error[on_left]) < 1.2 * noise
    # One part for all columns leaves as much of the changes as there is.
    assert np.std(error[~on_left]) < 0.8 * size
