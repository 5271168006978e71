"""Every model at random parameters, shapes and positions: it answers, quietly and with numbers.

The environment variable ``SPECMODELS_FUZZ`` says how many are tried for each, see `generated`.
"""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.models.linear_form import LinearForm
from tests.models.model_contract import examples, rebuilt

from .generated import seeds

EXAMPLES = examples()
TRIALS = seeds(5)
SHAPES = [(), (1,), (0,), (7,), (5, 1), (1, 6), (5, 6), (2, 3, 4), (0, 3)]
# Exponents: larger ones overflow, as they should, and so do series of them far off.
LARGEST = {"log polynomial": 5.0, "flicker spectrum": 3.0}


def random_value(rng, parameter, largest):
    """A value within the bounds: often near the example's, at times far off or at a bound."""
    low, high = parameter.bounds
    spread = min(largest, 10.0 ** rng.uniform(-2, 3))
    value = parameter.value + spread * rng.normal()
    if rng.random() < 0.1 and (low, high) != (None, None):
        value = rng.choice([bound for bound in (low, high) if bound is not None])
    value = np.clip(value, -largest, largest) if np.isfinite(largest) else value
    return float(np.clip(value, -np.inf if low is None else low, np.inf if high is None else high))


def random_model(rng, key):
    """The model of an example with other values; shapes of splines stay profiles with light."""
    example = EXAMPLES[key]
    model, largest = example.make(), LARGEST.get(key, np.inf)
    values = []
    for name in model.param_names:
        parameter = getattr(model, name)
        if name in example.held and "trace" not in key:
            values.append(parameter.value * rng.uniform(0.9, 1.1))
        else:
            values.append(random_value(rng, parameter, largest))
    return rebuilt(model, values)


def random_inputs(rng, key):
    """Positions in and around those of the example, on a grid or not, broadcast or not."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    furthest = 0 if key in LARGEST else 4
    inputs = []
    for values in EXAMPLES[key].inputs:
        low, high = np.min(values), np.max(values)
        reach = (high - low) * 10.0 ** rng.uniform(-1, furthest)
        x = (low + high) / 2 + reach * rng.uniform(-0.5, 0.5, shape)
        inputs.append(np.rint(x) if rng.random() < 0.5 else x)
    if len(inputs) == 2 and len(shape) == 2 and rng.random() < 0.5:
        inputs = [inputs[0][:1], inputs[1][:, :1]]
    return inputs


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize("key", EXAMPLES)
def test_model_answers_with_numbers(key, trial):
    rng = np.random.default_rng([trial, *key.encode()])
    model, inputs = random_model(rng, key), random_inputs(rng, key)
    shape = np.broadcast_shapes(*(np.shape(x) for x in inputs))
    told = f"{model!r} at {inputs}"
    value = model(*inputs)
    assert np.shape(value) == shape, told
    assert np.isfinite(value).all(), told
    assert_allclose(model.evaluate(*inputs, *model.parameters), value, rtol=1e-9, atol=1e-9)
    derivatives = model.fit_deriv(*inputs, *model.parameters)
    assert len(derivatives) == len(model.param_names)
    for name, derivative in zip(model.param_names, derivatives, strict=True):
        assert np.size(derivative) == np.prod(shape), (name, told)
        assert np.isfinite(derivative).all(), (name, told)
    form = LinearForm(model)
    assert_allclose(np.broadcast_to(form.value(form.values, inputs), shape), value, atol=1e-9)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(*inputs), value)
