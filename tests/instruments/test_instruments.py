"""Instruments: declaration, registration, recognition, and what they do to raw arrays."""

import pickle
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

from specmodels import instruments
from specmodels.instruments import (
    Instrument,
    MiriLrs,
    NirissGr150R,
    NirspecSlit,
    Readout,
    get_instrument,
    recognise_instrument,
    registry,
)


class Toy(Instrument, key=("TOYSPEC", "LONGSLIT")):
    dispersion_axis = 0
    readout = Readout(fast_axis=-1, n_outputs=2, line_overhead=8, dwell=5e-6)
    gain: float = 1.3


@pytest.fixture
def own_registry(monkeypatch):
    """Registrations of a test that are gone after it."""
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


def test_subclass_overrides_attributes_and_adds_settings():
    toy = Toy(gain=2.0)
    assert toy.dispersion_axis == -2
    assert toy.gain == 2.0
    assert toy.readout.n_outputs == 2
    assert Toy().bad_flags == Instrument().bad_flags == 1
    assert Instrument().dispersion_axis == -1


def test_instrument_is_frozen_comparable_and_survives_pickle():
    toy = Toy(gain=2.0)
    with pytest.raises(FrozenInstanceError):
        toy.gain = 3.0
    assert pickle.loads(pickle.dumps(toy)) == toy
    assert toy.replace(gain=1.3) == Toy()
    assert hash(toy) != hash(Toy())


@pytest.mark.parametrize(
    "key", [("TOYSPEC", "LONGSLIT"), ("toyspec", "longslit"), "TOYSPEC", Toy, Toy()]
)
def test_instrument_is_found_by_key_part_of_key_class_or_itself(key):
    assert get_instrument(key) == Toy()


def test_longer_key_than_registered_finds_the_instrument():
    assert get_instrument(("MIRI", "MIR_LRS-FIXEDSLIT", "P750L")) == MiriLrs()


def test_unknown_and_ambiguous_keys_name_the_known_ones():
    with pytest.raises(ValueError, match=r"no instrument is known by NOSUCH.*TOYSPEC/LONGSLIT"):
        get_instrument("NOSUCH")
    with pytest.raises(ValueError, match="several instruments fit NIRSPEC"):
        get_instrument("NIRSPEC")


@pytest.mark.parametrize("key", [3, (), ("A", 1), "", None])
def test_key_of_wrong_type_raises(key):
    with pytest.raises(TypeError, match="expected a word"):
        get_instrument(key)


def test_key_taken_by_another_class_raises(own_registry):
    with pytest.raises(ValueError, match=r"already registered for .*Toy"):
        type("Other", (Instrument,), {"__module__": "elsewhere"}, key=("TOYSPEC", "LONGSLIT"))


def test_class_may_be_declared_again(own_registry):
    body = {"__module__": __name__, "__qualname__": "Toy", "dispersion_axis": -1}
    again = type("Toy", (Instrument,), body, key=("TOYSPEC", "LONGSLIT"))
    assert type(get_instrument("TOYSPEC")) is again


def test_class_without_key_is_not_registered():
    class Unregistered(Toy):
        pass

    assert Unregistered.keys == ()
    assert type(get_instrument("TOYSPEC")) is Toy


def test_header_is_recognised_by_instrument_mode_and_grism():
    header = {"INSTRUME": "NIRISS", "EXP_TYPE": "NIS_WFSS", "FILTER": "GR150R", "PUPIL": "F115W"}
    assert recognise_instrument(header) == NirissGr150R()
    assert recognise_instrument({}, {"INSTRUME": "toyspec", "EXP_TYPE": "longslit "}) == Toy()
    assert recognise_instrument({"INSTRUME": "TOYSPEC"}) is None
    assert recognise_instrument() is None


def test_class_may_recognise_headers_its_own_way(own_registry):
    class Peculiar(Instrument, key="PECULIAR"):
        @classmethod
        def recognises(cls, header):
            return "PECULIAR" in header

    assert recognise_instrument({"PECULIAR": 1}) == Peculiar()


