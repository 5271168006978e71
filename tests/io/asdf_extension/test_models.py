"""Models in ASDF files beyond the contract: compounds, ties, covariance, own classes."""

import io
import warnings
from pathlib import Path

import asdf
import numpy as np
import pytest
from asdf.testing.helpers import yaml_to_asdf
from astropy import units as u
from astropy.modeling import fitting, models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels.io.asdf_extension import (
    get_extensions,
    get_resource_mappings,
    model_from_tree,
    model_to_tree,
    register_model,
)
from specmodels.io.asdf_extension.converters import MODEL_TYPES
from specmodels.models.composition import repeated_over
from specmodels.models.linear import BasisModel, TiedTo
from specmodels.models.noise.correlated import CorrelatedNoise, FlickerSpectrum
from specmodels.models.noise.lines import FourierNoise
from specmodels.models.noise.nsclean import NSCleanNoise, NSCleanSubarrayNoise
from specmodels.models.priors import GaussianPrior, RidgePrior, SmoothnessPrior
from specmodels.models.profiles import GaussianProfile, MoffatProfile
from specmodels.models.psf import TabulatedPSF
from specmodels.models.sky import ColumnPolynomial
from specmodels.models.sources import Source
from specmodels.models.spectra import BSplineSpectrum, LegendreSpectrum
from specmodels.models.traces import PolynomialTrace, SplineTrace
from specmodels.numerics.readout import Readout
from specmodels.ramp import Ramp
from tests.models.model_contract import concrete_models

X = np.linspace(0, 10, 31)


@pytest.fixture(autouse=True)
def asdf_with_models():
    with asdf.config_context() as config:
        for mapping in get_resource_mappings():
            config.add_resource_mapping(mapping)
        for extension in get_extensions():
            config.add_extension(extension)
        config.validate_on_read = True
        yield


def written(tree):
    stream = io.BytesIO()
    asdf.AsdfFile(tree).write_to(stream)
    return stream.getvalue()


def round_trip(model):
    with asdf.open(io.BytesIO(written({"model": model}))) as file:
        return file["model"]


def complete_round_trip(model):
    with asdf.open(io.BytesIO(written({"fit": model_to_tree(model)}))) as file:
        return model_from_tree(file["fit"])


class Sines(BasisModel):
    def basis(self, t):
        return np.sin(np.multiply.outer(t, np.arange(1, self.n_terms + 1)))


class TestRegistration:
    def test_every_model_of_the_package_can_be_saved(self):
        names = {f"{c.__module__}.{c.__qualname__}" for c in concrete_models()}
        adapters = {
            "specmodels.models.composition.Coordinate",
            "specmodels.models.noise.correlated.CorrelatedNoise",  # a model without parameters
        }
        assert names | adapters == set(MODEL_TYPES)

    def test_compositions_are_compositions_again(self):
        sky = LegendreSpectrum(1, limits=(1, 2), c0=3.0, c1=1.0)
        model = Source(GaussianProfile(), name="star") + sky
        read = round_trip(model)
        assert read[1].coordinate == "wavelength"
        assert (read + sky).n_inputs == 2
        assert read.param_names == model.param_names

    def test_own_class_takes_one_line(self):
        register_model(Sines)
        model = Sines(3, c0=1, c2=2, name="mine")
        read = round_trip(model)
        assert type(read) is Sines
        assert_array_equal(read(X), model(X))

    def test_unknown_class_cannot_be_written(self):
        class Unknown(Sines):
            pass

        with pytest.raises(yaml_error(), match="Unknown"):
            written({"model": Unknown(2)})

    def test_class_of_a_file_that_is_not_registered_is_not_imported(self):
        content = written({"model": GaussianProfile()})
        content = content.replace(b"specmodels.models.profiles.GaussianProfile", b"os.path.join")
        with asdf.config_context() as config:
            config.warn_on_failed_conversion = False
            with pytest.raises(TypeError, match="register_model"), asdf.open(io.BytesIO(content)):
                pass

    def test_class_which_cannot_be_made_again_is_refused_when_written(self):
        @register_model
        class Twice(PolynomialTrace):
            def __init__(self, **parameters):
                super().__init__(1, limits=(0, 1), **parameters)

        with pytest.raises(TypeError, match="limits"):
            written({"model": Twice()})

    def test_file_opens_without_warnings(self):
        content = written({"model": GaussianProfile() + models.Const1D(2)})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with asdf.open(io.BytesIO(content)) as file:
                assert "specmodels" in str(file["history"])


