"""Units of positions, parameters and values: converted, or refused by name."""

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose

from specmodels.models.linear import TiedTo
from specmodels.models.priors import GaussianPrior
from specmodels.models.profiles import GaussianProfile, MoffatProfile
from specmodels.models.sky import ColumnPolynomial, UniformSky
from specmodels.models.slits import BarShadow, SlitThroughput
from specmodels.models.sources import Source
from specmodels.models.traces import PolynomialTrace, TabulatedTrace
from specmodels.models.units import without_units
from tests.models.model_contract import examples

EXAMPLES = examples()
X, Y = np.arange(12.0)[None], np.arange(41.0)[:, None]


@pytest.fixture(params=EXAMPLES.values(), ids=list(EXAMPLES))
def example(request):
    return request.param


@pytest.fixture
def model(example):
    return example.make()


def given_units(model, data=u.mJy, position=u.pix):
    """A model with units for all parameters that have one."""
    inputs = dict.fromkeys(model.inputs, position if model.position_unit != u.one else u.one)
    rules = model._parameter_units_for_data_units(inputs, dict.fromkeys(model.outputs, data))
    for name in model.param_names:
        unit = rules.get(name, u.one)
        if unit != u.one:
            setattr(model, name, getattr(model, name).value * unit)
    return model


def star(**settings):
    trace = PolynomialTrace(1, limits=(0, 11), c0=20.3, c1=0.7)
    return Source(GaussianProfile(stddev=1.4), trace, **settings)


class TestEveryModel:
    def test_value_has_the_unit_of_the_data(self, example):
        plain, model = example.make(), given_units(example.make())
        value = model(*example.inputs)
        if not model.data_parameters:
            assert_allclose(value, plain(*example.inputs))
            return
        assert value.unit == u.mJy
        assert_allclose(value.value, plain(*example.inputs), rtol=1e-12)

    def test_positions_may_be_in_pixels_or_are_refused_by_name(self, model, example):
        positions = [x * u.pix for x in example.inputs]
        if model.position_unit == u.pix:
            assert_allclose(model(*positions), model(*example.inputs))
        elif model.position_unit is not None:
            with pytest.raises(u.UnitsError, match=f"{model.inputs[0]}: expected positions in"):
                model(*positions)

    def test_other_positions_are_refused_by_name(self, model, example):
        if model.position_unit is None:
            pytest.skip("takes positions in any unit")
        for k, name in enumerate(model.inputs):
            positions = list(example.inputs)
            positions[k] = positions[k] * u.nm
            with pytest.raises(u.UnitsError, match=f"{name}: expected positions in .*, got nm"):
                model(*positions)

    def test_parameter_in_another_unit_is_refused_by_name(self, model, example):
        for name in model.param_names:
            if name in model.data_parameters:
                continue
            wrong = example.make()
            setattr(wrong, name, getattr(wrong, name).value * u.K)
            with pytest.raises(u.UnitsError, match=f"{name}: expected .*, got K"):
                wrong(*example.inputs)
            with pytest.raises(ValueError, match=f"{name}: expected .*, got K"):
                without_units(wrong, data_unit=u.Jy, wavelength_unit=u.um)

    def test_number_among_units_is_refused_by_name(self, model, example):
        if len(model.data_parameters) < 2:
            pytest.skip("has one parameter in the unit of the data")
        first, second = model.data_parameters[:2]
        setattr(model, first, 3.0 * u.Jy)
        for name in model.data_parameters[1:]:
            setattr(model, name, 0.0)
        model(*example.inputs)
        setattr(model, second, 2.0)
        with pytest.raises(u.UnitsError, match=f"{second}: expected Jy, got a plain number"):
            model(*example.inputs)
        with pytest.raises(ValueError, match=f"{second}: .*Jy, got a plain number"):
            without_units(model, data_unit=u.Jy)

    def test_without_units_is_the_model_in_the_unit_of_the_data(self, example):
        model = given_units(example.make())
        if not any(getattr(model, name).unit for name in model.param_names):
            assert without_units(model, data_unit="Jy") is model
            return
        plain = without_units(model, data_unit="Jy")
        assert not any(getattr(plain, name).unit for name in plain.param_names)
        factor = 1e-3 if model.data_parameters else 1
        assert_allclose(plain(*example.inputs), factor * example.make()(*example.inputs))
        assert any(getattr(model, name).unit for name in model.param_names)

    def test_data_without_unit_are_refused_by_name(self, model, example):
        if not model.data_parameters:
            pytest.skip("has no parameter in the unit of the data")
        name = model.data_parameters[0]
        given_units(model)
        with pytest.raises(ValueError, match=f"{name}: expected no unit, got mJy"):
            without_units(model)

    def test_stock_fitter_takes_data_with_units(self, model, example):
        if not model.linear or not model.data_parameters:
            pytest.skip("is for the linear fitter")
        truth = given_units(model, u.Jy)
        data = truth(*example.inputs).to(u.mJy)
        start = truth.copy()
        for name in start.param_names:
            start.fixed[name] = name in example.held
        fitted = fitting.LinearLSQFitter()(start, *example.inputs, data)
        for name in truth.param_names:
            found = getattr(fitted, name).quantity.to_value(u.Jy)
            assert_allclose(found, getattr(truth, name).value, atol=1e-10)


