"""Grism cutouts in and out of JWST datamodels, and the description of a JWST grism."""

from types import SimpleNamespace

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.grisms import jwst_grism
from specmodels.io.slitless import read_direct_image, read_slitless

SHAPE = (140, 280)


@pytest.fixture(scope="module")
def field():
    return sm.datasets.make_slitless(seed=4, n_sources=6)


@pytest.fixture
def cutouts(field):
    return multi_slit(field[0])


def multi_slit(exposure):
    """A MultiSlitModel of the cutouts, as grism extraction makes it."""
    model = datamodels.MultiSlitModel()
    for cutout in exposure.cutouts:
        rows, columns = cutout.window
        slit = datamodels.SlitModel()
        slit.data = exposure.data[cutout.window].astype("f4")
        slit.err = np.sqrt(exposure.variance[cutout.window]).astype("f4")
        slit.var_rnoise = exposure.variance[cutout.window].astype("f4")
        slit.dq = np.zeros(slit.data.shape, "u4")
        slit.source_id, slit.name = cutout.label, str(cutout.label)
        slit.xstart, slit.ystart = columns.start + 1, rows.start + 1
        slit.meta.wcsinfo.spectral_order = cutout.order
        model.slits.append(slit)
    return model


def test_cutouts_are_put_back_on_the_detector(field, cutouts):
    cutouts.slits[0].dq[1, 2] = 1
    found = read_slitless(cutouts, shape=SHAPE)
    exposure = field[0]
    assert [c.key for c in found.cutouts] == [c.key for c in exposure.cutouts]
    shown = ~found.mask
    np.testing.assert_allclose(found.data[shown], exposure.data[shown], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.variance[shown], 0.01, rtol=1e-5)
    for cutout, slit in zip(found.cutouts, cutouts.slits, strict=True):
        assert slit.data.shape == found.data[cutout.window].shape
    first = found.cutouts[0].window
    covered = np.zeros(SHAPE, int)
    for cutout in found.cutouts:
        covered[cutout.window] += 1
    flagged = first[0].start + 1, first[1].start + 2
    assert found.mask[flagged] == (covered[flagged] == 1)
    assert found.mask[covered == 0].all()


def test_cleaned_cutouts_are_of_the_kind_that_came_in(field, cutouts):
    _, truth = field
    before = [slit.data.copy() for slit in cutouts.slits]
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    result = sm.ContaminationSubtraction(scene)(cutouts)
    cleaned = result.to_source()
    assert isinstance(cleaned, datamodels.MultiSlitModel)
    for k, (slit, old) in enumerate(zip(cleaned.slits, before, strict=True)):
        np.testing.assert_allclose(slit.data, old - result.slits[k].contamination, atol=1e-4)
        np.testing.assert_array_equal(cutouts.slits[k].data, old)
        extra = result.slits[k].variance
        np.testing.assert_allclose(slit.err**2, 0.01 + extra, rtol=1e-4)
        np.testing.assert_allclose(slit.var_rnoise, 0.01 + extra, rtol=1e-4)
    model = result.contamination_model()
    np.testing.assert_allclose(model.slits[1].data, result.slits[1].contamination, atol=1e-5)
    image = result.simulated_model()
    np.testing.assert_allclose(image.data, result.simulated_image, atol=1e-4)


def test_files_are_read_and_written_back(field, cutouts, tmp_path):
    _, truth = field
    path = tmp_path / "cutouts.fits"
    cutouts.save(str(path))
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    result = sm.ContaminationSubtraction(scene)(path)
    cleaned = result.to_source()
    np.testing.assert_allclose(cleaned.slits[0].data, result.slits[0].corrected, atol=1e-4)


def test_image_models_and_arrays_are_read_whole(field):
    exposure, _ = field
    model = datamodels.ImageModel(data=exposure.data.astype("f4"))
    model.err = np.sqrt(exposure.variance).astype("f4")
    found = read_slitless(model)
    np.testing.assert_allclose(found.variance, 0.01, rtol=1e-5)
    assert not found.cutouts
    assert not found.mask.any()
    assert read_slitless(exposure.data).variance is None
    assert read_slitless(found) is found
    scene = sm.GrismScene.from_direct_image(field[1].direct, grism=field[1].grism)
    result = sm.ContaminationSubtraction(scene)(exposure.data)
    with pytest.raises(TypeError, match="MultiSlitModel"):
        result.to_source()


