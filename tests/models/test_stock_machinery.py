"""What astropy does with any model: boxes, fits of images, separability, models within a WCS."""

import io

import asdf
import numpy as np
import pytest
from astropy import coordinates as coord
from astropy import units as u
from astropy.modeling import bind_compound_bounding_box, fitting, models
from astropy.modeling.separable import is_separable, separability_matrix
from gwcs import coordinate_frames, wcs
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.models.linear import BasisModel
from specmodels.models.sky import ColumnPolynomial
from specmodels.models.sources import Source
from specmodels.models.spectra import LegendreSpectrum
from specmodels.models.traces import PolynomialTrace
from tests.models.model_contract import examples
from tests.models.test_contract import asdf_round_trip, asdf_with_models, perturbed

__all__ = ["asdf_with_models"]

EXAMPLES = examples()


@pytest.fixture(params=EXAMPLES.values(), ids=list(EXAMPLES))
def example(request):
    return request.param


@pytest.fixture
def model(example):
    return example.make()


def boxed(model, example):
    """A model with a box up to the middle of its inputs, and which of them are inside."""
    limits = [(float(np.min(v)), float(np.mean(v))) for v in example.inputs]
    model.bounding_box = limits[0] if len(limits) == 1 else tuple(limits[::-1])
    inside = [(v >= a) & (v <= b) for v, (a, b) in zip(example.inputs, limits, strict=True)]
    return model, np.all(inside, axis=0)


def image_of(example):
    """Inputs of an example as a column and a row of positions."""
    return np.meshgrid(*(np.unique(v) for v in example.inputs))


class TestBoundingBox:
    def test_is_honoured(self, model, example):
        expected = model(*example.inputs)
        model, inside = boxed(model, example)
        value = model(*example.inputs, with_bounding_box=True)
        assert_array_equal(np.isnan(value), ~inside)
        assert_allclose(value[inside], expected[inside], rtol=1e-12)
        assert_array_equal(model(*example.inputs), expected)

    @pytest.mark.parametrize("symbol", ["+", "|"])
    def test_of_a_compound_is_honoured(self, model, example, symbol):
        other = example.stock_addend()
        whole = model + other if symbol == "+" else model | models.Scale(2)
        expected = whole(*example.inputs)
        whole, inside = boxed(whole, example)
        value = whole(*example.inputs, with_bounding_box=True)
        assert_array_equal(np.isnan(value), ~inside)
        assert_allclose(value[inside], expected[inside], rtol=1e-12)

    @pytest.mark.parametrize("compound", [False, True])
    def test_is_saved(self, model, example, compound, asdf_with_models):
        model, _ = boxed(model, example)
        whole, _ = boxed(model + model.copy(), example) if compound else (model, None)
        read = asdf_round_trip({"model": whole})["model"]
        parts = [(whole, read), (whole[0], read[0])] if compound else [(whole, read)]
        for one, other in parts:
            assert other.bounding_box.bounding_box() == one.bounding_box.bounding_box()
            value = other(*example.inputs, with_bounding_box=True)
            assert_array_equal(value, one(*example.inputs, with_bounding_box=True))

    def test_for_each_of_several_values_of_an_input_is_saved(self, asdf_with_models):
        model = ColumnPolynomial(1, limits=(0, 9), c0=2.0, c1=1.0)
        bind_compound_bounding_box(model, {(0,): (0, 4), (1,): (2, 8)}, [("x", True)])
        read = asdf_round_trip({"model": model})["model"]
        y = np.arange(10.0)
        for x in (0, 1):
            expected = model(x, y, with_bounding_box=True)
            assert np.isnan(expected).sum() in (5, 3)
            assert_array_equal(read(x, y, with_bounding_box=True), expected)


