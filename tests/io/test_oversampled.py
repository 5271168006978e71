"""Slices from a gwcs, and oversampled datamodels with maps and WCS."""

import asdf
import gwcs
import numpy as np
import pytest
from astropy.modeling import models
from gwcs.coordinate_frames import Frame2D
from gwcs.selector import LabelMapperArray, RegionsSelector
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.transforms.models import Logical

import specmodels as sm
from specmodels.io.oversampled_wcs import oversampled_wcs
from specmodels.io.slices import SlicedImage

from .oversampled_models import COLUMNS, GAP, ROWS, slices_model

FLUX_ESTIMATED = 1 << 28


@pytest.fixture(scope="module")
def made():
    return slices_model()


@pytest.fixture(scope="module")
def result(made):
    return sm.TraceOversampling(factor=2)(made[0])


@pytest.fixture(scope="module")
def out(result):
    return result.to_source()


class TestSlices:
    def test_regions_and_positions_come_from_the_wcs(self, made):
        exposure = sm.read(made[0])
        sliced = SlicedImage.of(exposure.single, exposure)
        assert list(sliced.images) == ["1", "2"]
        assert_array_equal(np.unique(sliced.regions), [0, 1, 2])
        part = sliced.images["2"]
        assert part.shape == (ROWS, COLUMNS)
        assert_allclose(np.diff(part.spatial, axis=0), 0.1)

    def test_maps_of_the_user_win(self, made):
        exposure = sm.read(made[0])
        regions = np.zeros(exposure.single.shape, int)
        regions[GAP : GAP + ROWS] = 5
        spatial = np.arange(regions.shape[0])[:, None] + np.zeros(regions.shape)
        sliced = SlicedImage.of(exposure.single, exposure, regions=regions, spatial=spatial)
        assert list(sliced.images) == ["5"]
        assert_allclose(sliced.images["5"].spatial[0], GAP)

    def test_file_is_read_like_the_model(self, made, tmp_path):
        made[0].save(str(tmp_path / "in.fits"))
        exposure = sm.read(tmp_path / "in.fits")
        assert list(SlicedImage.of(exposure.single, exposure).images) == ["1", "2"]