def test_direct_image_comes_with_its_error(field):
    direct = field[1].direct
    image = datamodels.ImageModel(data=direct.data[0].astype("f4"))
    image.err = np.full(SHAPE, 0.02, "f4")
    image.meta.bunit_data = "MJy/sr"
    segments = datamodels.SegmentationMapModel(data=direct.segmentation.astype("u4"))
    found = read_direct_image(image, segments)
    np.testing.assert_allclose(found.error, 0.02)
    np.testing.assert_array_equal(found.segmentation, direct.segmentation)
    assert str(found.unit) == "MJy / sr"


def test_bad_input_is_refused(cutouts, tmp_path):
    with pytest.raises(ValueError, match="shape"):
        read_slitless(cutouts, shape=(20, 20))
    with pytest.raises(ValueError, match="empty"):
        read_slitless(datamodels.MultiSlitModel())
    with pytest.raises(FileNotFoundError, match="no file"):
        read_slitless(tmp_path / "none.fits")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_direct_image(tmp_path / "none.fits", np.ones((2, 2), int))


class FakeWcs:
    """A WCS with the frames of a JWST grism, two orders, and pixels for a sky."""

    available_frames = ["grism_detector", "detector", "world"]

    def __call__(self, x, y, with_bounding_box=True):
        return x, y

    def get_transform(self, start, end):
        def moved(ra, dec, wavelength, order):
            if np.any(order > 2):
                raise ValueError("order is not specified")
            return ra + 50 * (wavelength - 2) * order, dec, ra, dec, order

        return moved


class FakeRanges:
    order = [1, 2, 3]

    def get_wfss_wavelength_range(self, band, orders):
        return {order: (1.7, 2.3) for order in orders} if band == "F200W" else {}


def photom(orders=(1,)):
    wavelength = np.linspace(1.6, 2.4, 9)
    names = ("wavelength", "relresponse", "reluncertainty")
    dtype = [("filter", "S12"), ("pupil", "S15"), ("order", "i2"), ("photmjsr", "f4"),
             ("uncertainty", "f4"), ("nelem", "i2"), *[(n, "f4", (9,)) for n in names]]  # fmt: skip
    table = np.zeros(len(orders), dtype)
    table["filter"], table["pupil"], table["order"] = "GR150C", "F200W", orders
    table["photmjsr"], table["nelem"], table["wavelength"] = 2.0, 9, wavelength
    table["relresponse"] = 0.01 * np.arange(9)
    model = datamodels.NisWfssPhotomModel(phot_table=table)
    model.phot_unit = "MJy micron s / (DN sr)"
    return model


def grism_model(pupil="F200W", exposure_type="NIS_WFSS", wcs=None):
    """What of a datamodel is looked at; a real one takes no stand-in for a WCS."""
    instrument = SimpleNamespace(name="NIRISS", filter="GR150C", pupil=pupil)
    meta = SimpleNamespace(instrument=instrument, exposure=SimpleNamespace(type=exposure_type),
                           wcs=FakeWcs() if wcs is None else wcs)  # fmt: skip
    return SimpleNamespace(meta=meta)


def test_jwst_grism_is_described_by_reference_models():
    with pytest.warns(UserWarning, match="no order 3"):
        grism = jwst_grism(grism_model(), FakeWcs(), photom(), FakeRanges())
    assert grism.orders == (1, 2)
    assert list(grism.sensitivity) == [1]
    np.testing.assert_allclose(grism.wavelength_range[1], (1.7, 2.3))
    expected = [0, 1 / (2 * 0.01), 0]
    np.testing.assert_allclose(grism.sensitivity[1]([1.6, 1.7, 2.5]), expected, rtol=1e-5)
    x, y = grism.transform(np.array([10.0]), np.array([5.0]), np.array([2.1]), 1)
    np.testing.assert_allclose([x[0], y[0]], [15, 5])


def test_unknown_modes_and_bands_are_refused():
    with pytest.raises(ValueError, match="no range for F090W"):
        jwst_grism(grism_model("F090W"), FakeWcs(), photom(), FakeRanges())
    with pytest.raises(ValueError, match="wide-field grism"):
        jwst_grism(grism_model(exposure_type="NIS_IMAGE"), FakeWcs(), photom(), FakeRanges())
    with pytest.raises(TypeError, match="frames"):
        jwst_grism(grism_model(wcs=lambda x, y: (x, y)), FakeWcs(), photom(), FakeRanges())