class TestSchemas:
    @pytest.mark.parametrize(
        "name",
        ["model-1.2.0", "model-1.1.0", "model-1.0.0", "tied_to-1.0.0", "fit-1.0.0", "image-1.0.0"],
    )
    def test_is_valid(self, name):
        uri = f"asdf://specmodels.readthedocs.io/schemas/{name}"
        assert asdf.schema.load_schema(uri)["id"] == uri

    @pytest.mark.parametrize("version", ["1.2.0", "1.1.0", "1.0.0"])
    def test_example_in_the_schema_can_be_read(self, version):
        uri = f"asdf://specmodels.readthedocs.io/schemas/model-{version}"
        example = asdf.schema.load_schema(uri)["examples"][0][-1]
        with asdf.open(yaml_to_asdf(f"model: {example.strip()}")) as file:
            assert file["model"].stddev == 2
            assert file["model"].stddev.fixed

    def test_model_without_class_is_refused(self):
        content = written({"model": GaussianProfile()}).replace(b"  class:", b"  klass:")
        with pytest.raises(asdf.ValidationError, match="class"), asdf.open(io.BytesIO(content)):
            pass


class TestState:
    def test_ties_by_name(self):
        model = GaussianProfile()
        model.center.tied = TiedTo("stddev", factor=2, offset=1)
        assert round_trip(model).center.tied == model.center.tied

    def test_tie_that_is_a_function_is_refused(self):
        model = GaussianProfile()
        model.center.tied = lambda m: 3
        with pytest.raises(TypeError, match="TiedTo"):
            written({"model": model})

    def test_priors(self):
        model = GaussianProfile()
        model.stddev.prior = GaussianPrior(1.2, 0.1)
        for read in (round_trip(model), round_trip(model + model)[0]):
            assert read.stddev.prior == GaussianPrior(1.2, 0.1)
            assert read.center.prior is None

    def test_prior_that_is_a_function_is_refused(self):
        model = GaussianProfile()
        model.center.prior = lambda value: -(value**2)
        with pytest.raises(TypeError, match=r"center: a prior .*GaussianPrior"):
            written({"model": model})

    @pytest.mark.parametrize(
        "prior", [SmoothnessPrior(order=1), RidgePrior(2.0, mean=[1.0] * 5, scale=3.0)]
    )
    def test_priors_of_all_coefficients(self, prior):
        model = LegendreSpectrum(4, limits=(1, 2), name="sky")
        model.coefficient_prior = prior
        assert round_trip(model).coefficient_prior == prior
        assert round_trip(Source(GaussianProfile()) + model)["sky"].coefficient_prior == prior

    def test_prior_of_all_coefficients_of_another_class_is_refused(self):
        class Mine(SmoothnessPrior):
            pass

        model = LegendreSpectrum(4, limits=(1, 2), name="sky")
        model.coefficient_prior = Mine()
        with pytest.raises(TypeError, match=r"sky: the prior Mine\(.*SmoothnessPrior"):
            written({"model": model})

    def test_what_coefficients_repeat_over(self):
        level = repeated_over(ColumnPolynomial(0, name="level"), "exposure")
        assert round_trip(level).over == ("exposure",)
        assert round_trip(Source(GaussianProfile()) + level)["level"].over == ("exposure",)
        stock = Source(GaussianProfile()) + repeated_over(models.Const2D(name="level"), "line")
        assert complete_round_trip(stock)["level"].over == ("line",)

    def test_units(self):
        model = Source(GaussianProfile(stddev=1.5 * u.pix), flux=3 * u.mJy)
        read = round_trip(model)
        assert (read.flux.unit, read.stddev.unit) == (u.mJy, u.pix)
        assert read(0.0, 1.0) == model(0.0, 1.0)

    @pytest.mark.parametrize("version", ["1.5.0", "1.6.0"])
    def test_versions_of_the_standard(self, version):
        model = GaussianProfile()
        model.bounding_box = (-3.0, 4.0)
        stream = io.BytesIO()
        asdf.AsdfFile({"model": model}, version=version).write_to(stream)
        stream.seek(0)
        with asdf.open(stream) as file:
            assert file["model"].bounding_box.bounding_box() == (-3, 4)

    def test_bounds_that_are_zero_or_removed(self):
        model = GaussianProfile(bounds={"center": (0, None), "stddev": (None, None)})
        read = round_trip(model)
        assert read.bounds == {"center": (0, None), "stddev": (None, None)}

    def test_default_constraint_that_was_lifted(self):
        psf = TabulatedPSF([0.0, 1, 1, 0], np.arange(4), fixed={"scale": False})
        assert not round_trip(psf).scale.fixed

    def test_covariance_and_deviations_of_a_fit(self):
        data = PolynomialTrace(1, limits=(0, 10), c0=3, c1=1)(X) + np.sin(37 * X)
        start = PolynomialTrace(1, limits=(0, 10))
        fitted = fitting.LinearLSQFitter(calc_uncertainties=True)(start, X, data)
        read = round_trip(fitted)
        assert_array_equal(read.cov_matrix.cov_matrix, fitted.cov_matrix.cov_matrix)
        assert_array_equal(read.stds.stds, fitted.stds.stds)
        assert read.c1.std == fitted.c1.std

    def test_covariance_of_a_set(self):
        data = np.stack([X + np.sin(37 * X), 2 * X + np.cos(29 * X)])
        start = PolynomialTrace(1, limits=(0, 10), n_models=2)
        fitted = fitting.LinearLSQFitter(calc_uncertainties=True)(start, X, data)
        read = round_trip(fitted)
        for one, other in zip(read.cov_matrix, fitted.cov_matrix, strict=True):
            assert_array_equal(one.cov_matrix, other.cov_matrix)

    def test_arrays_outlive_the_file(self):
        table = np.exp(-0.5 * np.linspace(-5, 5, 400) ** 2) * np.ones((50, 1))
        psf = TabulatedPSF(table, np.linspace(-5, 5, 400))
        read = round_trip(psf)
        assert type(read.table) is np.ndarray
        assert_array_equal(read.table, psf.table)

    def test_numpy_settings_are_saved(self):
        model = PolynomialTrace(np.int64(2), limits=np.array([0.0, 9.0]))
        assert round_trip(model).limits == (0.0, 9.0)