class TestModel:
    def test_planes_are_oversampled_as_they_lie(self, made, out):
        n = 2 * ROWS + 3 * GAP
        assert isinstance(out, datamodels.IFUImageModel)
        for name in ("data", "err", "dq", "var_poisson", "var_rnoise", "wavelength", "regions",
                     "trace_model"):  # fmt: skip
            assert out[name].shape == (COLUMNS, 2 * n), name
        assert made[0].data.shape == (COLUMNS, n)

    def test_light_is_that_of_the_truth(self, made, out):
        _, truths = made
        data = np.asarray(out.data).T
        for start, truth in zip((GAP, 2 * GAP + ROWS), truths, strict=True):
            found = data[2 * start : 2 * (start + ROWS)]
            error = (found - truth.oversampled) / truth.oversampled.max(axis=0)
            assert np.sqrt(np.mean(error[truth.core] ** 2)) < 0.013

    def test_filled_pixels_are_flagged_and_can_be_used(self, made, result, out):
        estimated = (np.asarray(out.dq) & FLUX_ESTIMATED) > 0
        assert_array_equal(estimated.T, result.estimated)
        assert estimated.any()
        assert not np.any(np.asarray(out.dq)[estimated] & 1)
        assert np.all(np.asarray(out.dq)[~np.isfinite(out.data)] & 1)

    def test_wcs_has_the_fine_pixels_in_front(self, made, out):
        wcs, old = out.meta.wcs, made[0].meta.wcs
        assert wcs.available_frames[:2] == ["coordinates", "detector"]
        y, x = np.mgrid[5:200:13, GAP : GAP + ROWS : 3]
        fine = 2.0 * x + 0.5
        expected = old(x, y)
        for found in (
            wcs(fine, y), wcs.get_transform("coordinates", "world")(fine, y),
            wcs.get_transform("detector", "world")(x, y),
        ):  # fmt: skip
            for one, other in zip(found, expected, strict=True):
                assert_allclose(one, other, rtol=1e-12)

    def test_maps_agree_with_the_wcs(self, out):
        y, x = np.nonzero(np.asarray(out.regions) == 2)
        wavelength = out.meta.wcs(x + 0.0, y + 0.0)[2]
        assert_allclose(wavelength, np.asarray(out.wavelength)[y, x], rtol=1e-6)

    def test_input_and_its_wcs_are_untouched(self, made, out):
        fresh, _ = slices_model()
        for name in ("data", "err", "dq"):
            assert_array_equal(made[0][name], fresh[name])
        assert made[0].meta.wcs.available_frames == ["detector", "alpha_beta", "world"]
        assert made[0].instance.get("trace_model") is None

    def test_file_opens_in_stdatamodels(self, made, result, out, tmp_path):
        path = sm.write(result, tmp_path / "os.fits")
        with datamodels.open(str(path)) as model:
            assert type(model) is datamodels.IFUImageModel
            assert_allclose(model.trace_model, out.trace_model)
            assert_array_equal(model.regions, out.regions)
            assert_allclose(model.meta.wcs(20.0, 30.0), out.meta.wcs(20.0, 30.0))

    def test_oversampled_file_can_be_read_again(self, result, tmp_path):
        path = sm.write(result, tmp_path / "os.fits")
        again = sm.TraceOversampling(factor=1)(path)
        assert list(again.fits) == ["1", "2"]
        assert again.sliced.image.shape == result.shape

    def test_oversampling_twice_joins_the_maps(self, result, made, tmp_path):
        out = sm.TraceOversampling(factor=2)(result.to_source()).to_source()
        assert out.meta.wcs.available_frames.count("coordinates") == 1
        expected = made[0].meta.wcs(10.0, 50.0)
        assert_allclose(out.meta.wcs(4 * 10.0 + 1.5, 50.0), expected)


def test_factor_one_adds_the_trace_model_only(made):
    out = sm.TraceOversampling(factor=1)(made[0]).to_source()
    assert_array_equal(out.data, made[0].data)
    assert out.trace_model.shape == out.data.shape
    assert out.meta.wcs.available_frames == made[0].meta.wcs.available_frames
    assert 0.1 < np.isfinite(out.trace_model).mean() < 0.9


def test_replaced_pixels_in_a_model(made):
    result = sm.PixelReplacement()(made[0])
    out = result.to_source()
    bad = np.asarray(made[0].dq) & 1 > 0
    filled = (np.asarray(out.dq) & FLUX_ESTIMATED) > 0
    assert filled.sum() > 30
    assert np.isfinite(np.asarray(out.data)[filled]).all()
    kept = ~bad & ~filled
    assert_array_equal(np.asarray(out.data)[kept], np.asarray(made[0].data)[kept])


def test_horizontal_slices():
    model, truths = slices_model("NRS_IFU")
    out = sm.TraceOversampling()(model).to_source()
    found = np.asarray(out.data)[2 * GAP : 2 * (GAP + ROWS)]
    error = (found - truths[0].oversampled) / truths[0].oversampled.max(axis=0)
    assert np.sqrt(np.mean(error[truths[0].core] ** 2)) < 0.013