def test_entry_points_are_loaded_and_broken_ones_warned_of(monkeypatch):
    loaded = []

    def broken():
        raise ImportError("no module named nowhere")

    entries = [
        SimpleNamespace(name="good", value="good:Good", load=lambda: loaded.append("good")),
        SimpleNamespace(name="bad", value="bad:Bad", load=broken),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    with pytest.warns(AstropyUserWarning, match=r"'bad'.*nowhere"):
        registry.load_entry_points.__wrapped__()
    assert loaded == ["good"]


def test_every_public_name_is_there():
    assert all(hasattr(instruments, name) for name in instruments.__all__)


@pytest.mark.parametrize(
    ("key", "axis"),
    [
        (("NIRSPEC", "NRS_FIXEDSLIT"), -1),
        (("NIRSPEC", "NRS_MSASPEC"), -1),
        (("NIRSPEC", "NRS_IFU"), -1),
        (("MIRI", "MIR_LRS-FIXEDSLIT"), -2),
        (("MIRI", "MIR_MRS"), -2),
        (("NIRISS", "NIS_SOSS"), -1),
        (("NIRISS", "NIS_WFSS", "GR150C"), -1),
        (("NIRISS", "NIS_WFSS", "GR150R"), -2),
        (("NIRCAM", "NRC_WFSS", "GRISMR"), -1),
        (("NIRCAM", "NRC_WFSS", "GRISMC"), -2),
    ],
)
def test_mission_modes_have_their_dispersion_axis_and_readout(key, axis):
    instrument = get_instrument(key)
    assert instrument.dispersion_axis == axis
    assert instrument.bad_flags == 1
    assert instrument.readout.dwell == 1e-5


@pytest.mark.parametrize(
    ("instrument", "columns", "lines", "seconds"),
    [(NirspecSlit(), 2048, 2049, 10.737), (MiriLrs(), 1032, 1024, 2.775)],
)
def test_readout_gives_the_frame_time(instrument, columns, lines, seconds):
    readout = instrument.readout
    line = (columns / readout.n_outputs + readout.line_overhead) * readout.dwell
    np.testing.assert_allclose(line * lines, seconds, rtol=1e-3)


def test_slow_axis_is_the_other_one():
    assert Readout(fast_axis=-2).slow_axis == -1
    assert Readout(fast_axis=1).fast_axis == -1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fast_axis": 2}, "fast_axis"),
        ({"fast_axis": -1, "slow_axis": -1}, "slow_axis"),
        ({"n_outputs": 0}, "n_outputs"),
        ({"dwell": 0}, "dwell"),
    ],
)
def test_impossible_readout_raises(changes, message):
    with pytest.raises(ValueError, match=message):
        Readout(**changes)


@pytest.mark.parametrize("axis", [2, -3, True, "horizontal", 1.0, None])
def test_unknown_dispersion_axis_raises(axis):
    with pytest.raises(ValueError, match="dispersion_axis: expected -1"):
        Instrument(dispersion_axis=axis)


def test_bad_flags_must_be_bits():
    with pytest.raises(ValueError, match="bad_flags"):
        Instrument(bad_flags=1.5)


def test_image_turns_every_plane_and_masks_bad_flags():
    data = np.arange(6.0).reshape(3, 2)
    flags = np.zeros((3, 2), dtype=np.uint32)
    flags[0, 1], flags[2, 0] = 1, 4
    image = Toy().image(
        data, variance=data + 1, flags=flags, wavelength=[1.0, 2.0, 3.0],
        components={"read": data + 1}, mask=data == 3, name="toy",
    )  # fmt: skip
    assert image.shape == (2, 3)
    np.testing.assert_array_equal(image.data, data.T)
    np.testing.assert_array_equal(image.variance, data.T + 1)
    np.testing.assert_array_equal(image.components["read"], data.T + 1)
    np.testing.assert_array_equal(image.mask, [[False, False, False], [True, True, False]])
    assert Toy(bad_flags=4).image(data, flags=flags).mask[0, 2]


def test_highest_bit_can_be_a_bad_flag():
    flags = np.full((2, 2), 2**31, dtype=np.uint32)
    assert Instrument(bad_flags=2**31).image(np.ones((2, 2)), flags=flags).mask.all()
    assert not Instrument().image(np.ones((2, 2)), flags=flags).mask.any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": np.ones(3)}, ValueError, r"data: expected 2 dimensions, got shape \(3,\)"),
        ({"data": np.ones((2, 3, 4))}, ValueError, "data"),
        ({"flags": np.ones((2, 3))}, TypeError, "flags"),
        ({"flags": np.ones((3, 3), int)}, ValueError, "flags"),
        ({"variance": np.ones((3, 3))}, ValueError, "variance"),
        ({"wavelength": np.ones(4)}, ValueError, "wavelength"),
    ],
)
def test_arrays_of_wrong_shape_or_type_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        Instrument().image(**({"data": np.ones((2, 3))} | changes))


def test_hook_for_files_is_optional():
    assert Toy().read([]) is None


def test_imagers_disperse_nothing_and_say_how_they_are_read():
    miri = recognise_instrument({"INSTRUME": "MIRI", "EXP_TYPE": "MIR_IMAGE"})
    assert not miri.dispersed
    assert miri.readout.interleaved
    assert miri.readout.stripes == "slow"
    assert recognise_instrument({"INSTRUME": "NIRISS", "EXP_TYPE": "NIS_SOSS"}).dispersed


def test_reference_pixels_of_a_slitless_subarray_are_no_light():
    flags = np.zeros((6, 8), dtype=np.uint32)
    flags[:, :4] = 1 << 31
    image = get_instrument(("MIRI", "MIR_LRS-SLITLESS")).image(np.ones((6, 8)), flags=flags)
    assert image.shape == (8, 6)
    assert image.mask[:4].all()
    assert not image.mask[4:].any()