class TestCompounds:
    def scene(self):
        target = Source(MoffatProfile(), SplineTrace([0, 30, 60], c0=20), name="target")
        model = target + Source(MoffatProfile(), name="neighbour") + ColumnPolynomial(1, name="sky")
        model.gamma_1.tied = TiedTo("gamma_0")
        model.alpha_0.fixed = True
        model.name = "scene"
        return model

    def test_keep_ties_names_and_constraints(self):
        model, read = self.scene(), round_trip(self.scene())
        assert read.name == "scene"
        assert read.submodel_names == model.submodel_names
        assert (read.tied, read.fixed, read.bounds) == (model.tied, model.fixed, model.bounds)
        assert read["target"].trace_c0 == 20

    def test_keep_sets(self):
        model = PolynomialTrace(1, c0=[1, 2], c1=[3, 4], n_models=2) * GaussianProfile(
            [1, 2], [1, 1], n_models=2
        )
        read = round_trip(model)
        assert len(read) == 2
        assert_array_equal(read(X, model_set_axis=False), model(X, model_set_axis=False))

    def test_keep_that_two_parts_are_one_model(self):
        part = GaussianProfile(3, 1.5)
        model, read = part + part, round_trip(part + part)
        assert read.left is read.right
        for compound in (model, read):
            compound.center_0 = 4
            assert compound.center_1 == 4
        assert_array_equal(read(X), model(X))

    def test_keep_priors_and_boxes_of_parts(self):
        model = self.scene()
        model.flux_0.prior = GaussianPrior(3, 1)
        model["target"].bounding_box = ((0.0, 5.0), (1.0, 9.0))
        model.bounding_box = ((0.0, 40.0), (0.0, 60.0))
        read = round_trip(model)
        assert read.flux_0.prior == model.flux_0.prior
        assert read.bounding_box.bounding_box() == ((0, 40), (0, 60))
        assert read["target"].bounding_box.bounding_box() == ((0, 5), (1, 9))

    def test_pipes_and_stock_models(self):
        model = models.Shift(2) | PolynomialTrace(1, c1=2) | models.Scale(3)
        assert_array_equal(round_trip(model)(X), model(X))