def test_halves_of_pixels_beyond_the_ends_of_a_slit_have_a_place(tmp_path):
    """The middle of a pixel may lie inside of a slit, and that of its half beyond its end."""
    inside = (
        models.Mapping((0, 0))
        | (Logical("GT", 12.2, np.nan) | Logical("LT", -12.2, np.nan) | models.Scale(0))
        & models.Identity(1)
        | models.Polynomial2D(1, c1_0=1.0, c0_1=1.0)
    )
    places = np.linspace(-12.2, 12.2, 50)
    inside = inside | models.Tabular1D(points=places, lookup_table=2 * places, bounds_error=False)
    to_slit = models.Shift(-20.0) | inside
    rows = np.arange(40)[:, None] + np.zeros((40, 30))
    regions = np.where(np.isfinite(to_slit(rows)), 1, 0)
    own = models.Mapping((0, 1, 0)) | models.Identity(1) & to_slit & models.Const1D(2.0)
    selector = RegionsSelector(("x", "y"), ("x", "along", "lam"), selector={1: own},
                               label_mapper=LabelMapperArray(regions))  # fmt: skip
    wcs = gwcs.WCS([(Frame2D(name="detector"), selector), (Frame2D(name="slit"), None)])
    path = tmp_path / "wcs.asdf"
    asdf.AsdfFile({"wcs": oversampled_wcs(wcs, 2, -2)}).write_to(path)
    y, x = np.mgrid[0:80, 0:30].astype(float)
    true = np.where(np.repeat(regions, 2, axis=0), 2 * (0.5 * y - 0.25 - 20), np.nan)
    assert not np.isfinite(wcs(x, 0.5 * y - 0.25)[1][np.isfinite(true)]).all()
    with asdf.open(path) as tree:
        assert_allclose(tree["wcs"](x, y)[1], true, atol=1e-9)


def test_slit_model_without_wcs_is_one_slit(tmp_path):
    image, _truth = sm.datasets.make_undersampled_slit(seed=3, shape=(26, 300), tilt=0, fwhm=(2, 2))
    model = datamodels.SlitModel(np.asarray(image.data, "f4"))
    model.err = np.sqrt(image.variance).astype("f4")
    model.dq = image.mask.astype("u4")
    model.wavelength = np.broadcast_to(image.wavelength, image.shape).astype("f4")
    model.meta.bunit_data = "MJy / sr"
    result = sm.TraceOversampling()(model)
    out = result.to_source()
    assert type(out) is datamodels.SlitModel
    assert out.data.shape == (52, 300)
    assert result.fits


def test_slits_of_one_model_are_written_together(tmp_path):
    model = datamodels.MultiSlitModel()
    for seed in (1, 2):
        image, _ = sm.datasets.make_undersampled_slit(seed=seed, shape=(26, 300), tilt=0)
        slit = datamodels.SlitModel(np.asarray(image.data, "f4"))
        slit.err = np.sqrt(image.variance).astype("f4")
        slit.dq = image.mask.astype("u4")
        slit.wavelength = np.broadcast_to(image.wavelength, image.shape).astype("f4")
        slit.name = f"S{seed}"
        model.slits.append(slit)
    result = sm.TraceOversampling()(model)
    assert list(result) == ["S1", "S2"]
    assert len(result.report()) == 2
    assert list(result.spectra) == ["S1/1", "S2/1"]
    path = sm.write(result, tmp_path / "os.fits")
    with datamodels.open(str(path)) as out:
        assert [slit.data.shape for slit in out.slits] == [(52, 300)] * 2
        assert_allclose(out.slits[1].data, result["S2"].data, rtol=1e-6)
        assert out.slits[0].trace_model.shape == (52, 300)
    assert model.slits[0].data.shape == (26, 300)


@pytest.fixture(scope="module")
def slits():
    """A MultiSlitModel of two slits of 25 rows with sizes and pixel areas."""
    model = datamodels.MultiSlitModel()
    for seed in (1, 2):
        image, _ = sm.datasets.make_undersampled_slit(seed=seed, shape=(25, 200), tilt=3)
        slit = datamodels.SlitModel(np.asarray(image.data, "f4"))
        slit.err = np.sqrt(image.variance).astype("f4")
        slit.dq = image.mask.astype("u4")
        slit.wavelength = np.broadcast_to(image.wavelength, image.shape).astype("f4")
        slit.name, slit.xstart, slit.ystart, slit.xsize, slit.ysize = f"S{seed}", 11, 21, 200, 25
        slit.meta.photometry.pixelarea_steradians = 1e-12
        slit.meta.bunit_data = "MJy / sr"
        model.slits.append(slit)
    return model


