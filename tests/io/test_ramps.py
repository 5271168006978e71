"""Reading ramps and rates of JWST datamodels, and writing cleaned ones."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.io.ramps import read_ramp
from specmodels.numerics.readout import Readout

SHAPE = (32, 256)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def with_meta(model, fast=2, slow=1, instrument="NIRSPEC", exposure_type="NRS_BRIGHTOBJ"):
    model.meta.instrument.name = instrument
    model.meta.exposure.type = exposure_type
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = fast, slow
    return model


@pytest.fixture
def rate(rng):
    stripes = rng.normal(size=SHAPE[1])
    model = datamodels.ImageModel(data=(rng.normal(size=SHAPE) + stripes).astype("f4"))
    model.err = np.ones(SHAPE, "f4")
    model.var_rnoise = np.ones(SHAPE, "f4")
    model.dq = np.zeros(SHAPE, "u4")
    model.dq[3, 5] = 1
    model.meta.bunit_data = "DN/s"
    return with_meta(model)


@pytest.fixture
def ramp(rng):
    data = np.cumsum(rng.normal(size=(2, 4, *SHAPE)), axis=1).astype("f4")
    model = datamodels.RampModel(data=data)
    model.groupdq = np.zeros(data.shape, "u1")
    model.groupdq[0, 2, 4, 6] = 4
    model.groupdq[1, 3, 7, 8] = 2
    model.pixeldq = np.zeros(SHAPE, "u4")
    model.pixeldq[9, 9] = 1
    return with_meta(model, fast=-2, slow=-1)


def test_rate_is_read_with_its_readout(rate):
    found = read_ramp(rate)
    assert found.kind == "image"
    assert found.readout == Readout(fast_axis=-2, line_overhead=12)
    assert found.bad[3, 5]
    assert found.bad.sum() == 1
    assert found.unit == "adu / s" or str(found.unit) in ("DN / s", "ct / s")
    assert found.dispersion_axis == -1


def test_ramp_is_read_with_its_flags(ramp):
    found = read_ramp(ramp)
    assert found.kind == "ramp"
    assert (found.readout.fast_direction, found.readout.slow_direction) == (-1, -1)
    assert found.jumped[0, 2, 4, 6]
    assert found.saturated[1, 3, 7, 8]
    assert found.bad[9, 9]
    assert found.differences_bad(0).sum() == 1


def test_miri_has_stripes_across_its_interleaved_lines(rate):
    with_meta(rate, fast=1, slow=2, instrument="MIRI", exposure_type="MIR_IMAGE")
    found = read_ramp(rate)
    assert found.readout.stripes == "slow"
    assert found.readout.interleaved
    assert found.dispersion_axis is None


def test_fixed_slits_of_a_full_frame_are_left_out():
    model = datamodels.ImageModel((2048, 2048))
    with_meta(model, exposure_type="NRS_IFU")
    rows = np.flatnonzero(read_ramp(model).lit.all(axis=1))
    assert (rows[0], rows[-1]) == (922, 1115)


def test_cleaned_rate_has_the_errors_of_cleaned_pixels(rate):
    before = rate.data.copy()
    result = sm.FlickerNoiseSubtraction(sm.LineOffset())(rate)
    out = result.to_source()
    assert isinstance(out, datamodels.ImageModel)
    np.testing.assert_array_equal(rate.data, before)
    assert out.data.std() < 0.8 * before.std()
    expected = result.cleaned_variance(np.ones(rate.data.shape))
    np.testing.assert_allclose(out.var_rnoise, expected, rtol=1e-5)
    np.testing.assert_allclose(out.err, np.sqrt(expected), rtol=1e-5)


def test_cleaned_ramp_is_a_ramp_again(ramp, tmp_path):
    ramp.save(tmp_path / "ramp.fits")
    out = sm.FlickerNoiseSubtraction(sm.LineMedian())(tmp_path / "ramp.fits").to_source()
    assert isinstance(out, datamodels.RampModel)
    assert out.data.shape == ramp.data.shape
    np.testing.assert_array_equal(out.groupdq, ramp.groupdq)
    assert out.meta.instrument.name == "NIRSPEC"


def test_flags_of_another_shape_are_refused(ramp):
    ramp.instance["pixeldq"] = np.zeros((3, 3), "u4")
    with pytest.raises(ValueError, match="pixeldq: expected flags"):
        read_ramp(ramp)


def test_given_readout_mask_and_dispersion_win(rng):
    order = Readout(fast_axis=-2)
    mask = rng.random(SHAPE) > 0.9
    found = read_ramp(rng.normal(size=SHAPE), readout=order, mask=mask, dispersion_axis=-2)
    assert found.readout == order
    assert found.dispersion_axis == -2
    np.testing.assert_array_equal(found.bad, mask)
    with pytest.raises(ValueError, match="mask: expected shape"):
        read_ramp(np.ones(SHAPE), mask=mask[:3])


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="obj: there is no file"):
        read_ramp(tmp_path / "none.fits")


def test_ramps_and_what_was_read_before_can_be_cleaned(ramp, rate, tmp_path):
    ramp.save(tmp_path / "ramp.fits")
    found = sm.read(tmp_path / "ramp.fits")
    assert isinstance(found, sm.Ramp)
    assert found.source == tmp_path / "ramp.fits"
    assert sm.read(ramp).data.shape == ramp.data.shape
    clean = sm.FlickerNoiseSubtraction(sm.LineMedian())
    assert isinstance(clean(found).to_source(), datamodels.RampModel)
    rate.save(tmp_path / "rate.fits")
    with pytest.warns(UserWarning, match="no wavelength array"):
        exposure = sm.read(tmp_path / "rate.fits")
    np.testing.assert_array_equal(clean(exposure).cleaned, clean(rate).cleaned)
    alone = clean(sm.Exposure([exposure.single.replace(readout=sm.Readout(fast_axis=-1))]))
    np.testing.assert_array_equal(alone.data, exposure.single.data)
    two = sm.Exposure([exposure.single, exposure.single.replace(name="b")])
    with pytest.raises(TypeError, match="obj: expected what an Exposure was read from"):
        clean(two)


def test_parts_of_miri_images_without_sky_are_left_out(rate):
    rate.dq[5, 5] = 512
    assert not read_ramp(rate).bad[5, 5]
    with_meta(rate, instrument="MIRI", exposure_type="MIR_IMAGE")
    assert read_ramp(rate).bad[5, 5]


@pytest.mark.parametrize(("name", "value"), [("DQ", 1), ("PIXELDQ", 1), ("PIXELDQ", 1 << 31)])
def test_every_flag_of_a_plain_file_of_a_ramp_counts(tmp_path, name, value):
    rng, shape = np.random.default_rng(6), (2, 3, 16, 24)
    flags = np.zeros(shape[-2:], "u4")
    flags[3, 5] = value
    fits.HDUList([
        fits.PrimaryHDU(),
        fits.ImageHDU(rng.normal(size=shape).astype("f4"), name="SCI"),
        fits.ImageHDU(flags, name=name),
    ]).writeto(tmp_path / "ramp.fits")  # fmt: skip
    ramp = read_ramp(tmp_path / "ramp.fits")
    assert np.argwhere(ramp.bad).tolist() == [[3, 5]]


def test_flags_of_the_groups_of_a_plain_file_count(tmp_path):
    rng, shape = np.random.default_rng(7), (2, 3, 16, 24)
    flags = np.zeros(shape, "u1")
    flags[1, 2, 3, 5] = 1
    fits.HDUList([
        fits.PrimaryHDU(),
        fits.ImageHDU(rng.normal(size=shape).astype("f4"), name="SCI"),
        fits.ImageHDU(flags, name="DQ"),
    ]).writeto(tmp_path / "ramp.fits")  # fmt: skip
    ramp = read_ramp(tmp_path / "ramp.fits")
    assert np.argwhere(ramp.frame_mask).tolist() == [[1, 2, 3, 5]]


def test_flags_that_a_plain_file_defines_are_taken_at_their_word(tmp_path):
    """A hot pixel of a reference file is no bad one."""
    rng, shape = np.random.default_rng(8), (3, 16, 24)
    flags = np.zeros(shape[-2:], "u1")
    flags[3, 5], flags[4:8] = 1, 4
    kinds = [("BIT", "u1"), ("VALUE", "u1"), ("NAME", "U20"), ("DESCRIPTION", "U4")]
    words = np.array([(0, 1, "DO_NOT_USE", ""), (2, 4, "HOT", "")], dtype=kinds)
    fits.HDUList([
        fits.PrimaryHDU(),
        fits.ImageHDU(rng.normal(size=shape).astype("f4"), name="SCI"),
        fits.ImageHDU(flags, name="DQ"),
        fits.BinTableHDU(words, name="DQ_DEF"),
    ]).writeto(tmp_path / "dark.fits")  # fmt: skip
    assert np.argwhere(read_ramp(tmp_path / "dark.fits").bad).tolist() == [[3, 5]]
