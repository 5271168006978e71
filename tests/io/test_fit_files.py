"""Fits in files: opened again they answer as before, and a file can do no more than that."""

from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.modeling.models import Const1D, Const2D, Gaussian1D
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.io.asdf_extension.fit_converters import FitConverter

DATA = Path(__file__).parent / "asdf_extension" / "data"
SHAPE = (14, 40)
WAVELENGTH = np.linspace(1.0, 2.0, SHAPE[1]) + 0.01 * np.arange(SHAPE[0])[:, None]


def star(profile=None, **more):
    return sm.Source(profile or sm.GaussianProfile(stddev=1.4), trace_c0=7.2, name="star", **more)


def sky(**more):
    return sm.BSplineSpectrum(12, limits=(0.99, 2.15), name="sky", **more)


def image(seed=1, name="slit", **more):
    rng = np.random.default_rng(seed)
    data = star(flux=50.0)(*np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))) + 3.0
    data += rng.normal(size=SHAPE)
    mask = rng.uniform(size=SHAPE) < 0.03
    return sm.SpectralImage(data, variance=np.ones(SHAPE), mask=mask, wavelength=WAVELENGTH,
                            wavelength_unit="um", unit="electron", name=name, **more)  # fmt: skip


def of_columns():
    return sm.SigmaClipFitter(sm.VarProFitter())(star() + sm.ColumnPolynomial(1, name="sky"),
                                                 image())  # fmt: skip


def without_batch():
    return sm.VarProFitter()(star() + sm.ColumnPolynomial(0), image(), batch=None)


def held():
    return sm.LinearFitter()(star() + sm.ColumnPolynomial(1), image())


def of_wavelength():
    return sm.VarProFitter()(star() + sky(), image())


def with_priors():
    model = star() + sky()
    model["sky"].coefficient_prior = sm.SmoothnessPrior()
    model.flux_0.prior = sm.GaussianPrior(40.0, 3.0)
    return sm.VarProFitter()(model, image())


def within_bounds():
    return sm.LinearFitter()(star() + sky(bounds={"c3": (None, 1.0)}), image())


def of_exposures():
    level = sm.repeated_over(Const2D(name="level"), "exposure")
    images = [image(seed, f"exposure {seed}") for seed in (1, 2)]
    return sm.VarProFitter()(star() + level, images, share={"stddev*": True, "trace_*": False})


def in_correlated_noise():
    readout = sm.Readout(n_outputs=2, fast_axis=-1, line_overhead=3)
    model = star() + Const2D(name="level") + sm.CorrelatedNoise(name="noise")
    return sm.VarProFitter()(model, image(readout=readout))


FITS = [of_columns, without_batch, held, of_wavelength, with_priors, within_bounds, of_exposures,
        in_correlated_noise]  # fmt: skip


def listed(images):
    return images if isinstance(images, list) else [images]


@pytest.mark.parametrize("make", FITS, ids=lambda make: make.__name__)
def test_fit_that_was_opened_answers_as_before(make, tmp_path):
    fit = make()
    read = sm.read_fit(sm.write(fit, tmp_path / "fit.asdf"))
    assert type(read) is type(fit)
    for now, before in zip(listed(read.predict()), listed(fit.predict()), strict=True):
        assert_allclose(now, before, rtol=1e-12, atol=1e-12)
    for name in fit.names:
        assert_array_equal(read[name], fit[name])
        assert_allclose(read.error(name), fit.error(name), rtol=1e-8)
    assert_allclose(read.prediction_error(), fit.prediction_error(), rtol=1e-8)
    assert_array_equal(read.rejected, fit.rejected)
    assert read.strengths == fit.strengths
    assert read.reasons == fit.reasons
    assert repr(read) == repr(fit)
    assert str(read.goodness()) == str(fit.goodness())
    assert (read.template.fixed, read.template.bounds, read.template.tied) == (
        fit.template.fixed, fit.template.bounds, fit.template.tied)  # fmt: skip


@pytest.mark.parametrize("make", [of_columns, of_wavelength], ids=lambda make: make.__name__)
def test_pixels_come_with_all_that_is_known_of_them(make, tmp_path):
    fit = make()
    read = sm.read_fit(sm.write(fit, tmp_path / "fit.asdf"))
    for key in ("data", "variance", "mask", "wavelength", "x", "y"):
        assert_array_equal(getattr(read.image, key), getattr(fit.image, key))
    assert (read.image.unit, read.image.wavelength_unit) == (fit.image.unit, "um")
    assert read.image.name == "slit"


def test_fit_that_was_opened_is_used_as_any_other(tmp_path):
    fit = of_wavelength()
    read = sm.read_fit(sm.write(fit, tmp_path / "fit.asdf"))
    again = sm.LinearFitter()(read.template, read.image, **read.options)
    assert_allclose(again.predict(), fit.predict(), atol=1e-8)
    assert sm.read_fit(sm.write(read, tmp_path / "again.asdf")).reduced_chi2 == fit.reduced_chi2


def test_view_of_one_exposure_keeps_the_covariance_of_all(tmp_path):
    view = of_exposures().of_image(1)
    read = sm.read_fit(sm.write(view, tmp_path / "fit.asdf"))
    assert_allclose(read.error("flux_0"), view.error("flux_0"), rtol=1e-8)
    assert_allclose(read.predict(), view.predict(), rtol=1e-12)
    alone = sm.VarProFitter()(view.template, view.image)
    assert np.median(alone.error("flux_0")) > np.median(read.error("flux_0"))


