"""Where models are evaluated: at NaN, at infinity, at integers, scalars and at no place at all."""

import numpy as np
import pytest
from astropy.modeling import models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.models.effective_psf import EffectivePSF
from specmodels.models.profiles import GaussianProfile, Profile
from specmodels.models.sources import Source
from specmodels.models.traces import PolynomialTrace
from tests.models.model_contract import (
    TABLE_OFFSETS,
    examples,
    finite_difference,
    rebuilt,
    table,
)

EXAMPLES = examples()
PROFILES = [key for key, e in EXAMPLES.items() if isinstance(e.make(), Profile)]
GRIDS = [((1, 5), (4, 1)), ((), (4, 1)), ((1, 5), ()), ((1, 0), (4, 1))]
SHAPES = [(), (0,), (1,), (0, 3), (3, 0), (2, 3), (2, 1, 4)]


@pytest.fixture(params=EXAMPLES.values(), ids=list(EXAMPLES))
def example(request):
    return request.param


@pytest.fixture
def model(example):
    return example.make()


def middle(example, shape=()):
    """The same position for each element of a shape, one array for each input."""
    return [np.full(shape, np.mean(values)) for values in example.inputs]


def pairs(model):
    """All inputs, each once."""
    return range(model.n_inputs)


class TestEveryModel:
    def test_is_nan_at_nan_and_nowhere_else(self, model, example):
        for k in pairs(model):
            inputs = middle(example, 3)
            inputs[k][1] = np.nan
            images = [model(*inputs), *model.fit_deriv(*inputs, *model.parameters)]
            images += list(model.evaluate(*inputs, *model.parameters)[None])
            for image in images:
                assert_array_equal(np.isnan(image), [False, True, False])

    def test_is_nan_in_the_row_or_column_that_is_nan(self, model, example):
        if model.n_inputs == 1:
            pytest.skip("has one input")
        x, y = np.arange(4.0)[None], np.arange(18.0, 22.0)[:, None]
        x[0, 1], y[2, 0] = np.nan, np.nan
        expected = np.isnan(x) | np.isnan(y)
        assert_array_equal(np.isnan(model.evaluate(x, y, *model.parameters)), expected)
        assert_array_equal(np.isnan(model(x, y)), expected)

    def test_set_is_nan_at_nan(self, model, example):
        batch = rebuilt(model, np.transpose([model.parameters] * 2), n_models=2)
        inputs = middle(example, 2)
        inputs[-1][0] = np.nan
        together = batch(*inputs, model_set_axis=False)
        assert_array_equal(np.isnan(together), [[True, False]] * 2)

    @pytest.mark.parametrize("far", [np.inf, -np.inf])
    def test_is_zero_or_nan_at_infinity(self, model, example, far):
        for k in pairs(model):
            inputs = middle(example, 3)
            inputs[k][1] = far
            value = model(*inputs)
            assert np.isnan(value[1]) or value[1] == 0
            assert np.isfinite(value[[0, 2]]).all()
            for derivative in model.fit_deriv(*inputs, *model.parameters):
                assert np.isfinite(derivative[[0, 2]]).all()

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_keeps_the_shape_of_its_inputs(self, model, example, shape):
        inputs = middle(example, shape)
        assert np.shape(model(*inputs)) == shape
        assert np.shape(model.evaluate(*inputs, *model.parameters)) == shape
        for derivative in model.fit_deriv(*inputs, *model.parameters):
            assert np.size(derivative) == np.prod(shape)
        value = float(np.ravel(model(*middle(example)))[0])
        assert_allclose(model(*inputs), np.full(shape, value))

    @pytest.mark.parametrize("shapes", GRIDS)
    def test_keeps_the_broadcast_shape(self, model, example, shapes):
        if model.n_inputs == 1:
            pytest.skip("has one input")
        inputs = [np.full(s, np.mean(v)) for s, v in zip(shapes, example.inputs, strict=True)]
        expected = np.broadcast_shapes(*shapes)
        assert model(*inputs).shape == expected
        assert model.evaluate(*inputs, *model.parameters).shape == expected

    @pytest.mark.parametrize("kind", [int, np.float32, np.int16])
    def test_numbers_of_other_kinds_are_the_same_positions(self, model, example, kind):
        whole = [np.rint(values[:30:7]) for values in example.inputs]
        expected = model(*whole)
        assert_array_equal(model(*(v.astype(kind) for v in whole)), expected)
        found = model.evaluate(*(v.astype(kind) for v in whole), *model.parameters)
        assert_allclose(found, expected, rtol=1e-13)
        derivatives = model.fit_deriv(*whole, *model.parameters)
        others = model.fit_deriv(*(v.astype(kind) for v in whole), *model.parameters)
        for one, other in zip(derivatives, others, strict=True):
            assert_array_equal(one, other)


