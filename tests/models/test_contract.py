"""One contract for every model of the package: what works for a stock model works for ours."""

import copy
import io
import operator
import pickle

import asdf
import numpy as np
import pytest
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose

from specmodels.io.asdf_extension import get_extensions, get_resource_mappings
from specmodels.models.linear import LinearParameter
from specmodels.models.linear_form import LinearForm, linear_parameters
from specmodels.models.profiles import Profile
from tests.models.model_contract import (
    assert_same_model,
    concrete_models,
    examples,
    finite_difference,
    rebuilt,
)

EXAMPLES = examples()
OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def test_every_model_of_the_package_has_an_example():
    without = concrete_models() - {type(example.make()) for example in EXAMPLES.values()}
    assert not without, "add an example to tests/models/model_contract.py"


@pytest.fixture(params=EXAMPLES.values(), ids=list(EXAMPLES))
def example(request):
    return request.param


@pytest.fixture
def model(example):
    return example.make()


@pytest.fixture
def asdf_with_models():
    with asdf.config_context() as config:
        for mapping in get_resource_mappings():
            config.add_resource_mapping(mapping)
        for extension in get_extensions():
            config.add_extension(extension)
        yield


def asdf_round_trip(tree):
    stream = io.BytesIO()
    asdf.AsdfFile(tree).write_to(stream)
    stream.seek(0)
    with asdf.open(stream) as file:
        return dict(file.tree)


def perturbed(model, example):
    """A copy away from the truth, degenerate parameters fixed."""
    start = model.copy()
    for name in start.param_names:
        start.fixed[name] = start.fixed[name] or name in example.held
        if not start.fixed[name]:
            value = getattr(model, name).value
            setattr(start, name, example.start.get(name, value + 0.1 * min(abs(value), 2) + 0.02))
    return start