class TestResults:
    def test_fit_of_an_extraction_says_what_it_was_made_of(self, tmp_path):
        path = tmp_path / "slit.fits"
        sm.write(image(), path)
        result = sm.OptimalExtraction(model=star() + sm.ColumnPolynomial(1))(path)
        written = sm.write(result, tmp_path / "fit.asdf", format="fit")
        assert_array_equal(sm.read_fit(written).predict(), result.fit.predict())
        with asdf.open(written) as file:
            assert file["provenance"]["source"] == "slit.fits"
            assert file["provenance"]["software"].startswith("specmodels")

    def test_several_slits_are_asked_for_by_name(self, tmp_path):
        slits = sm.Exposure([image(1, "A"), image(2, "B")])
        result = sm.OptimalExtraction(model=star() + sm.ColumnPolynomial(1))(slits)
        path = sm.write(result, tmp_path / "fit.asdf", format="fit")
        assert_array_equal(sm.read_fit(path, "B").predict(), result["B"].fit.predict())
        with pytest.raises(ValueError, match=r"name: the file holds fits of \['A', 'B'\]"):
            sm.read_fit(path)
        with pytest.raises(ValueError, match=r"name: expected one of \['A', 'B'\], got 'C'"):
            sm.read_fit(path, "C")

    def test_result_without_a_fit_is_refused(self, tmp_path):
        with pytest.raises(TypeError, match="result: expected a FitResult"):
            sm.write(image(), tmp_path / "fit.asdf", format="fit")
        assert not list(tmp_path.iterdir())

    def test_other_suffix_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"target: expected a name ending in '.asdf'"):
            sm.write(held(), tmp_path / "fit.fits", format="fit")

    def test_model_of_an_unknown_class_is_named(self, tmp_path):
        class Mine(sm.GaussianProfile):
            pass

        fit = sm.VarProFitter()(star(Mine(stddev=1.4)), image())
        with pytest.raises(TypeError, match="register_model"):
            sm.write(fit, tmp_path / "fit.asdf")
        assert not list(tmp_path.iterdir())

    def test_stock_models_keep_their_constraints(self, tmp_path):
        model = Gaussian1D(5.0, 7.2, 1.4, bounds={"mean": (5, 9)}) + Const1D(3.0)
        model.stddev_0.prior = sm.GaussianPrior(1.4, 0.2)
        fit = sm.VarProFitter()(model, image())
        read = sm.read_fit(sm.write(fit, tmp_path / "fit.asdf"))
        assert read.template.stddev_0.prior == sm.GaussianPrior(1.4, 0.2)
        assert read.template.mean_0.bounds == (5, 9)


class TestUntrustedFiles:
    @pytest.fixture
    def changed(self, tmp_path, monkeypatch):
        """Writes a fit whose tree was changed, as somebody else might do."""
        whole = FitConverter.to_yaml_tree

        def change(make, **entries):
            def tree(self, fit, tag, ctx):
                node = whole(self, fit, tag, ctx)
                return node | {key: value(node[key]) for key, value in entries.items()}

            monkeypatch.setattr(FitConverter, "to_yaml_tree", tree)
            return sm.write(make(), tmp_path / "fit.asdf")

        return change

    def test_class_that_is_not_registered_is_not_imported(self, tmp_path):
        path = sm.write(held(), tmp_path / "fit.asdf")
        name = b"specmodels.models.profiles.GaussianProfile"
        evil = b"os.system".ljust(len(name))
        path.write_bytes(path.read_bytes().replace(name, evil))
        with pytest.raises(TypeError, match="register_model"):
            sm.read_fit(path)

    @pytest.mark.parametrize("key", ["coefficients", "response", "noise", "strengths", "dof"])
    def test_arrays_of_another_size_are_refused(self, changed, key):
        path = changed(with_priors, **{key: lambda array: array[:-1]})
        with pytest.raises(ValueError, match=f"{key}: expected the shape"):
            sm.read_fit(path)

    def test_values_of_another_size_are_refused(self, changed):
        def cut(values):
            return {**values, "flux_0": np.ones(7)}

        with pytest.raises(ValueError, match=r"values\['flux_0'\]: expected one number, or one"):
            sm.read_fit(changed(of_columns, values=cut))

    def test_fit_whose_model_has_other_values_is_refused(self, changed):
        path = changed(of_wavelength, coefficients=lambda array: array * 1.001)
        with pytest.raises(ValueError, match="other values than when it was saved"):
            sm.read_fit(path)

    def test_unknown_kind_is_refused(self, tmp_path):
        path = sm.write(held(), tmp_path / "fit.asdf")
        path.write_bytes(path.read_bytes().replace(b"kind: columns", b"kind: volumes"))
        with pytest.raises(ValueError, match="volumes"):
            sm.read_fit(path)

    def test_file_without_fits_is_refused(self, tmp_path):
        path = sm.write(image(), tmp_path / "image.asdf")
        with pytest.raises(ValueError, match=r"path: expected an ASDF file with fits.*image\.asdf"):
            sm.read_fit(path)

    def test_file_that_was_cut_is_refused(self, tmp_path):
        path = sm.write(held(), tmp_path / "fit.asdf")
        path.write_bytes(path.read_bytes()[:-3000])
        with pytest.raises(ValueError, match=r"fit\.asdf"):
            sm.read_fit(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            sm.read_fit(tmp_path / "none.asdf")


@pytest.mark.parametrize("name", ["columns", "system"])
def test_first_version_of_the_schema_opens(name):
    fit = sm.read_fit(DATA / "fits-1.0.0.asdf", name)
    assert fit.success
    assert_allclose(fit["flux_0"], 50, atol=6 * np.max(fit.error("flux_0")))
    assert_allclose(fit.reduced_chi2, {"columns": 0.96177, "system": 0.97539}[name], rtol=1e-4)
    if name == "system":
        assert list(fit.strengths) == ["sky"]
        assert fit.repeats_over("flux_0")["column"].tolist() == list(range(12))
