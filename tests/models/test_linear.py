"""Which parameters of a compound are linear, its design matrix, and ties by name."""

import copy
import pickle

import numpy as np
import pytest
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.models.linear import BasisModel, LinearParameter, TiedTo
from specmodels.models.linear_form import LinearForm, design_matrix, linear_parameters
from specmodels.models.profiles import GaussianProfile
from specmodels.models.sky import ColumnPolynomial
from specmodels.models.sources import Source
from specmodels.models.traces import PolynomialTrace
from tests.models.model_contract import finite_difference

T = np.linspace(0.1, 0.9, 17)


class SineSeries(BasisModel):
    """A user's own basis, as short as it can be."""

    def basis(self, t):
        return np.sin(np.pi * np.multiply.outer(t, np.arange(1, self.n_terms + 1)))


@pytest.fixture
def sines():
    return SineSeries(3, c0=1.0, c1=-0.5, c2=0.25)


def assert_linear_form_holds(model, *inputs):
    """The offset and columns make up the model; columns and derivatives are finite differences."""
    form = LinearForm(model)
    offset, columns = form.columns(form.values, inputs)
    total = offset + sum(form.values[k] * columns[k] for k in form.linear)
    assert_allclose(np.broadcast_to(total, inputs[0].shape), model(*inputs), atol=1e-12)
    free = form.linear + form.nonlinear
    derivatives = form.derivatives(form.values, inputs, free)
    for k in free:
        expected = finite_difference(lambda v: form.value(v, inputs), list(form.values), k)
        assert_allclose(derivatives[k], expected, atol=1e-6 * max(1, np.abs(expected).max()))
        if k in form.linear:
            assert_allclose(columns[k], expected, atol=1e-6 * max(1, np.abs(expected).max()))


class TestBasisModel:
    def test_value_is_the_sum_of_its_basis(self, sines):
        expected = np.sin(np.pi * T) - 0.5 * np.sin(2 * np.pi * T) + 0.25 * np.sin(3 * np.pi * T)
        assert_allclose(sines(T), expected)
        assert_array_equal(sines.coefficients, [1, -0.5, 0.25])

    def test_all_its_coefficients_are_linear(self, sines):
        assert linear_parameters(sines) == ("c0", "c1", "c2")
        assert_allclose(design_matrix(sines, T), sines.basis(T))

    def test_number_of_terms_differs_between_instances(self, sines):
        assert SineSeries(5).param_names == ("c0", "c1", "c2", "c3", "c4")
        assert sines.param_names == ("c0", "c1", "c2")

    @pytest.mark.parametrize("n_terms", [0, -1, 1.5])
    def test_refuses_a_number_of_terms_that_is_none(self, n_terms):
        with pytest.raises(ValueError, match="n_terms"):
            SineSeries(n_terms)

    def test_without_basis_says_what_to_define(self):
        with pytest.raises(NotImplementedError, match="must define basis"):
            BasisModel(2)(T)

    def test_stock_linear_fitter_fits_it(self, sines):
        fitted = fitting.LinearLSQFitter()(SineSeries(3), T, sines(T))
        assert_allclose(fitted.parameters, sines.parameters)

    def test_stock_linear_fitter_fits_a_set(self, sines):
        data = np.stack([sines(T), 2 * sines(T)])
        fitted = fitting.LinearLSQFitter()(SineSeries(3, n_models=2), T, data)
        assert_allclose(fitted.coefficients.T, [sines.parameters, 2 * sines.parameters])


