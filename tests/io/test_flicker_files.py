"""Files of cleaned frames: what is written can be read again, and the mask be used again."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.flicker_files import read_background_mask

SHAPE = (32, 128)
CLEAN = sm.FlickerNoiseSubtraction(sm.LineMedian())


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def image(rng):
    return rng.normal(size=SHAPE) + rng.normal(size=(SHAPE[0], 1))


def jwst(model, rng):
    model.meta.instrument.name, model.meta.exposure.type = "NIRISS", "NIS_IMAGE"
    return model


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".asdf"])
def test_datamodel_is_written_in_its_kind(image, rng, tmp_path, suffix):
    model = jwst(datamodels.ImageModel(data=image.astype("f4")), rng)
    result = CLEAN(model)
    path = sm.write(result, tmp_path / f"clean{suffix}")
    with datamodels.open(path) as read:
        assert isinstance(read, datamodels.ImageModel)
        np.testing.assert_array_equal(read.data, result.cleaned.astype("f4"))
        assert read.meta.filename == path.name
    with pytest.raises(FileExistsError):
        sm.write(result, path)
    assert sm.write(result, path, overwrite=True) == path


def test_mask_is_kept_with_a_datamodel_and_can_be_used_again(image, rng, tmp_path):
    ramp = jwst(datamodels.RampModel(data=np.cumsum([[image] * 3], axis=1).astype("f4")), rng)
    result = CLEAN(ramp)
    path = sm.write(result, tmp_path / "ramp.fits")
    np.testing.assert_array_equal(read_background_mask(path), result.background_mask)
    with fits.open(path) as hdus:
        assert hdus["FLICKER_VAR"].data.shape == SHAPE
    again = sm.FlickerNoiseSubtraction(sm.LineMedian(), mask=sm.GivenMask.read(path))(ramp)
    np.testing.assert_array_equal(again.background_mask, result.background_mask)
    cleaned_twice = CLEAN(path)
    assert cleaned_twice.ramp.kind == "ramp"


def test_array_is_written_with_all_that_was_found(image, tmp_path):
    data = CCDData(image, unit="adu", uncertainty=StdDevUncertainty(np.ones(SHAPE)))
    result = CLEAN(data)
    with fits.open(sm.write(result, tmp_path / "clean.fits")) as hdus:
        np.testing.assert_array_equal(hdus["SCI"].data, result.cleaned)
        np.testing.assert_allclose(hdus["SCI"].data + hdus["FLICKER"].data, image, atol=1e-12)
        np.testing.assert_array_equal(hdus["BACKGROUND_MASK"].data != 0, result.background_mask)
        assert u.Unit(hdus["SCI"].header["BUNIT"]) == u.adu
        expected = np.sqrt(result.cleaned_variance(np.ones(SHAPE)))
        np.testing.assert_allclose(hdus["ERR"].data, expected, rtol=1e-6)


def test_array_is_not_written_to_asdf(image, tmp_path):
    with pytest.raises(ValueError, match="target: arrays are written to FITS"):
        sm.write(CLEAN(image), tmp_path / "clean.asdf")
    assert not list(tmp_path.iterdir())


class TestReadout:
    """Files of arrays say how they were read, like the arrays themselves."""

    order = sm.Readout(fast_axis=-2, n_outputs=2, line_overhead=12, dwell=2e-5, fast_direction=-1,
                       slow_direction=-1, interleaved=True, alternating=False)  # fmt: skip

    def same(self, found, expected):
        assert found.readout == expected.readout == self.order
        assert found.unit == expected.unit
        np.testing.assert_array_equal(found.data, expected.data)
        for key in ("mask", "frame_mask", "saturated", "jumped", "lit"):
            np.testing.assert_array_equal(getattr(found, key), getattr(expected, key))

    @pytest.mark.parametrize("stripes", ["fast", "slow"], ids="along_{}".format)
    def test_image(self, image, tmp_path, stripes):
        order = self.order.replace(stripes=stripes, dwell=np.float64(2e-5), n_outputs=np.int64(2))
        result = CLEAN(sm.Ramp(image, order, dispersion_axis=-2))
        again = CLEAN(sm.write(result, tmp_path / "image.fits"))
        assert again.ramp.readout == order
        assert again.ramp.dispersion_axis == -2
        expected = CLEAN(sm.Ramp(result.cleaned, order, dispersion_axis=-2))
        np.testing.assert_array_equal(again.cleaned, expected.cleaned)
        exposure = sm.read(tmp_path / "image.fits")
        np.testing.assert_array_equal(CLEAN(exposure).cleaned, expected.cleaned)
        sm.write(again, tmp_path / "twice.fits")
        assert CLEAN(tmp_path / "twice.fits").ramp.readout == order

    def test_ramp_with_all_that_is_known(self, rng, tmp_path):
        shape = (2, 4, *SHAPE)
        marks = {key: rng.random(shape) > 0.99 for key in ("frame_mask", "saturated", "jumped")}
        marks |= {key: rng.random(SHAPE) > 0.99 for key in ("mask", "lit")}
        ramp = sm.Ramp(rng.normal(size=shape), self.order, unit=u.adu, **marks)
        result = CLEAN(ramp)
        path = sm.write(result, tmp_path / "ramp.fits")
        expected = ramp.replace(data=result.cleaned)
        self.same(CLEAN(path).ramp, expected)
        self.same(sm.read(path), expected)
        first = next(CLEAN.integrations(ramp))
        part = sm.read(sm.write(first, tmp_path / "first.fits"))
        assert part.data.shape == (1, *shape[1:])
        np.testing.assert_array_equal(part.jumped, marks["jumped"][:1])

    def test_integrations_with_errors(self, rng, tmp_path):
        bad = rng.random((3, *SHAPE)) > 0.99
        variance = rng.uniform(1, 2, bad.shape)
        ramp = sm.Ramp(rng.normal(size=bad.shape), self.order, frame_mask=bad, variance=variance)
        result = CLEAN(ramp)
        found = sm.read(sm.write(result, tmp_path / "cube.fits"))
        self.same(found, ramp.replace(data=result.cleaned))
        np.testing.assert_allclose(found.variance, result.cleaned_variance(variance))
        part = next(CLEAN.integrations(ramp))
        found = CLEAN(sm.write(part, tmp_path / "part.fits")).ramp
        np.testing.assert_array_equal(found.mask, bad[0])

    def test_nddata_with_errors_of_another_unit(self, image, tmp_path):
        mask = image > 2
        error = StdDevUncertainty(np.full(SHAPE, 1500.0), unit=u.mJy)
        result = CLEAN(CCDData(image, unit=u.Jy, uncertainty=error, mask=mask))
        path = sm.write(result, tmp_path / "nddata.fits")
        expected = result.to_source()
        error = expected.uncertainty.array / 1000
        for found in (sm.read(path).single, sm.read(expected).single):
            np.testing.assert_array_equal(found.mask, mask)
            np.testing.assert_allclose(np.sqrt(found.variance)[~mask], error[~mask])
        np.testing.assert_array_equal(CLEAN(path).cleaned, CLEAN(expected).cleaned)


def test_mask_made_by_others_is_read(tmp_path):
    mask = np.eye(4)
    fits.PrimaryHDU(mask).writeto(tmp_path / "mask.fits")
    np.testing.assert_array_equal(sm.GivenMask.read(tmp_path / "mask.fits").sources, mask == 0)
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(ValueError, match="path: expected a file with an image"):
        read_background_mask(tmp_path / "empty.fits")
    with pytest.raises(FileNotFoundError, match="path: there is no file"):
        read_background_mask(tmp_path / "none.fits")
