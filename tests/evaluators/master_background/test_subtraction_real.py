"""Sky of real exposures: two nods of a NIRSpec slitlet, and slits of DEEP2 with sky lines."""

import numpy as np
import pytest
from astropy.io import fits
from scipy.interpolate import CubicSpline

import specmodels as sm
from examples.deimos import Deimos
from specmodels.evaluators.master_background.slit_selection import slit_positions

# Positions of the shutters without the target, in shutters.
FREE = {"nod1": [(-1.4, -0.6), (0.6, 1.4)], "nod2": [(-2.4, -0.6)]}


def width(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


@pytest.fixture(scope="module")
def nods(shared_data):
    pytest.importorskip("stdatamodels.jwst.datamodels")
    images = []
    for number in (1, 2):
        (path,) = (shared_data / "mos").glob(f"*_0000{number}_nrs2_phot*.fits")
        exposure = sm.read(path)
        image = exposure.single
        position = slit_positions(image, exposure)
        images.append(image.replace(name=f"nod{number}", spatial=position))
    return sm.Exposure(images)


def free_shutters(image):
    return np.any([(image.spatial > low) & (image.spatial < high)
                   for low, high in FREE[image.name]], axis=0)  # fmt: skip


def sky_of(nods, name):
    """The data are already corrected for bars and path loss: throughputs are one."""
    masks = {n: ~free_shutters(image) for n, image in nods.items()}
    return sm.MasterBackgroundSubtraction(
        slits=[name], pixels=sm.SkyPixelSelection(source_mask=masks), throughput={},
        fit_levels=False,
    )(nods)  # fmt: skip


class TestNods:
    @pytest.mark.parametrize(("one", "other"), [("nod1", "nod2"), ("nod2", "nod1")])
    def test_sky_of_free_shutters_of_one_predicts_the_other(self, nods, one, other):
        result, image = sky_of(nods, one), nods[other]
        use = free_shutters(image) & ~image.mask & np.isfinite(result.background(other))
        level = np.median((image.data / result.background(other))[use])
        # The two nods see the sky through different shutters, whose corrections are not better.
        assert abs(level - 1) < 0.06
        left = (image.data - level * result.background(other)) * np.sqrt(image.weights)
        own = result.normalised_residual(one)[result.sky_pixels(one)]
        assert width(own) < 1.3
        assert width(left[use]) < 1.46  # in parts of the noise, whichever rows `own` is made of

    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize(("one", "other"), [("nod1", "nod2"), ("nod2", "nod1")])
    def test_other_nod_is_predicted_better_than_by_nod_subtraction(self, nods, one, other, masked):
        sources = {"nod1": slice(9, 17), "nod2": slice(14, 22)}
        hidden = {name: image.mask.copy() for name, image in nods.items()}
        for name, rows in sources.items():
            hidden[name][rows] = True
        exposure = nods.map(lambda i: i.replace(mask=hidden[i.name])) if masked else nods
        result = sm.MasterBackgroundSubtraction(
            slits=[one], pixels=sm.SkyPixelSelection(source_mask={one: hidden[one]}), throughput={}
        )(exposure)
        assert result.fit.success
        sky = result.skies[other]
        assert abs(sky.level - 1) < max(0.03, 2 * sky.error)
        image, before = nods[other], nods[one]
        use = ~hidden[one] & ~hidden[other] & np.isfinite(sky.background)
        use[:9, 62:102] = False  # a neighbour's trace
        left = (image.data - sky.background) / np.sqrt(image.variance + sky.variance)
        nodded = (image.data - before.data) / np.sqrt(image.variance + before.variance)
        assert left[use].std() < nodded[use].std()
        # Dark ends, whose sky has its own size as its error, would hide what the others are.
        low = {"nod1": -1.45, "nod2": -2.6}[other]
        lit = use & (image.spatial > low) & (image.spatial < low + 2.95)
        assert lit.sum() > 500
        assert left[lit].std() < nodded[lit].std()

    @pytest.mark.parametrize("rows", [slice(3, 22), slice(3, 6), slice(20, 24)])
    @pytest.mark.parametrize("one", ["nod1", "nod2"])
    def test_edges_and_dark_rows_are_predicted_better_than_by_nod_subtraction(
        self, nods, one, rows
    ):
        other = {"nod1": "nod2", "nod2": "nod1"}[one]
        sources = {"nod1": slice(9, 17), "nod2": slice(14, 22)}
        masked = {name: np.array(image.mask) for name, image in nods.items()}
        for name, own in sources.items():
            masked[name][own] = True
        hidden = (np.random.default_rng(31).random(nods[one].shape) < 0.2) & ~masked[one]
        use = np.zeros_like(hidden)
        use[rows] = (hidden & ~masked[other])[rows]
        masked[one] = masked[one] | hidden
        result = sm.MasterBackgroundSubtraction(slits=["nod1", "nod2"])(
            nods.map(lambda image: image.replace(mask=masked[image.name]))
        )
        use &= np.isfinite(result.background(one))
        error = np.sqrt(nods[one].variance)
        own = ((nods[one].data - result.background(one)) / error)[use]
        nodded = ((nods[one].data - nods[other].data) / error)[use]
        if use.any():
            assert width(own) < 0.9 * width(nodded)

    def test_trace_of_a_neighbour_is_rejected(self, nods):
        masks = {"nod2": (nods["nod2"].spatial > -0.6) | (nods["nod2"].spatial < -2.9)}
        result = sm.MasterBackgroundSubtraction(
            slits=["nod2"], pixels=sm.SkyPixelSelection(source_mask=masks), throughput={}
        )(nods)
        residual = result.normalised_residual("nod2")
        use = result.sky_pixels("nod2")
        trace = residual[4:8, 66:98] > 4.5
        assert trace.sum() >= 10
        assert not use[4:8, 66:98][trace].any()

    def test_emission_lines_of_the_target_stay(self, nods):
        result = sky_of(nods, "nod1")
        line = result.subtracted["nod2"].data[15:21, 64:72]
        assert np.nanmax(line) > 5 * np.sqrt(np.nanmedian(nods["nod2"].variance[15:21, 64:72]))


SURVEY = {"1210.072": "12020387", "1203.063": "12008179"}


@pytest.fixture(params=SURVEY)
def deep2(request, shared_data):
    """A red slit with the sky that the survey subtracted put back: lines of the night sky."""
    folder = shared_data / "extraction"
    exposure = sm.read(folder / f"slit.{request.param}R.fits.gz", instrument=Deimos)
    image = exposure.single
    with fits.open(folder / f"spec1d.{request.param}.{SURVEY[request.param]}.fits") as hdus:
        table = hdus["Horne-R"].data
        sky = CubicSpline(table["LAMBDA"][0], table["SKYSPEC"][0])(image.wavelength)
        target = float(table["OBJPOS"][0])
    rows = image.y
    away = (np.abs(rows - target) > 10) & (rows > 3) & (rows < rows[-1] - 3)
    restored = image.replace(data=image.data + sky)
    masks = {image.name: np.broadcast_to(~away[:, None], image.shape)}
    return image, sm.Exposure([restored]), sky, masks


def test_sky_lines_of_deep2_slits_are_subtracted_as_well_as_by_the_survey(deep2):
    image, restored, sky, masks = deep2
    result = sm.MasterBackgroundSubtraction(
        slits=lambda image: True, pixels=sm.SkyPixelSelection(source_mask=masks)
    )(restored)
    assert result.fit.success
    use = result.sky_pixels(image.name)
    background = result.background(image.name)
    strong = use & (sky > np.nanpercentile(sky[use], 95))
    assert strong.sum() > 500
    assert width((background / sky)[strong]) < 0.03
    residual = result.normalised_residual(image.name)
    before = image.data * np.sqrt(image.weights)
    assert width(residual[use]) < 1.02 * width(before[use])
    assert width(residual[strong]) < 1.02 * width(before[strong])


def test_rows_of_the_target_are_left_out_of_deep2_slits_without_a_mask(deep2):
    image, restored, sky, masks = deep2
    result = sm.MasterBackgroundSubtraction(slits=lambda image: True)(restored)
    assert result.fit.success
    assert "were left out" in result.fit.message
    background = result.background(image.name)
    use = ~masks[image.name] & ~image.mask & np.isfinite(background)
    assert abs(np.median(background[use] / sky[use]) - 1) < 0.02
    target = masks[image.name] & (image.y[:, None] > 8) & (image.y[:, None] < image.y[-1] - 8)
    assert not result.sky_pixels(image.name)[target].all()