class TestEveryModel:
    @pytest.mark.parametrize(
        "clone",
        [
            lambda m: m.copy(),
            copy.deepcopy,
            lambda m: pickle.loads(pickle.dumps(m)),
        ],
        ids=["copy", "deepcopy", "pickle"],
    )
    def test_clone_is_the_same_and_independent(self, model, example, clone):
        expected = model(*example.inputs)
        values = model.parameters.copy()
        other = clone(model)
        assert_same_model(model, other)
        assert_allclose(other(*example.inputs), expected, rtol=1e-12)
        assert linear_parameters(other) == linear_parameters(model)
        for name in other.param_names:
            setattr(other, name, getattr(other, name).value + 1)
            other.fixed[name] = not other.fixed[name]
        assert_allclose(model.parameters, values)
        assert_allclose(model(*example.inputs), expected)

    def test_settings_and_values_make_it_again(self, model, example):
        other = rebuilt(model, model.parameters)
        assert other.param_names == model.param_names
        np.testing.assert_array_equal(other(*example.inputs), model(*example.inputs))

    def test_evaluation_changes_neither_inputs_nor_parameters(self, model, example):
        inputs = [value.copy() for value in example.inputs]
        values = model.parameters.copy()
        model(*inputs)
        model.fit_deriv(*inputs, *values)
        for before, after in zip(example.inputs, inputs, strict=True):
            np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(model.parameters, values)

    def test_rows_and_columns_broadcast(self, model, example):
        if model.n_inputs == 1:
            y = example.inputs[0]
            expected = model(y)[:, np.newaxis] * np.ones(3)
            values = [np.full((1, 3), value) for value in model.parameters]
            assert_allclose(model.evaluate(y[:, np.newaxis], *values), expected, atol=1e-14)
        else:
            x, y = np.arange(12.0)[np.newaxis], np.arange(41.0)[:, np.newaxis]
            image = model.evaluate(x, y, *model.parameters)
            expected = model(*example.inputs).reshape(41, 12)
            assert_allclose(np.broadcast_to(image, (41, 12)), expected, atol=1e-9)

    @pytest.mark.parametrize("symbol", OPERATORS)
    def test_composes_with_a_stock_model_on_either_side(self, model, example, symbol):
        stock, combine = example.stock_addend(), OPERATORS[symbol]
        own, other = model(*example.inputs), stock(*example.inputs)
        assert_allclose(combine(model, stock)(*example.inputs), combine(own, other))
        assert_allclose(combine(stock, model)(*example.inputs), combine(other, own))

    def test_composes_by_pipe(self, model, example):
        assert_allclose((model | models.Scale(3))(*example.inputs), 3 * model(*example.inputs))
        shifts = models.Shift(0.25)
        if model.n_inputs == 2:
            shifts = shifts & models.Shift(0)
        moved = (example.inputs[0] + 0.25, *example.inputs[1:])
        assert_allclose((shifts | model)(*example.inputs), model(*moved))

    def test_set_of_models_is_a_loop_over_models(self, model, example):
        members = [model.parameters, 1.01 * model.parameters + 0.001, 1.02 * model.parameters]
        batch = rebuilt(model, np.transpose(members), n_models=3)
        together = batch(*example.inputs, model_set_axis=False)
        looped = [rebuilt(model, member)(*example.inputs) for member in members]
        assert_allclose(together, looped, atol=1e-14)

    def test_linear_parameters_are_linear(self, model, example):
        names = linear_parameters(model)
        rng = np.random.default_rng(1)
        one, other = rng.normal(size=(2, len(names)))

        def value(amounts):
            changed = model.copy()
            for name, amount in zip(names, amounts, strict=True):
                setattr(changed, name, amount)
            return changed(*example.inputs)

        offset = value(0 * one)
        parts = 2 * (value(one) - offset) - 3 * (value(other) - offset)
        assert_allclose(value(2 * one - 3 * other) - offset, parts, atol=1e-10)

    def test_declared_linear_parameters_are_used(self, model):
        declared = {n for n in model.param_names if isinstance(getattr(model, n), LinearParameter)}
        free = {n for n in declared if not model.fixed[n]}
        assert free == set(linear_parameters(model))

    def test_derivatives_are_finite_differences(self, model, example):
        values = list(model.parameters)
        columns = model.fit_deriv(*example.inputs, *values)
        assert len(columns) == len(values)
        for k, column in enumerate(columns):
            expected = finite_difference(
                lambda v: model.evaluate(*example.inputs, *v), values, k, example.step
            )
            scale = np.abs(expected).max()
            tolerance = {"rtol": example.rtol, "atol": example.rtol * scale}
            assert_allclose(column, expected, err_msg=model.param_names[k], **tolerance)

    @pytest.mark.parametrize("compound", [False, True])
    def test_linear_form_is_the_model_and_its_derivatives(self, model, example, compound):
        whole = example.stock_addend() - model if compound else model
        form = LinearForm(whole)
        inputs = example.inputs
        assert_allclose(form.value(form.values, inputs), whole(*inputs))
        offset, columns = form.columns(form.values, inputs)
        total = offset + sum(form.values[k] * columns[k] for k in form.linear)
        assert_allclose(total, whole(*inputs), atol=1e-12)
        derivatives = form.derivatives(form.values, inputs, form.linear + form.nonlinear)
        for k in form.linear:
            assert_allclose(columns[k], derivatives[k], atol=1e-10)
        for k in form.linear + form.nonlinear:
            values = list(form.values)
            expected = finite_difference(lambda v: form.value(v, inputs), values, k, example.step)
            atol = example.rtol * np.abs(expected).max()
            assert_allclose(derivatives[k], expected, rtol=example.rtol, atol=atol)

    @pytest.mark.parametrize("compound", [False, True])
    def test_stock_fitter_recovers_the_truth(self, model, example, compound):
        if model.linear and not compound:
            pytest.skip("for the linear fitter: astropy warns")
        truth = model + example.stock_addend() if compound else model
        start = perturbed(truth, example)
        names = {name + "_0" for name in example.held} if compound else example.held
        for name in names:
            start.fixed[name] = True
            setattr(start, name, getattr(truth, name).value)
        data = truth(*example.inputs)
        fitted = fitting.TRFLSQFitter()(start, *example.inputs, data, maxiter=1000)
        assert_allclose(fitted.parameters, truth.parameters, rtol=2e-5, atol=1e-5)

    def test_stock_linear_fitter_recovers_the_truth(self, model, example):
        if not model.linear:
            pytest.skip("not linear in all of its parameters")
        data = model(*example.inputs)
        fitted = fitting.LinearLSQFitter()(perturbed(model, example), *example.inputs, data)
        assert_allclose(fitted.parameters, model.parameters, atol=1e-10)

    def test_asdf_keeps_all_of_it(self, model, example, asdf_with_models):
        first = model.param_names[0]
        model.name = "target"
        model.fixed[first] = not model.fixed[first]
        model.bounds[first] = (-100, 0)
        model.bounds[model.param_names[-1]] = (None, None)
        read = asdf_round_trip({"model": model})["model"]
        assert_same_model(model, read)
        assert linear_parameters(read) == linear_parameters(model)
        np.testing.assert_array_equal(read(*example.inputs), model(*example.inputs))

    def test_asdf_keeps_sets(self, model, example, asdf_with_models):
        members = np.array([model.parameters, 1.01 * model.parameters])
        batch = rebuilt(model, members.T, n_models=2)
        read = asdf_round_trip({"model": batch})["model"]
        assert_same_model(batch, read)
        together = read(*example.inputs, model_set_axis=False)
        np.testing.assert_array_equal(together, batch(*example.inputs, model_set_axis=False))