class TestParts:
    def test_source_keeps_the_units_of_its_parts(self):
        trace = models.Polynomial1D(1, c0=20.3 * u.pix, c1=0.05)
        source = Source(MoffatProfile(gamma=2 * u.pix, alpha=3), trace, flux=3 * u.Jy)
        plain = Source(MoffatProfile(gamma=2, alpha=3), models.Polynomial1D(1, c0=20.3, c1=0.05),
                       flux=3)  # fmt: skip
        assert source.gamma.unit == source.trace_c0.unit == source.part("trace").c0.unit == u.pix
        for other in (source, source.copy(), source.with_parts()):
            value = other(X, Y)
            assert value.unit == u.Jy
            assert_allclose(value.value, plain(X, Y))

    def test_positions_of_shutters_may_have_any_unit(self):
        plain = BarShadow(3, 0.9, 0.1, 0.4, 0.5, 0.07)
        sizes = [value * u.arcsec for value in (0.1, 0.4, 0.5, 0.07)]
        shadow = BarShadow(3, 0.9, *sizes)
        y = np.linspace(-1, 1, 21)
        assert_allclose(shadow(1e3 * y * u.mas), plain(y))
        with pytest.raises(u.UnitsError, match=r"center: expected .*, got arcsec"):
            shadow(y)

    def test_shift_of_a_table_is_in_pixels(self):
        assert TabulatedTrace([0, 9], [4, 5], c0=0.5 * u.pix)(0.0) == 4.5

    def test_light_in_a_compound_has_a_unit(self):
        whole = star(flux=3000 * u.mJy) * models.Const2D(0.5) + UniformSky(2 * u.Jy)
        assert_allclose(whole(X, Y).to_value(u.Jy), 0.5 * star(flux=3)(X, Y) + 2)


