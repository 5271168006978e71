"""Input as it comes: frames without pixels, integers, units, masked arrays, files, settings."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty, VarianceUncertainty
from astropy.utils.exceptions import AstropyUserWarning
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.models.noise.plan import NoisePlan
from specmodels.ramp import Ramp


@pytest.fixture(scope="module")
def ramp():
    return sm.datasets.make_flicker(n_groups=5, n_integrations=2, seed=1)


@pytest.fixture(scope="module")
def image():
    ramp, truth = sm.datasets.make_flicker(seed=2)
    return ramp, np.nan_to_num(np.array(ramp.data, dtype=float)), np.asarray(truth.noise)


@pytest.fixture(scope="module")
def cube(image):
    """Frames with the light of one scene, and their noise."""
    _, data, first = image
    truths = [sm.datasets.make_flicker(seed=10 + k)[1] for k in range(6)]
    noise = np.array([np.asarray(t.noise) for t in truths])
    rng = np.random.default_rng(3)
    return data - first + noise + rng.normal(0, 0.5, noise.shape), noise


clean = sm.FlickerNoiseSubtraction()


class NoiseOfDraftOnly:
    """Finds noise in the draft rate, and none in the frames."""

    class Plan(NoisePlan):
        def __call__(self, frame, *bad, near=None):
            # Frames come with what is bad in them, the draft rate without.
            return np.zeros_like(frame) if bad else frame / 2

    def plan(self, readout, use, **known):
        return self.Plan(readout, use)


def left_in_rest(frames, noise, readout):
    result = clean(Ramp(frames, readout))
    return np.std((noise - result.noise)[1:])


class TestFramesWithoutPixels:
    @pytest.mark.parametrize("background", [sm.SmoothBackground(), sm.MeshBackground(32)])
    def test_first_and_last_group_are_left_as_they_are_and_counted(self, ramp, background):
        frames, truth = ramp
        bad = np.zeros(frames.data.shape, dtype=bool)
        bad[:, 0] = bad[:, -1] = True
        result = sm.FlickerNoiseSubtraction(background=background)(frames.replace(frame_mask=bad))
        assert_allclose(np.diff(result.noise, axis=1)[:, [0, -1]], 0, atol=1e-3)
        assert result.report()["frames_without_pixels"][0] == 4
        assert np.isnan(result.levels[:, [0, -1]]).all()
        steps = np.diff(np.asarray(truth.noise), axis=1)[:, 1:-1]
        error = steps - np.diff(result.noise, axis=1)[:, 1:-1]
        assert error.std() < 0.6 * steps.std()

    def test_missing_first_group_does_not_hide_the_others(self, ramp):
        frames, _ = ramp
        data = np.array(frames.data)
        data[:, 0] = np.nan
        result = clean(frames.replace(data=data))
        np.testing.assert_array_equal(np.isnan(result.levels[0]), [True, False, False, False])

    def test_missing_first_integration(self, cube, image):
        frames, noise = cube
        frames = frames.copy()
        frames[0] = np.nan
        assert left_in_rest(frames, noise, image[0].readout) < 0.65 * noise.std()


@pytest.mark.parametrize("factor", [9, -1])
def test_an_odd_first_frame_does_not_spoil_the_others(cube, image, factor):
    frames, noise = cube
    odd = frames.copy()
    odd[0] += factor * noise[0]
    usual, spoilt = (left_in_rest(f, noise, image[0].readout) for f in (frames, odd))
    assert spoilt < 1.05 * usual


def test_noise_of_a_median_image_is_in_the_variance(cube, image):
    frames, noise = cube
    median = sm.FlickerNoiseSubtraction(background=sm.MedianOverIntegrations())
    result = median(Ramp(frames, image[0].readout))
    error = noise - result.noise
    error -= error.mean(axis=(1, 2), keepdims=True)
    ratio = np.mean(error[:, result.background_mask] ** 2) / result.variance.mean()
    assert 0.8 < ratio < 1.2


def test_unsigned_integers_are_subtracted_as_numbers(ramp):
    frames, _ = ramp
    counts = np.round(np.nan_to_num(frames.data) * 20 + 3000).clip(0, 65535)
    one, two = (frames.replace(data=counts.astype(kind)) for kind in ("f4", "u2"))
    np.testing.assert_array_equal(one.draft_rate(0), two.draft_rate(0))


class TestNDData:
    def test_uncertainty_in_another_unit(self, image):
        data, shape = image[1] * u.Jy, image[1].shape
        expected = clean(image[1]).cleaned_variance(2.25)[100, 100]
        own = StdDevUncertainty(np.full(shape, 1500.0), unit=u.mJy)
        made = clean(NDData(data, uncertainty=own)).to_source().uncertainty
        assert_allclose(made.array[100, 100], 1e3 * np.sqrt(expected), rtol=0.05)
        own = VarianceUncertainty(np.full(shape, 2.25e6), unit=u.mJy**2)
        made = clean(NDData(data, uncertainty=own)).to_source().uncertainty
        variance = (made.array[100, 100] * made.unit).to_value(u.Jy**2)
        assert_allclose(variance, expected, rtol=0.1)

    def test_integers_become_floats(self, image):
        result = clean(NDData(np.round(image[1] * 10).astype("i4")))
        np.testing.assert_array_equal(result.to_source().data, result.cleaned)

    def test_single_integrations(self, image):
        frames = np.stack([image[1], image[1] + 100])
        parts = list(clean.integrations(NDData(frames)))
        for part in parts:
            np.testing.assert_array_equal(part.to_source().data, part.cleaned)


def test_single_integrations_of_a_datamodel_are_written(tmp_path):
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels", reason="is the input")
    rng = np.random.default_rng(2)
    data = np.cumsum(rng.normal(5, 1, (2, 4, 32, 64)), axis=1).astype("f4")
    model = datamodels.RampModel(data=data, groupdq=np.zeros(data.shape, "u1"))
    parts = list(sm.FlickerNoiseSubtraction(sm.LineMedian()).integrations(model))
    sm.write(parts[1], tmp_path / "part.fits")
    with datamodels.open(tmp_path / "part.fits") as made:
        assert made.data.shape == made.groupdq.shape == (1, 4, 32, 64)
        np.testing.assert_array_equal(made.data[0], parts[1].cleaned)


def test_pixels_without_a_template_are_left_out(image):
    template = np.ones(image[1].shape)
    template[0, :3] = np.nan
    result = sm.FlickerNoiseSubtraction(background=sm.GivenBackground(template))(image[0])
    assert result.scenes[0].mask.reasons["no background"] == 3
    assert np.isfinite(result.cleaned).sum() == np.isfinite(image[0].data).sum()


class TestMaskedArrays:
    def test_masked_pixels_do_not_count(self, image):
        mask = np.zeros((3, *image[1].shape), dtype=bool)
        mask[1, 50:60] = True
        data = np.where(mask, 1e4, np.stack([image[1]] * 3))
        marked = Ramp(np.ma.MaskedArray(data, mask), image[0].readout)
        given = Ramp(data, image[0].readout, frame_mask=mask)
        np.testing.assert_array_equal(clean(marked).cleaned, clean(given).cleaned)
        made = clean(np.ma.MaskedArray(data, mask)).to_source()
        np.testing.assert_array_equal(made.mask, mask)

    def test_unit_of_a_ramp_is_kept(self, image):
        made = clean(Ramp(image[1], image[0].readout, unit=u.Jy)).to_source()
        assert made.unit == u.Jy


@pytest.mark.parametrize(("factor", "level"), [(1e-20, 0), (1e18, 0), (1, 1e8)])
def test_numbers_beyond_single_precision_are_refused(image, factor, level):
    with pytest.raises(ValueError, match="data: "):
        clean(image[1] * factor + level)


@pytest.mark.parametrize("axis", [None, -1, -2])
@pytest.mark.parametrize("shape", [(32, 64), (100, 100), (300, 2)])
@pytest.mark.parametrize("value", [0.0, 1.0, 5.3])
def test_constant_image_is_left_as_it_is(value, shape, axis):
    frame = np.full(shape, value)
    with pytest.warns(AstropyUserWarning, match="no correlated noise"):
        result = clean(Ramp(frame, dispersion_axis=axis))
    np.testing.assert_array_equal(result.cleaned, value)


def test_pixels_without_a_positive_variance_are_left_out(image):
    variance = np.ones(image[1].shape)
    variance[:2, :5], variance[2, 0] = -1, 0
    result = clean(Ramp(image[1], image[0].readout, variance=variance))
    assert result.scenes[0].mask.reasons["no variance"] == 11


def test_pixels_with_a_negative_standard_deviation_are_left_out(image):
    spread = np.ones(image[1].shape)
    spread[:2, :5] = -1.5
    data = NDData(image[1], uncertainty=StdDevUncertainty(spread))
    result = sm.FlickerNoiseSubtraction(sm.LineMedian())(data)
    assert result.scenes[0].mask.reasons["no variance"] == 10
    error = result.to_source().uncertainty.array
    np.testing.assert_array_equal(np.isnan(error), spread < 0)
    np.testing.assert_array_equal(sm.read(data).single.mask, spread < 0)


def test_result_is_pickled_after_its_spectra_were_looked_at(image):
    result = clean(image[0])
    before, variance = result.spectra["before"], result.variance
    result.covariance(10)
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.cleaned, result.cleaned)
    np.testing.assert_array_equal(again.variance, variance)
    np.testing.assert_array_equal(again.spectra["before"].flux, before.flux)


class TestDraftRates:
    """Report, spectra and figure show what was done to the frames."""

    def same(self, before, after, rates):
        for found, expected in zip(rates, (before, after), strict=True):
            assert_allclose(found, expected, atol=2e-4)

    def test_frames_left_as_they_are_are_shown_so(self):
        frames = Ramp(np.random.default_rng(8).normal(size=(3, 64, 128)))
        result = sm.FlickerNoiseSubtraction(NoiseOfDraftOnly())(frames)
        np.testing.assert_array_equal(result.cleaned, frames.data)
        row = result.report()[0]
        assert row["spread_before"] == row["spread_after"] > 0
        assert_allclose(result.spectra["before"].flux, result.spectra["after"].flux)

    def test_of_integrations(self, cube, image):
        frames = Ramp(cube[0][:3], image[0].readout)
        result = sm.FlickerNoiseSubtraction(sm.LineMedian())(frames)
        mean = frames.data.mean(axis=0)
        self.same(mean, result.cleaned.mean(axis=0), result.draft_rates())
        use = result.background_mask
        scene = result.scenes[0]
        left = (result.cleaned.mean(axis=0) - scene.background - scene.wings)[use]
        assert_allclose(result.report()["spread_after"][0], left.std(), rtol=1e-3)
        part = list(sm.FlickerNoiseSubtraction(sm.LineMedian()).integrations(frames))[1]
        self.same(frames.data[1], part.cleaned, part.draft_rates())
        own = sm.FlickerNoiseSubtraction(sm.LineMedian(), per_integration=True)(frames)
        self.same(frames.data[2], own.cleaned[2], own.draft_rates(2))

    def test_of_ramps(self, ramp):
        frames = ramp[0].replace(jumped=np.random.default_rng(4).random(ramp[0].data.shape) > 0.98)
        evaluator = sm.FlickerNoiseSubtraction(sm.LineMedian())
        result, part = evaluator(frames), list(evaluator.integrations(frames))[1]
        assert len(part.report()) == 1
        cleaned = frames.replace(data=result.cleaned)
        self.same(frames.rate(1), cleaned.rate(1), part.draft_rates())
        after = np.nanmean([cleaned.rate(i) for i in range(2)], axis=0)
        assert_allclose(result.draft_rates()[1], after, atol=2e-4)

    def test_with_a_flat(self, image):
        flat = np.random.default_rng(4).uniform(0.5, 1.5, image[1].shape)
        result = sm.FlickerNoiseSubtraction(sm.LineMedian(), flat=flat)(image[1])
        self.same(image[1] / flat, result.cleaned / flat, result.draft_rates())


class TestMasks:
    def test_one_mask_for_each_integration(self, cube, image, tmp_path):
        frames = Ramp(cube[0][:3], image[0].readout)
        own = sm.FlickerNoiseSubtraction(sm.LineMedian(), per_integration=True)(frames)
        sm.write(own, tmp_path / "own.fits")
        again = sm.GivenMask.read(tmp_path / "own.fits")
        result = sm.FlickerNoiseSubtraction(sm.LineMedian(), mask=again, per_integration=True)(
            frames
        )
        np.testing.assert_array_equal(result.background_mask, own.background_mask)
        together = sm.FlickerNoiseSubtraction(sm.LineMedian(), mask=again)(frames)
        expected = own.background_mask.all(axis=0)
        np.testing.assert_array_equal(together.background_mask, expected)

    def test_margin_is_made_smaller_where_little_would_be_left(self, image):
        shape = image[1].shape
        y, x = np.mgrid[: shape[0], : shape[1]]
        lit = (y % 16 < 4) & (x % 16 < 4)
        mask = sm.DetectedMask(regions=lit)
        start = mask(image[1], image[0])
        widened = mask.widened(start, image[0])
        assert 0.8 * start.use.sum() <= widened.use.sum() < start.use.sum()

    def test_single_pixels_get_no_margin(self, image):
        lit = np.zeros(image[1].shape, dtype=bool)
        lit[20, 30] = lit[100:105, 200:205] = True
        mask = sm.evaluators.SceneMask(~lit)
        use = sm.DetectedMask().widened(mask, image[0]).use
        assert use[20, 31]
        assert not use[96:109, 196:209].any()
        assert use[95, 195]


class TestFiles:
    def test_mask_of_an_asdf_file(self, tmp_path):
        datamodels = pytest.importorskip("stdatamodels.jwst.datamodels", reason="is the input")
        data = np.random.default_rng(2).normal(5, 1, (32, 64)).astype("f4")
        data[10:14, 20:30] += 100
        result = sm.FlickerNoiseSubtraction(sm.LineMedian())(datamodels.ImageModel(data=data))
        sm.write(result, tmp_path / "clean.asdf")
        again = sm.GivenMask.read(tmp_path / "clean.asdf")
        np.testing.assert_array_equal(again.sources, ~result.background_mask)

    @pytest.mark.filterwarnings("ignore:File may have been truncated")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_image_in_a_plain_file(self, image, tmp_path):
        pytest.importorskip("stdatamodels", reason="opens the file")
        fits.PrimaryHDU(image[1]).writeto(tmp_path / "plain.fits")
        result = sm.FlickerNoiseSubtraction(sm.LineMedian())(tmp_path / "plain.fits")
        assert result.cleaned.shape == image[1].shape
        whole = (tmp_path / "plain.fits").read_bytes()
        (tmp_path / "cut.fits").write_bytes(whole[:100_000])
        (tmp_path / "none.fits").write_bytes(b"nothing")
        for name in ("cut.fits", "none.fits"):
            with pytest.raises(ValueError, match=f"obj: .*{name}"):
                clean(tmp_path / name)

    def test_all_reads_of_a_file_are_cleaned_in_the_order_of_time(self, tmp_path):
        pytest.importorskip("stdatamodels", reason="opens the file")
        rng = np.random.default_rng(4)
        noise = 3 * rng.normal(size=(4, 96, 1))
        reads = 100.0 * np.arange(4)[:, None, None] + noise + rng.normal(size=(4, 96, 64))
        hdus = [fits.PrimaryHDU()]
        for k, read in enumerate(reads):
            header = fits.Header({"SAMPNUM": k})
            hdus.insert(1, fits.ImageHDU(read, header, name="SCI", ver=4 - k))
            hdus.insert(2, fits.ImageHDU(np.ones_like(read), name="ERR", ver=4 - k))
        fits.HDUList(hdus).writeto(tmp_path / "ima.fits")
        result = clean(tmp_path / "ima.fits")
        np.testing.assert_array_equal(result.ramp.data, reads)
        assert_allclose(result.cleaned.mean(axis=(1, 2)), reads.mean(axis=(1, 2)), atol=0.02)
        assert np.std(np.median(result.cleaned, axis=2), axis=1).max() < 0.4

    @pytest.mark.parametrize("chips", [(1, 2), (1, 1)])
    def test_images_that_are_no_frames_of_one_detector_are_refused(self, chips, tmp_path):
        pytest.importorskip("stdatamodels", reason="opens the file")
        shapes = ((32, 64), (32, 64)) if chips == (1, 2) else ((32, 64), (32, 32))
        images = [fits.ImageHDU(np.ones(shape), fits.Header({"CCDCHIP": chip}), name="SCI")
                  for chip, shape in zip(chips, shapes, strict=True)]  # fmt: skip
        fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "two.fits")
        with pytest.raises(ValueError, match="obj: "):
            clean(tmp_path / "two.fits")

    def test_flags_of_all_frames_together(self, tmp_path):
        pytest.importorskip("stdatamodels", reason="opens the file")
        rng = np.random.default_rng(6)
        flags = np.zeros((32, 64), "u4")
        flags[:2, 5:9] = 1
        data = (rng.normal(size=(3, 32, 64)) + rng.normal(size=(3, 32, 1))).astype("f4")
        data[:, flags > 0] = 1e4
        hdus = [fits.PrimaryHDU(header=fits.Header({"FASTAXIS": -1, "SLOWAXIS": 2}))]
        hdus += [fits.ImageHDU(data, name="SCI"), fits.ImageHDU(flags, name="DQ")]
        fits.HDUList(hdus).writeto(tmp_path / "dark.fits")
        result = sm.FlickerNoiseSubtraction(sm.LineMedian())(tmp_path / "dark.fits")
        assert result.ramp.readout.fast_direction == -1
        np.testing.assert_array_equal(result.ramp.bad, flags > 0)
        assert np.median(result.cleaned, axis=2).std(axis=1).max() < 0.1

    def test_array_does_not_become_a_datamodel(self, image):
        datamodels = pytest.importorskip("stdatamodels.jwst.datamodels", reason="is the target")
        with pytest.raises(TypeError, match="target: expected a path"):
            sm.write(clean(image[1]), datamodels.ImageModel)


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: sm.FlickerNoiseSubtraction(sm.LineMedian), TypeError, "noise_model"),
        (lambda: sm.FlickerNoiseSubtraction(mask=sm.DetectedMask), TypeError, "mask"),
        (lambda: sm.FlickerNoiseSubtraction(mask="mask.fits"), TypeError, "mask"),
        (lambda: sm.FlickerNoiseSubtraction(flat=object()), TypeError, "flat"),
        (lambda: sm.MeshBackground((3, 3, 3)), ValueError, "box"),
        (lambda: sm.ClippedMask(center="median"), TypeError, "center"),
        (lambda: sm.ClippedMask(n_sigma=np.nan), ValueError, "n_sigma"),
        (lambda: sm.DetectedMask(sigma=-1), ValueError, "sigma"),
        (lambda: sm.DetectedMask(margin=-1), ValueError, "margin"),
        (lambda: sm.SmoothBackground(degree=2.5), ValueError, "degree"),
        (lambda: sm.SmoothBackground(variation=-5), ValueError, "variation"),
        (lambda: sm.Readout(dwell=10 * u.us), TypeError, "dwell"),
    ],
)
def test_settings_that_cannot_be_used_are_named(make, error, name):
    with pytest.raises(error, match=f"{name}: expected"):
        make()


def test_small_dark_frames_keep_their_pixels():
    kept = []
    for seed in range(40, 52):
        ramp, _ = sm.datasets.make_flicker(seed=seed, shape=(32, 64), n_sources=0, sky=0.0)
        (scene,) = sm.FlickerNoiseSubtraction()(ramp).scenes
        kept.append(np.mean(scene.use[~ramp.bad]))
    assert min(kept) > 0.85


def test_fillers_beyond_single_precision_leave_the_other_pixels_as_they_are():
    rng = np.random.default_rng(3)
    data = (rng.normal(size=(3, 64, 64)) + rng.normal(size=(3, 1, 64))).astype("f4")
    data[:, rng.random((64, 64)) < 0.3] = 1e37
    result = sm.FlickerNoiseSubtraction(sm.FourierNoise())(sm.Ramp(data))
    known = data < 1e30
    assert np.isfinite(result.cleaned).all()
    assert result.cleaned[known].std() < 0.9 * data[known].std()