class TestLinearParameters:
    def test_fixed_and_tied_ones_are_left_out(self, sines):
        sines.c0.fixed = True
        sines.c1.tied = TiedTo("c0")
        assert linear_parameters(sines) == ("c2",)

    def test_sum_and_difference_keep_those_of_both_sides(self, sines):
        model = sines - models.Gaussian1D() + models.Polynomial1D(1)
        assert linear_parameters(model) == ("c0_0", "c1_0", "c2_0", "amplitude_1", "c0_2", "c1_2")

    def test_product_of_two_linear_models_uses_the_left(self, sines):
        model = sines * models.Polynomial1D(1, c0=1, c1=2)
        assert linear_parameters(model) == ("c0_0", "c1_0", "c2_0")
        assert_linear_form_holds(model, T)

    def test_product_with_a_fixed_left_uses_the_right(self, sines):
        stock = models.Polynomial1D(1, c0=1, c1=2)
        for name in sines.param_names:
            sines.fixed[name] = True
        assert set(linear_parameters(sines * stock)) <= {"c0_1", "c1_1"}
        assert_linear_form_holds(sines * stock, T)

    def test_product_inside_a_sum_is_linear_in_each_left(self, sines):
        model = sines * models.Gaussian1D(2, 0.5, 0.2) + models.Const1D(3) * sines
        assert linear_parameters(model) == ("c0_0", "c1_0", "c2_0", "amplitude_2")
        assert_linear_form_holds(model, T)

    def test_pipe_keeps_those_of_its_end_only(self, sines):
        model = models.Polynomial1D(1, c0=0.1, c1=0.5) | sines
        assert linear_parameters(model) == ("c0_1", "c1_1", "c2_1")
        assert_linear_form_holds(model, T)

    @pytest.mark.parametrize("transform", [models.Scale(2.0), models.Shift(3.0)])
    def test_pipe_through_a_linear_transform_keeps_those_of_its_start(self, sines, transform):
        model = sines | transform
        assert linear_parameters(model) == ("c0_0", "c1_0", "c2_0")
        assert_linear_form_holds(model, T)

    def test_pipe_from_what_is_not_linear_is_linear_in_the_transform(self):
        model = models.Gaussian1D(2, 0.5, 0.2, fixed={"amplitude": True}) | models.Scale(2.0)
        assert linear_parameters(model) == ("factor_1",)
        assert_linear_form_holds(model, T)

    def test_quotient_is_linear_in_what_is_above_the_line(self, sines):
        model = sines / models.Const1D(2)
        assert linear_parameters(model) == ("c0_0", "c1_0", "c2_0")
        assert_linear_form_holds(model, T)

    def test_other_operators_keep_none(self, sines):
        model = sines ** models.Const1D(2)
        assert linear_parameters(model) == ()
        assert_linear_form_holds(model, T)

    def test_product_keeps_what_repeats(self, sines):
        source = Source(GaussianProfile())
        for model in (source * models.Const2D(2.0), models.Const2D(2.0) * source):
            assert [n[:4] for n in linear_parameters(model)] == ["flux"]

    def test_parameters_survive_copy_and_pickle_of_a_compound(self, sines):
        model = sines + GaussianProfile()
        for clone in (model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert linear_parameters(clone) == ("c0_0", "c1_0", "c2_0")

    def test_named_submodels_keep_theirs(self):
        model = ColumnPolynomial(0, name="sky") + Source(GaussianProfile(), name="target")
        assert linear_parameters(model) == ("c0_0", "flux_1")
        assert isinstance(model["target"].flux, LinearParameter)

    @pytest.mark.parametrize(
        "stock",
        [
            models.Gaussian1D(2, 0.4, 0.3),
            models.Moffat1D(2, 0.4, 0.3, 2),
            models.Lorentz1D(2, 0.4, 0.3),
            models.Voigt1D(0.4, 2, 0.3, 0.2),
            models.Exponential1D(2, 0.7),
            models.PowerLaw1D(2, 1.0, 0.5),
            models.Sine1D(2, 0.7, 0.1),
            models.Linear1D(1, 2),
            models.Const1D(3),
            models.Polynomial1D(2, c0=1, c1=2, c2=3),
            models.Legendre1D(2, c0=1, c1=2, c2=3, domain=(0, 1)),
            models.Chebyshev1D(2, c0=1, c1=2, c2=3, domain=(0, 1)),
            models.Polynomial1D(1, c0=1, c1=2, domain=(0, 1), window=(-1, 1)),
            models.Shift(0.3),
            models.Scale(3),
        ],
        ids=lambda m: type(m).__name__,
    )
    def test_stock_models(self, stock):
        assert linear_parameters(stock)
        assert_linear_form_holds(stock, T)
        assert_linear_form_holds(SineSeries(1, c0=2) - stock, T)


class TestLinearForm:
    def test_nested_expression(self, sines):
        gauss = models.Gaussian1D(1.5, 0.5, 0.3)
        model = (sines + gauss) * (models.Const1D(2) - models.Exponential1D(0.3, 0.9)) - sines
        assert_linear_form_holds(model, T)

    def test_nonlinear_linear_and_tied_cover_the_free_parameters(self, sines):
        model = sines + models.Gaussian1D() + models.Gaussian1D()
        model.stddev_2.tied = TiedTo("stddev_1")
        model.mean_2.fixed = True
        form = LinearForm(model)
        names = [[form.names[k] for k in part] for part in (form.linear, form.nonlinear, form.tied)]
        assert names[0] == ["c0_0", "c1_0", "c2_0", "amplitude_1", "amplitude_2"]
        assert names[1] == ["mean_1", "stddev_1"]
        assert names[2] == ["stddev_2"]

    def test_values_may_differ_from_column_to_column(self):
        model = Source(GaussianProfile(stddev=1.5)) + ColumnPolynomial(1, limits=(0, 20))
        form = LinearForm(model)
        x, y = np.arange(4.0)[np.newaxis], np.arange(21.0)[:, np.newaxis]
        values = list(form.values)
        for k, name in enumerate(form.names):
            if name in ("flux_0", "c0_1"):
                values[k] = np.arange(1.0, 5.0)[np.newaxis]
        values[form.names.index("trace_c0_0")] = np.array([[9.0, 10.0, 11.0, 12.0]])
        image = form.value(values, (x, y))
        for j in range(4):
            column = [v[0, j] if np.ndim(v) else v for v in values]
            expected = np.ravel(form.value(column, (x[:, j : j + 1], y)))
            assert_allclose(image[:, j], expected, atol=1e-13)

    def test_does_not_change_the_model(self, sines):
        model = sines + models.Gaussian1D()
        before = model.parameters.copy()
        form = LinearForm(model)
        form.columns(form.values, (T,))
        form.derivatives(form.values, (T,), form.nonlinear)
        assert_array_equal(model.parameters, before)

    def test_refuses_a_set_of_models(self):
        with pytest.raises(ValueError, match="single model"):
            LinearForm(SineSeries(2, n_models=3))

    def test_leaves_are_in_order_with_their_parameters(self, sines):
        leaves = LinearForm(sines + models.Gaussian1D() * models.Const1D()).leaves()
        classes = [SineSeries, models.Gaussian1D, models.Const1D]
        assert [type(leaf) for leaf, _ in leaves] == classes
        assert [list(positions) for _, positions in leaves] == [[0, 1, 2], [3, 4, 5], [6]]

    def test_sum_of_a_hundred_sources_works(self):
        model = sum((SineSeries(1, c0=k) for k in range(1, 100)), SineSeries(1))
        design = design_matrix(model, T)
        assert design.shape == (17, 100)
        # astropy itself evaluates a compound of more than about 150 terms no longer
        # (RecursionError), which is why scenes hold flat lists instead.
        assert_allclose(design @ LinearForm(model).values, model(T))


class TestDesignMatrix:
    def test_is_last_in_shape_and_broadcast(self):
        x, y = np.arange(5.0)[np.newaxis], np.arange(7.0)[:, np.newaxis]
        sky = ColumnPolynomial(2, limits=(0, 6))
        design = design_matrix(sky + Source(GaussianProfile()), x, y)
        assert design.shape == (7, 5, 4)
        assert_allclose(design[..., 0], 1)
        assert_allclose(design[:, 2, 1], np.linspace(-1, 1, 7))

    def test_least_squares_with_it_recovers_the_truth(self):
        model = models.Gaussian1D(3, 0.5, 0.1) + PolynomialTrace(1, limits=(0, 1), c0=2, c1=0.5)
        design = design_matrix(model, T)
        found = np.linalg.lstsq(design, model(T))[0]
        assert_allclose(found, [3, 2, 0.5])


class TestTiedTo:
    def test_gives_the_value_of_the_other_parameter(self):
        model = models.Gaussian1D(1, 2, 3) + models.Gaussian1D(1, 2, 4)
        assert TiedTo("stddev_1")(model) == 4
        assert TiedTo("mean_0", factor=2, offset=0.5)(model) == 4.5

    def test_is_compared_by_value_and_pickled(self):
        tie = TiedTo("c0", offset=1)
        assert pickle.loads(pickle.dumps(tie)) == tie
        assert hash(copy.copy(tie)) == hash(tie)
        assert tie != TiedTo("c0") != "c0"
        assert eval(repr(tie)) == tie

    def test_stock_fitter_obeys_it(self):
        truth = models.Gaussian1D(1, 0.3, 0.1) + models.Gaussian1D(2, 0.7, 0.1)
        start = models.Gaussian1D(1, 0.32, 0.12) + models.Gaussian1D(1, 0.65, 0.12)
        start.stddev_1.tied = TiedTo("stddev_0")
        start.mean_1.tied = TiedTo("mean_0", offset=0.4)
        fitted = fitting.TRFLSQFitter()(start, T, truth(T))
        assert_allclose(fitted.parameters, truth.parameters, rtol=1e-4)