class TestParts:
    @pytest.mark.parametrize("part", [models.Const1D(2.0), models.Polynomial1D(1, c0=2, c1=0.1)])
    def test_source_is_nan_where_its_column_is_whatever_its_trace(self, part):
        for source in (
            Source(GaussianProfile(), part, flux=3),
            Source(GaussianProfile(), PolynomialTrace(0, c0=2.0), width=part, flux=3),
        ):
            x = np.array([[0.0, np.nan, np.inf, 2.0]])
            value = source(x, np.arange(4.0)[:, None])
            assert_array_equal(np.isnan(value), [[False, True, True, False]] * 4)
            no_width = source.width is not None and np.isnan(value[:1])
            assert_array_equal(np.isnan(source.fwhm(x)), no_width)

    def test_source_of_one_place_has_the_shape_of_the_image(self):
        source = Source(GaussianProfile(), models.Const1D(2.0), flux=3)
        x, y = np.arange(5.0)[None], np.arange(4.0)[:, None]
        assert source.evaluate(x, y, *source.parameters).shape == (4, 5)

    @pytest.mark.parametrize("key", PROFILES)
    def test_light_below_a_position_is_nan_none_or_all(self, key):
        profile = EXAMPLES[key].make()
        y = np.array([-np.inf, np.nan, np.inf])
        x = (np.zeros(3),) if profile.n_inputs == 2 else ()
        below = profile.cumulative(*x, y, *profile.parameters)
        assert_allclose(below, [0, np.nan, 1], atol=1e-9)

    @pytest.mark.parametrize("y", [-4.2, 3.3, 11.9, 12.4, 40.0, 1e4])
    def test_light_below_a_position_is_the_sum_over_pixels(self, y):
        psf = EffectivePSF(table(GaussianProfile())[0], TABLE_OFFSETS)
        pixels = psf.evaluate(0.0, y - 0.5 - np.arange(11_000.0), 0.0, 1.0)
        assert_allclose(psf.cumulative(0.0, y, 0.0, 1.0), pixels.sum(), atol=1e-12)


class TestDerivativesAtEdges:
    @pytest.mark.parametrize("beyond", [0.0, 1.0, 1e3])
    def test_are_finite_differences_at_the_ends_and_beyond(self, model, example, beyond):
        ends = [np.array([np.min(v) - beyond, np.max(v) + beyond]) for v in example.inputs]
        inputs = [grid.ravel() for grid in np.meshgrid(*ends)]
        values = list(model.parameters)
        for k, column in enumerate(model.fit_deriv(*inputs, *values)):
            expected = finite_difference(
                lambda v: model.evaluate(*inputs, *v), values, k, example.step
            )
            scale = max(np.abs(expected).max(), 1e-3)
            tolerance = {"rtol": 1e-3, "atol": example.rtol * scale + 1e-9}
            assert_allclose(column, expected, err_msg=model.param_names[k], **tolerance)

    def test_are_one_sided_differences_at_bounds_of_parameters(self, model, example):
        for k, name in enumerate(model.param_names):
            for bound, side in zip(getattr(model, name).bounds, (1, -1), strict=True):
                if bound is None:
                    continue
                values = list(model.parameters)
                values[k] = float(bound)
                # Derivatives of what is much narrower than a pixel are tested by their limits.
                step = 1e-6 * max(abs(bound), 1e-3)
                ends = []
                for moved in (bound, bound + side * step, bound + 2 * side * step):
                    values[k] = float(moved)
                    ends.append(model.evaluate(*example.inputs, *values))
                expected = (-3 * ends[0] + 4 * ends[1] - ends[2]) / (2 * side * step)
                values[k] = float(bound)
                found = model.fit_deriv(*example.inputs, *values)[k]
                assert np.isfinite(found).all()
                atol = 2e-3 * np.abs(expected).max() + 1e-6
                assert_allclose(found, expected, atol=atol, err_msg=f"{name}={bound}")