class TestStockFitters:
    def test_linear_fitter_takes_images(self, model, example):
        if not model.linear or model.n_inputs == 1:
            pytest.skip("not linear, or of one input")
        x, y = image_of(example)
        data = model(x, y)
        weights = 1 + 0.1 * np.cos(x + y)
        for settings in ({}, {"weights": weights}):
            fitted = fitting.LinearLSQFitter()(perturbed(model, example), x, y, data, **settings)
            assert_allclose(fitted.parameters, model.parameters, atol=1e-9)

    def test_linear_fitter_is_that_of_a_stock_polynomial(self):
        y, x = np.mgrid[:20, :50].astype(float)
        data = 3 + 0.1 * y + np.sin(x * y)
        stock = models.Legendre2D(0, 1, x_domain=(0, 49), y_domain=(0, 19))
        expected = fitting.LinearLSQFitter()(stock, x, y, data)
        fitted = fitting.LinearLSQFitter()(ColumnPolynomial(1, limits=(0, 19)), x, y, data)
        assert_allclose(fitted.parameters, expected.parameters)

    def test_linear_fitter_takes_sets_of_images(self):
        y, x = np.mgrid[:20, :50].astype(float)
        sky = ColumnPolynomial(1, limits=(0, 19), c0=[3.0, 4.0], c1=[0.1, -0.2], n_models=2)
        data = sky(x, y, model_set_axis=False)
        start = ColumnPolynomial(1, limits=(0, 19), n_models=2)
        fitted = fitting.LinearLSQFitter()(start, x, y, data)
        assert_allclose(fitted.parameters, sky.parameters, atol=1e-12)

    @pytest.mark.parametrize("fitter", [fitting.TRFLSQFitter, fitting.LevMarLSQFitter])
    def test_nonlinear_fitters_take_compounds(self, model, example, fitter):
        truth = model + example.stock_addend()
        start = perturbed(truth, example)
        for name in example.held:
            start.fixed[name + "_0"] = True
            setattr(start, name + "_0", getattr(truth, name + "_0").value)
        inputs = example.inputs if model.n_inputs == 1 else image_of(example)
        fitted = fitter()(start, *inputs, truth(*inputs), maxiter=1000)
        assert_allclose(fitted.parameters, truth.parameters, rtol=1e-4, atol=1e-4)


class TestSeparability:
    def test_is_known(self, model):
        expected = [[True]] if model.n_inputs == 1 else [[True, True]]
        assert_array_equal(separability_matrix(model), expected)
        assert_array_equal(is_separable(model), [model.n_inputs == 1])

    def test_is_known_in_compounds(self, model):
        n = model.n_inputs
        beside = separability_matrix(model & models.Identity(1))
        assert_array_equal(beside, [[True] * n + [False], [False] * n + [True]])
        assert separability_matrix(model + model.copy()).shape == (1, n)
        assert_array_equal(separability_matrix(model | models.Scale(2)), [[True] * n])

    def test_of_a_model_of_ones_own_is_known(self):
        class Ramp(BasisModel):
            def basis(self, x):
                return np.asarray(x)[..., None]

        assert_array_equal(separability_matrix(Ramp(1) & Ramp(1)), np.eye(2, dtype=bool))


class TestWithinWCS:
    def made(self, transform):
        pixels = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
        spatial = coordinate_frames.CoordinateFrame(
            1, ["SPATIAL"], (0,), unit=u.arcsec, axes_names=("slit",), name="slit"
        )
        spectral = coordinate_frames.SpectralFrame(
            axes_order=(1,), unit=u.um, reference_frame=coord.ICRS(), name="wavelength"
        )
        world = coordinate_frames.CompositeFrame([spatial, spectral], name="world")
        return wcs.WCS([(pixels, transform), (world, None)])

    def transform(self):
        """Distance from a trace, and a wavelength of the column."""
        trace = PolynomialTrace(1, limits=(0, 99), c0=20, c1=2)
        wavelength = LegendreSpectrum(1, limits=(0, 99), c0=1.5, c1=0.5)
        distance = models.Mapping((0, 1)) | trace & models.Identity(1) | models.Mapping((1, 0))
        distance |= models.Polynomial2D(1, c1_0=1, c0_1=-1)
        return models.Mapping((0, 1, 0)) | distance & wavelength

    def test_gives_coordinates_and_knows_what_depends_on_what(self):
        made = self.made(self.transform())
        assert_allclose(made(99.0, 23.0), (1.0, 2.0))
        assert_array_equal(made.axis_correlation_matrix, [[True, True], [True, False]])

    def test_every_model_may_be_part_of_one(self, model, example):
        first = tuple(range(model.n_inputs))
        transform = models.Mapping((*first, 0), n_inputs=2) | model & models.Identity(1)
        made = self.made(transform)
        x, y = example.inputs[0][3], example.inputs[-1][-4]
        expected = model(*((x, y) if model.n_inputs == 2 else (x,)))
        assert_allclose(made(x, y), (expected, x))
        assert made.axis_correlation_matrix.shape == (2, 2)

    def test_is_saved(self, asdf_with_models):
        stream = io.BytesIO()
        asdf.AsdfFile({"wcs": self.made(self.transform())}).write_to(stream)
        stream.seek(0)
        with asdf.open(stream) as file:
            assert_allclose(file["wcs"](99.0, 23.0), (1.0, 2.0))


def test_source_may_be_rendered_within_its_box():
    source = Source(EXAMPLES["gaussian"].make(), PolynomialTrace(0, c0=20.3), flux=3)
    source.bounding_box = ((15, 25), (2, 8))
    image = source.render(np.zeros((41, 12)))
    x, y = np.meshgrid(np.arange(12.0), np.arange(41.0))
    inside = (x >= 2) & (x <= 8) & (y >= 15) & (y <= 25)
    assert_allclose(image[inside], source(x, y)[inside])
    assert np.count_nonzero(image[~inside]) == 0