@pytest.fixture(scope="module", params=[sm.TraceOversampling, sm.PixelReplacement])
def results(slits, request):
    return request.param(fit_threshold=0)(slits)


class TestSeveralSlits:
    def test_figure(self, results):
        figure = results.plot()
        assert sum(ax.get_label() != "<colorbar>" for ax in figure.axes) == 6
        assert figure.axes[0].get_title(loc="left") == "S1: data"
        figure.draw_without_rendering()

    def test_tables_are_those_of_the_spectra(self, results):
        assert list(results.tables()) == ["S1/1", "S2/1"]
        table, spectrum = results.tables()["S2/1"], results.spectra["S2/1"]
        assert_array_equal(table["flux"], spectrum.flux)
        assert_array_equal(table["flux_error"].value, spectrum.uncertainty.array)

    def test_spectra_are_written_as_jwst_does(self, results, tmp_path):
        path = sm.write(results, tmp_path / "x1d.fits", format="jwst")
        with datamodels.open(str(path)) as model:
            assert [spec.name for spec in model.spec] == ["S1/1", "S2/1"]
            flux = model.spec[1].spec_table["FLUX"]
            # MJy / sr over native pixels of 1e-12 sr, in Jy.
            assert_allclose(flux, 1e-6 * results.spectra["S2/1"].flux.value, rtol=1e-6)

    def test_sizes_and_pixel_areas_are_those_of_the_pixels(self, results, slits):
        factor = 1 if hasattr(results["S1"], "replaced") else 2
        slit = results.to_source().slits[1]
        assert (slit.xstart, slit.ystart, slit.xsize) == (11, 21, 200)
        assert slit.ysize == slit.data.shape[0] == 25 * factor
        assert_allclose(slit.meta.photometry.pixelarea_steradians, 1e-12 / factor)
        assert_allclose(results["S2"].image.meta["pixel_area"], 1e-12 / factor)
        assert slits.slits[1].ysize == 25
        assert slits.slits[1].meta.photometry.pixelarea_steradians == 1e-12


def test_single_result_is_written_as_jwst_does(made, result, tmp_path):
    path = sm.write(result, tmp_path / "x1d.fits", format="jwst")
    with datamodels.open(str(path)) as model:
        assert [spec.name for spec in model.spec] == ["1", "2"]
        found = model.spec[0].spec_table["FLUX"]
        assert_allclose(found, result.spectra["1"].flux.value, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".fits", ".asdf"])
@pytest.mark.parametrize("evaluator", [sm.TraceOversampling, sm.PixelReplacement])
def test_image_is_written_with_all_that_is_needed_to_go_on(tmp_path, evaluator, suffix):
    image, _ = sm.datasets.make_undersampled_slit(seed=3, shape=(24, 120))
    double = sm.SpectralImage(
        np.concatenate([image.data] * 2), variance=np.concatenate([image.variance] * 2),
        mask=np.concatenate([image.mask] * 2), spatial=np.concatenate([image.spatial] * 2),
        wavelength=image.wavelength, wavelength_unit="um",
    )  # fmt: skip
    regions = np.repeat([1, 7], 24)[:, None] * np.ones((1, 120), int)
    result = evaluator(regions=regions)(double)
    assert isinstance(result.to_source(), sm.SpectralImage)
    path = sm.write(result, tmp_path / f"os{suffix}")
    found = sm.read(path).single
    assert_allclose(found.data, result.data)
    assert_allclose(found.spatial, result.image.spatial)
    for name in ("regions", "estimated", "trace_model"):
        assert_array_equal(found.meta[name], result.image.meta[name])
    assert found.meta["estimated"].dtype == bool
    assert np.isfinite(found.meta["trace_model"]).any()
    assert list(sm.TraceOversampling(factor=1)(path).fits) == ["1", "7"]
