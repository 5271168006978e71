"""Random frames, masks, variances and settings: a result within its contract, or a named refusal.

The environment variable ``SPECMODELS_FUZZ`` says how many are tried (default: 40), see `generated`.
"""

import re
import warnings

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

import specmodels as sm

from .generated import seeds

COUNT = seeds(40)
# Have failed before: traces of light up to 1e37 times the noise, fillers of 1e37; took minutes:
# pauses that are far longer than lines, and few used pixels in sections of many lines.
KNOWN = (6009, 6085, 6104, 20052, 20155, 20795, 70890, 70960, 71250)
SIZES = (1, 2, 3, 8, 17, 32, 64, 64, 96, 128)
TYPES = ("f4", "f8", ">f4", "f2", "i2", "u2", "i4", "u1", "i8")
MODELS = (
    None, sm.LineMedian(), sm.LineOffset(by_output=False), sm.FourierNoise(),
    sm.FourierNoise(section=4), sm.NSCleanNoise(), sm.NSCleanSubarrayNoise(),
)  # fmt: skip
BACKGROUNDS = (
    None, None, None, None, sm.NoBackground(), sm.MedianBackground(), sm.MeshBackground(8),
    sm.MedianOverIntegrations(),
)  # fmt: skip
MASKS = (None, None, sm.ClippedMask(), sm.ClippedMask(fit_histogram=True), sm.DetectedMask(wings=3))
# "name: ..." says which argument cannot be used.
NAMED = re.compile(r"^[a-z_0-9]+(, [a-z_]+)*: ")


def chosen(rng, options):
    return options[rng.integers(len(options))]


def frames(rng):
    """Numbers of any kind and scale, with light, stripes, holes and extremes."""
    shape = (int(chosen(rng, SIZES)), int(chosen(rng, SIZES)))
    shape = chosen(rng, ((), (), (1,), (3,), (1, 4), (2, 3))) + shape
    data = rng.normal(size=shape) * rng.choice([0, 0.1, 1, 1]) + rng.choice([0, 5, 1000])
    data += rng.normal(size=(*shape[:-1], 1)) * rng.choice([0, 1, 10])
    data += rng.normal(size=(*shape[:-2], 1, shape[-1])) * rng.choice([0, 0, 1])
    if rng.random() < 0.3:
        y = np.arange(shape[-2])[:, None]
        data += rng.choice([-50, 50, 1e4]) * np.exp(-0.5 * ((y - shape[-2] / 3) / 2) ** 2)
    if len(shape) == 4:
        data = np.cumsum(data, axis=1)
    data *= chosen(rng, (1, 1, 1, 1e-6, 1e6, 1e-25, 1e30))
    kind = np.dtype(chosen(rng, TYPES))
    if kind.kind == "f":
        holes = rng.random(shape) < rng.choice([0, 0, 0.01, 0.5, 0.99, 1])
        data[holes] = chosen(rng, (np.nan, np.inf, -np.inf, 0, 1e37))
    else:
        data = np.clip(np.nan_to_num(data), np.iinfo(kind).min, np.iinfo(kind).max)
    with np.errstate(over="ignore", invalid="ignore"):
        return data.astype(kind)


def given(rng, shape):
    """Fields of a ramp, some of them of a wrong kind or shape."""
    fields, frame = {}, shape[-2:]
    for name in ("mask", "lit"):
        if rng.random() < 0.3:
            fields[name] = rng.random(frame) < rng.choice([0, 0.1, 0.9, 1])
    for name in ("frame_mask", "jumped", "saturated"):
        if rng.random() < 0.2:
            fields[name] = rng.random(shape) < rng.choice([0, 0.1, 0.9, 1])
    for name in list(fields):
        if rng.random() < 0.1:
            fields[name] = fields[name].astype(chosen(rng, ("u4", "i2", "f4")))
    if rng.random() < 0.4:
        fields["variance"] = rng.gamma(2, size=shape).astype(chosen(rng, ("f4", "f8")))
        odd = rng.random(shape) < rng.choice([0, 0, 0.1, 1])
        fields["variance"][odd] = chosen(rng, (0, np.nan, np.inf, -1, 1e30))
    fields["dispersion_axis"] = chosen(rng, (None, None, -1, -2))
    if rng.random() < 0.05:
        fields["dispersion_axis"] = chosen(rng, (0, 5))
    if rng.random() < 0.5:
        fields["readout"] = lambda: sm.Readout(
            fast_axis=chosen(rng, (-1, -2)), n_outputs=chosen(rng, (1, 1, 2, 4)),
            line_overhead=chosen(rng, (*[0, 3, 12] * 6, 1000, 1e7, np.nan)),
            interleaved=chosen(rng, (True, False)), stripes=chosen(rng, ("fast", "fast", "slow")),
        )  # fmt: skip
    return fields


def settings(rng, shape):
    mask = chosen(rng, MASKS)
    if rng.random() < 0.1:
        mask = rng.random(shape[-2:]) < 0.5
    flat = None
    if rng.random() < 0.2:
        flat = rng.normal(1, 0.1, shape[-2:])
        flat[rng.random(flat.shape) < 0.1] = chosen(rng, (0, np.nan, -1))
    return {"background": chosen(rng, BACKGROUNDS), "mask": mask, "flat": flat,
            "per_integration": bool(rng.random() < 0.3)}  # fmt: skip


def cleaned(rng, data):
    """Result for random settings, and the ramp."""
    fields = given(rng, data.shape)
    if "readout" in fields:
        fields["readout"] = fields["readout"]()
    ramp = sm.Ramp(data, **fields)
    return sm.FlickerNoiseSubtraction(chosen(rng, MODELS), **settings(rng, data.shape))(ramp), ramp


def tried(rng, data):
    """Result and ramp, or the refusal."""
    try:
        return *cleaned(rng, data), None
    except (TypeError, ValueError, OSError) as error:
        return None, None, error


@pytest.mark.parametrize("seed", [*COUNT, *KNOWN])
def test_anything_ends_in_a_result_or_a_named_refusal(seed):
    rng = np.random.default_rng([15, seed])
    data = frames(rng)
    before = data.copy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result, ramp, refusal = tried(rng, data)
        if refusal is not None:
            assert NAMED.match(str(refusal)), repr(refusal)
            return
        variance = np.ones(data.shape) if ramp.variance is None else ramp.variance
        if ramp.kind != "ramp":
            after = result.cleaned_variance(variance)
            assert not np.any(np.isfinite(result.cleaned) & (after == 0) & (variance > 0))
        result.report()
    assert all(issubclass(w.category, AstropyUserWarning) for w in caught), [str(w) for w in caught]
    assert len(caught) < 20
    np.testing.assert_array_equal(data, before)
    assert result.cleaned.shape == data.shape
    # What came in finite goes out finite.
    if data.dtype.kind == "f":
        assert np.isfinite(result.cleaned[np.isfinite(data)]).all()


def test_integration_without_a_pixel_is_reported_quietly():
    data = np.ones((2, 3, 8, 4), "f4") * np.arange(3)[:, None, None]
    data += np.random.default_rng(0).normal(size=data.shape)
    data[1] = np.nan
    evaluator = sm.FlickerNoiseSubtraction(sm.LineMedian(), per_integration=True)
    report = evaluator(sm.Ramp(data)).report()
    assert report["used"][1] == 0
    assert np.isnan(report["noise_removed"][1])
    assert report["noise_removed"][0] > 0