class TestCompleteTree:
    def mixed(self):
        model = GaussianProfile(5, 1) * models.Const1D(2) + models.Gaussian1D(1, 7, 0.5)
        model.stddev_2.tied = TiedTo("stddev_0", factor=0.5)
        model.mean_2.bounds = (0, None)
        model.stddev_2.bounds = (None, None)
        return model

    def test_keeps_ties_and_bounds_of_stock_models(self):
        model, read = self.mixed(), complete_round_trip(self.mixed())
        assert (read.tied, read.fixed, read.bounds) == (model.tied, model.fixed, model.bounds)

    def test_keeps_the_covariance_of_a_compound(self):
        truth, start = self.mixed(), self.mixed()
        start.center_0 = 4.8
        start.amplitude_1.fixed = True
        data = truth(X) + 0.01 * np.sin(37 * X)
        fitter = fitting.TRFLSQFitter(calc_uncertainties=True)
        fitted = fitter(start, X, data)
        read = complete_round_trip(fitted)
        assert read.cov_matrix.param_names == fitted.cov_matrix.param_names
        assert_array_equal(read.cov_matrix.cov_matrix, fitted.cov_matrix.cov_matrix)
        assert read.center_0.std == fitted.center_0.std
        assert read.stds["mean_2"] == fitted.stds["mean_2"]

    def test_refuses_a_set_with_stock_models(self):
        model = GaussianProfile([1, 2], [1, 1], n_models=2) + models.Const1D([1, 2], n_models=2)
        with pytest.raises(ValueError, match="Const1D"):
            model_to_tree(model)

    def test_registered_stock_model_keeps_its_sets(self):
        register_model(models.Polynomial1D)
        model = models.Polynomial1D(1, c0=[1, 2], c1=[3, 4], n_models=2)
        read = round_trip(model)
        assert len(read) == 2
        assert_allclose(read(X, model_set_axis=False), model(X, model_set_axis=False))


class TestOldFiles:
    """A file of version 1.0.0 of the schema, as it was written then."""

    @pytest.fixture
    def tree(self):
        with asdf.open(Path(__file__).parent / "data" / "models-1.0.0.asdf") as file:
            yield file

    def test_models_are_those_that_were_saved(self, tree):
        y = np.array([19.0, 20.0, 22.0])
        assert type(tree["noise"]) is FourierNoise
        assert_allclose(tree["noise"](y), [-0.353553391, -0.5, 0], atol=1e-9)
        assert type(tree["spectrum"]) is BSplineSpectrum
        assert_allclose(tree["spectrum"]([1.0, 1.5, 1.9]), [1, 1.2, 1.0208])
        light = tree["scene"]([0.0, 10.0, 30.0], y)
        assert_allclose(light, [2.67038731, 2.09713437, 2.0000007], rtol=1e-8)

    def test_constraints_are_kept(self, tree):
        scene = tree["scene"]
        assert scene.submodel_names == ("target", "neighbour", "sky")
        assert scene.gamma_1.tied == TiedTo("gamma_0", factor=1.5)
        assert scene.alpha_0.fixed
        assert scene.alpha_0.bounds == (0.6, 30)

    def test_are_written_again_as_today(self, tree):
        content = written({"model": tree["spectrum"]})
        assert b"model-1.2.0" in content
        assert b"model-1.0.0" not in content


def yaml_error():
    from yaml.representer import RepresenterError

    return RepresenterError


@pytest.mark.parametrize(
    "noise",
    [
        CorrelatedNoise(common=FlickerSpectrum(0.3, 1.1), white=2.0, tolerance=0.01),
        NSCleanNoise(centred=True),
        NSCleanSubarrayNoise(sigma=3.0),
        Readout(
            fast_axis=-2, n_outputs=np.int64(4), line_overhead=12, alternating=False, stripes="slow"
        ),
    ],
    ids=lambda noise: type(noise).__name__,
)
def test_descriptions_of_noise_and_readout_come_back(noise):
    back = round_trip(noise)
    assert type(back) is type(noise)
    settings = getattr(noise, "settings", vars(noise))
    for name, value in settings.items():
        if isinstance(value, FlickerSpectrum):
            assert_array_equal(getattr(back, name).parameters, value.parameters)
        else:
            assert getattr(back, name) == value


def test_frames_come_back_with_all_that_is_known():
    shape = (2, 3, 8, 16)
    rng = np.random.default_rng(2)
    marks = {key: rng.random(shape) > 0.9 for key in ("frame_mask", "saturated", "jumped")}
    marks |= {key: rng.random(shape[2:]) > 0.9 for key in ("mask", "lit")}
    ramp = Ramp(rng.integers(0, 99, shape).astype("u2"), Readout(fast_axis=-2), unit=u.DN,
                variance=np.ones(shape), dispersion_axis=-2, source="file", **marks)  # fmt: skip
    back = round_trip(ramp)
    assert (back.readout, back.unit) == (ramp.readout, ramp.unit)
    assert (back.dispersion_axis, back.source) == (-2, None)
    assert back.data.dtype == np.uint16
    for name in ("data", "variance", *marks):
        assert type(getattr(back, name)) is np.ndarray
        assert_array_equal(getattr(back, name), getattr(ramp, name))
    assert round_trip(Ramp(np.ones((4, 5)))).mask is None