class TestWithoutUnits:
    def test_model_without_units_is_itself(self):
        model = star() + ColumnPolynomial(1)
        assert without_units(model, data_unit=u.Jy) is model

    def test_converts_all_that_is_known_of_a_parameter(self):
        model = star(flux=3000 * u.mJy) + star(flux=6 * u.Jy) + ColumnPolynomial(0, c0=2.0)
        model.flux_0.bounds, model.flux_0.fixed = (0, 5000), True
        model.flux_0.prior, model.flux_0.std = GaussianPrior(2900, 100), 50
        model.flux_1.tied = TiedTo("flux_0", factor=2e-3, offset=1.0)
        model.trace_c0_1.tied = TiedTo("trace_c0_0", offset=5.0)
        plain = without_units(model, data_unit=u.Jy)
        assert (plain.flux_0.value, plain.flux_0.bounds, plain.flux_0.std) == (3, (0, 5), 0.05)
        assert plain.flux_0.fixed
        assert plain.flux_0.prior == GaussianPrior(2.9, 0.1)
        assert plain.flux_1.tied == TiedTo("flux_0", factor=2.0, offset=1.0)
        assert plain.trace_c0_1.tied == model.trace_c0_1.tied
        assert plain.c0_2 == 2
        assert_allclose(plain(X, Y), (star(flux=3) + star(flux=6) + UniformSky(2))(X, Y))
        assert model.flux_0.unit == u.mJy
        assert model.flux_0.bounds == (0, 5000)

    @pytest.mark.parametrize(
        "make",
        [
            lambda f: star(flux=f) * models.Const2D(2.0),
            lambda f: models.Const2D(2.0 * u.one) * star(flux=f),
            lambda f: star(flux=2.0) * models.Const2D(f),
            lambda f: star(flux=f) / models.Const2D(0.5),
            lambda f: star(flux=f) | models.Scale(2.0),
            lambda f: models.Shift(0.5 * u.pix) & models.Identity(1) | star(flux=f),
            lambda f: models.fix_inputs(star(flux=f) + UniformSky(f), {"x": 3.0}),
            lambda f: UniformSky(f) - star(flux=f),
            lambda f: models.Planar2D(intercept=f, slope_x=0.1 * f / u.pix, slope_y=0 * f / u.pix),
        ],
    )
    def test_knows_the_place_of_a_unit_in_a_compound(self, make):
        plain = without_units(make(3000 * u.mJy), data_unit=u.Jy)
        expected = make(3.0 * u.Jy)
        for name in expected.param_names:
            parameter = getattr(expected, name)
            assert getattr(plain, name).unit is None
            assert_allclose(getattr(plain, name).value, parameter.value)

    def test_wavelengths_are_converted(self):
        line = models.Gaussian1D(3 * u.Jy, 1500 * u.nm, 20 * u.nm)
        throughput = SlitThroughput(1, limits=(1, 2), c0=0.5, c1=0.1)
        plain = without_units(line * throughput, data_unit=u.mJy, wavelength_unit=u.um)
        expected = models.Gaussian1D(3000, 1.5, 0.02) * throughput
        assert_allclose(plain.parameters, expected.parameters)
        wavelength = np.linspace(1.4, 1.6, 9)
        assert_allclose(plain(wavelength), expected(wavelength))
        with pytest.raises(ValueError, match=r"mean: expected .*pix, got nm"):
            without_units(line, data_unit=u.mJy)

    @pytest.mark.parametrize(
        ("model", "name"),
        [
            (star(flux=3 * u.Jy) + UniformSky(3 * u.K), "level_1"),
            (star(flux=3 * u.Jy) * UniformSky(3 * u.Jy), "level_1"),
            (UniformSky(3 * u.pix), "level"),
            (UniformSky(3 * u.Jy) | models.Scale(2 * u.K), "factor_1"),
            (models.Const2D(1.0) / UniformSky(3 * u.Jy), "level_1"),
        ],
    )
    def test_names_what_cannot_be_converted(self, model, name):
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            without_units(model, data_unit=u.Jy, wavelength_unit=u.um)

    def test_number_between_converted_and_plain_gives_the_same_fit(self):
        truth = star(flux=3.0) + ColumnPolynomial(0, limits=(0, 40), c0=2.0)
        start = star(flux=2000 * u.mJy) + ColumnPolynomial(0, limits=(0, 40), c0=1 * u.Jy)
        x, y = (grid.ravel() for grid in np.broadcast_arrays(X, Y))
        fitted = fitting.TRFLSQFitter()(without_units(start, data_unit=u.Jy), x, y, truth(x, y))
        assert_allclose(fitted.parameters, truth.parameters, atol=1e-6)
