"""Files with several images of a detector: every read is cleaned, every plane is written again."""

import numpy as np
import pytest
from astropy.io import fits

import specmodels as sm
from specmodels.io.exposure_frames import FLICKER
from specmodels.io.provenance import steps_done

SHAPE = (48, 96)


@pytest.fixture
def reads():
    """Four reads with noise, a pixel with a flag in one of them, and the noise."""
    ramp, truth = sm.datasets.make_flicker(seed=31, shape=SHAPE, n_integrations=1, n_groups=4,
                                           n_sources=0, sky=0.5)  # fmt: skip
    flags = np.zeros((4, *SHAPE), "i2")
    flags[2, 5, 7] = 256
    return np.array(ramp.data)[0], flags, np.reshape(truth.noise, (4, *SHAPE))


@pytest.fixture
def path(tmp_path, reads):
    """As WFC3 writes them: the last read first, sets of five extensions, one of them empty."""
    data, flags, _ = reads
    hdus = fits.HDUList([fits.PrimaryHDU()])
    hdus[0].header.update(TELESCOP="HST", INSTRUME="WFC3", DETECTOR="IR")
    for version, k in enumerate(reversed(range(4)), 1):
        planes = {"SCI": data[k], "ERR": np.full(SHAPE, 2.0, "f4"), "DQ": flags[k],
                  "SAMP": np.full(SHAPE, k, "i2"), "TIME": None}  # fmt: skip
        for name, plane in planes.items():
            hdu = fits.ImageHDU(plane, name=name, ver=version)
            hdu.header.update(BUNIT="COUNTS", SAMPNUM=k)
            hdus.append(hdu)
    hdus.writeto(tmp_path / "x_ima.fits")
    return tmp_path / "x_ima.fits"


def test_all_planes_are_written_again_around_the_cleaned_images(path, reads, tmp_path):
    data, flags, _ = reads
    result = sm.FlickerNoiseSubtraction()(path)
    out = sm.write(result, tmp_path / "cleaned.fits")
    with fits.open(path) as before, fits.open(out) as after:
        names = [(hdu.name, hdu.ver) for hdu in before]
        assert [(hdu.name, hdu.ver) for hdu in after][: len(names)] == names
        assert "BACKGROUND_MASK" in after
        for version, k in enumerate(reversed(range(4)), 1):
            np.testing.assert_array_equal(after["SCI", version].data, result.cleaned[k])
            assert np.any(after["SCI", version].data != data[k])
            assert after["SCI", version].header["SAMPNUM"] == k
            error = after["ERR", version].data
            np.testing.assert_allclose(error, np.sqrt(result.cleaned_variance(
                np.full(data.shape, 4.0)))[k], rtol=1e-6)  # fmt: skip
            np.testing.assert_array_equal(after["DQ", version].data, flags[k])
            assert np.all(after["SAMP", version].data == k)


def test_file_says_that_it_was_cleaned_and_holds_once_what_was_taken(path, reads, tmp_path):
    result = sm.FlickerNoiseSubtraction()(path)
    assert steps_done(result.ramp) == set()
    out = sm.write(result, tmp_path / "cleaned.fits")
    again = sm.FlickerNoiseSubtraction()(out)
    assert again.cleaned.shape == reads[0].shape
    assert len(again.ramp.notes) == 1
    assert steps_done(again.ramp) == {FLICKER}
    assert list(sm.Chain(sm.FlickerNoiseSubtraction())(again.ramp).left_out) == ["cleaned"]
    twice = sm.write(again, tmp_path / "twice.fits")
    with fits.open(out) as once, fits.open(twice) as hdus:
        assert [(hdu.name, hdu.ver) for hdu in hdus] == [(hdu.name, hdu.ver) for hdu in once]
        np.testing.assert_array_equal(hdus["FLICKER"].data, again.noise)
        assert all("NOTE2" in hdus["SCI", version].header for version in (1, 2, 3, 4))


def test_file_of_which_one_image_was_cleaned_does_not_say_that_it_was(path, tmp_path):
    one = list(sm.FlickerNoiseSubtraction().integrations(path))[2]
    out = sm.write(one, tmp_path / "cleaned.fits")
    with fits.open(out) as hdus:
        assert ["NOTE1" in hdus["SCI", version].header for version in (1, 2, 3, 4)] == [
            False, True, False, False]  # fmt: skip
    assert sm.FlickerNoiseSubtraction()(out).ramp.notes == ()


def test_pixels_with_flags_are_bad_in_their_read(path):
    ramp = sm.FlickerNoiseSubtraction()(path).ramp
    assert np.argwhere(ramp.frame_mask).tolist() == [[2, 5, 7]]


def test_images_that_do_not_belong_together_are_refused(path, tmp_path):
    for name, value, word in (("SCI", np.ones((4, 4), "f4"), "one shape"),
                              ("DQ", np.ones((4, 4), "i2"), "DQ: expected")):  # fmt: skip
        with fits.open(path) as hdus:
            hdus[name, 2].data = value
            hdus.writeto(tmp_path / "spoilt.fits", overwrite=True)
        with pytest.raises(ValueError, match=word):
            sm.FlickerNoiseSubtraction()(tmp_path / "spoilt.fits")
    with fits.open(path) as hdus:
        hdus["SCI", 2].header["BUNIT"] = "ELECTRONS"
        hdus.writeto(tmp_path / "spoilt.fits", overwrite=True)
    with pytest.raises(ValueError, match="BUNIT: expected one unit"):
        sm.FlickerNoiseSubtraction()(tmp_path / "spoilt.fits")