PROFILES = {key: e for key, e in EXAMPLES.items() if isinstance(e.make(), Profile)}


@pytest.mark.parametrize("example", PROFILES.values(), ids=list(PROFILES))
class TestEveryProfile:
    def light(self, example, shift=0.0, rows=41):
        model = example.make()
        center = model.center + shift
        y = np.arange(rows)[:, np.newaxis] - (rows - 41) // 2
        x = (np.arange(12.0)[np.newaxis],) if model.n_inputs == 2 else ()
        values = [center if n == "center" else getattr(model, n).value for n in model.param_names]
        return model.evaluate(*x, y, *values)

    def test_sums_to_one_over_pixels(self, example):
        assert_allclose(self.light(example).sum(axis=0), 1, atol=max(example.wings, 1e-7))
        far = self.light(example, rows=40_001).sum(axis=0)
        assert_allclose(far, 1, atol=max(1e-6, 5e-3 * example.wings))

    @pytest.mark.parametrize("shift", [0.1, 0.25, 0.5, -0.77])
    def test_light_is_the_same_wherever_the_centre_lies_in_a_pixel(self, example, shift):
        there = self.light(example, shift=shift, rows=4001).sum(axis=0)
        here = self.light(example, rows=4001).sum(axis=0)
        assert_allclose(there, here, atol=1e-7)

    def test_is_centred_on_its_centre(self, example):
        light = self.light(example, rows=4001)
        y = np.arange(4001)[:, np.newaxis] - 1980
        assert_allclose((light * y).sum(axis=0) / light.sum(axis=0), 20.3, atol=5e-3)

    def test_column_of_pixels_equals_single_pixels(self, example):
        model = example.make()
        x = (np.full(41, 3.0),) if model.n_inputs == 2 else ()
        single = model.evaluate(*x, np.arange(41.0), *model.parameters)
        x = (3.0,) if model.n_inputs == 2 else ()
        column = model.evaluate(*x, np.arange(41.0)[:, np.newaxis], *model.parameters)
        assert_allclose(np.ravel(column), single, atol=1e-13)

    def test_density_is_half_of_its_maximum_at_half_the_fwhm(self, example):
        model = example.make()
        if model.n_inputs == 2:
            pytest.skip("changes with the column")
        shape = [getattr(model, n).value for n in model.param_names if n != "center"]
        half, step = 0.5 * model.fwhm(*shape), 1e-4

        def density(at):
            below, above = (model.cumulative(np.array(at + s), 0.0, *shape) for s in (-step, step))
            return (above - below) / (2 * step)

        inside, outside = density(0.98 * half), density(1.02 * half)
        assert inside >= 0.5 * density(0.0) >= outside
