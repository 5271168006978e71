"""`read` and `write` as such: options, dispatch by type, pass-through, what is refused."""

from pathlib import PurePosixPath

import numpy as np
import pytest
from astropy import units as u

from specmodels.exposure import Exposure
from specmodels.instruments import Instrument, MiriLrs
from specmodels.io import read, reader, registry, writer
from specmodels.io.options import ReadOptions
from specmodels.spectral_image import SpectralImage


@pytest.fixture
def own_registry(monkeypatch):
    """Registrations of a test that are gone after it."""
    monkeypatch.setattr(registry, "_readers", dict(registry._readers))
    monkeypatch.setattr(registry, "_writers", dict(registry._writers))


@pytest.fixture
def image():
    return SpectralImage(np.ones((3, 4)), variance=np.ones((3, 4)), name="slit")


def test_exposure_and_image_pass_through(image):
    exposure = Exposure([image])
    assert read(exposure) is exposure
    assert read(image)["slit"] is image


def test_options_change_what_passes_through(image):
    exposure = Exposure([image], instrument=MiriLrs(), source="x")
    changed = read(exposure, wavelength=np.arange(4.0) * u.um, variance=np.full((3, 4), 2.0))
    assert changed.instrument == MiriLrs()
    assert changed.source == "x"
    assert changed["slit"].variance[0, 0] == 2
    assert exposure["slit"].wavelength is None
    assert list(read(image, name="other")) == ["other"]


def test_image_cannot_be_turned(image):
    with pytest.raises(ValueError, match="dispersion_axis"):
        read(image, dispersion_axis=-2)


def test_arrays_for_several_images_are_given_by_name(image):
    exposure = Exposure([image, image.replace(name="b")])
    changed = read(exposure, wavelength={"b": np.arange(4.0) * u.um})
    assert changed["slit"].wavelength is None
    assert changed["b"].wavelength_unit == u.um
    with pytest.raises(ValueError, match=r"wavelength: expected names of images.*'c'"):
        read(exposure, wavelength={"c": np.arange(4.0)})
    with pytest.raises(ValueError, match="name: expected none for 2 images"):
        read(exposure, name="x")


def test_instrument_decides_orientation_and_user_overrides_it():
    exposure = read(np.ones((7, 3)), instrument=MiriLrs)
    assert exposure.single.shape == (3, 7)
    assert exposure.instrument == MiriLrs()
    exposure = read(np.ones((7, 3)), instrument=MiriLrs(), dispersion_axis=-1)
    assert exposure.single.shape == (7, 3)
    assert exposure.instrument == MiriLrs(dispersion_axis=-1)


def test_source_is_kept():
    data = np.ones((3, 4))
    assert read(data).source is data


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dispersion_axis": 2}, ValueError, "dispersion_axis: expected -1"),
        ({"dispersion_axis": "x"}, ValueError, "dispersion_axis: expected -1"),
        ({"wavelength": np.ones(4) * u.Jy}, ValueError, "wavelength: expected a unit of"),
        ({"wavelength": np.ones(3)}, ValueError, "wavelength: expected shape"),
        ({"variance": np.ones((4, 3))}, ValueError, "variance: expected the shape"),
        ({"variance": np.ones((3, 4)) * u.Jy}, ValueError, "variance: "),
        ({"variance": np.ones((3, 4)), "uncertainty": 1}, ValueError, "variance, uncertainty"),
        ({"mask": np.ones((3, 3), bool)}, ValueError, "mask: expected the shape"),
        ({"mask": np.ones((3, 4))}, TypeError, "mask: expected booleans"),
        ({"instrument": 5}, TypeError, "instrument"),
        ({"instrument": "NOSUCH"}, ValueError, "instrument: no instrument"),
        ({"name": 5}, TypeError, "name: expected a word"),
        ({"pixel_scale": 0}, ValueError, "pixel_scale"),
        ({"pixel_scale": np.nan}, ValueError, "pixel_scale"),
        ({"extensions": {"sci": 1}}, ValueError, "extensions: expected some of"),
        ({"extensions": "SCI"}, TypeError, "extensions: expected a mapping"),
    ],
)
def test_wrong_option_is_named(options, error, message):
    with pytest.raises(error, match=message):
        read(np.ones((3, 4)), **options)


@pytest.mark.parametrize("obj", [None, 5, object(), [[1, 2]], b"x.fits", {"a": 1}])
def test_object_of_unknown_type_raises(obj):
    with pytest.raises(TypeError, match="obj: expected a path, an array"):
        read(obj)


def test_reader_may_be_registered_by_type_or_name_and_holds_for_subclasses(own_registry):
    class Frame:
        def __init__(self, pixels):
            self.pixels = pixels

    class SpecialFrame(Frame):
        pass

    Frame.__module__, Frame.__qualname__ = "someobservatory.data", "Frame"

    @reader("someobservatory.Frame")
    def read_frame(frame, options):
        assert isinstance(options, ReadOptions)
        return options.resolved().image(frame.pixels)

    assert read(SpecialFrame(np.ones((2, 3)))).single.shape == (2, 3)

    @reader(SpecialFrame)
    def read_special(frame, options):
        return [SpectralImage(frame.pixels, name=name) for name in "ab"]

    assert list(read(SpecialFrame(np.ones((2, 3))))) == ["a", "b"]


def test_reader_that_returns_something_else_is_named(own_registry):
    class Thing:
        pass

    reader(Thing)(lambda thing, options: 5)
    with pytest.raises(TypeError, match="a reader returned int"):
        read(Thing())


def test_own_writer_is_found_by_suffix(own_registry, tmp_path):
    @writer(".txt")
    def write_text(result, path):
        path.write_text(str(result))

    registry.write("hello", tmp_path / "a.TXT")
    assert (tmp_path / "a.TXT").read_text() == "hello"


def test_pure_path_is_a_path():
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read(PurePosixPath("nowhere/x.fits"))


def test_default_instrument_is_generic():
    assert read(np.ones((2, 2))).instrument == Instrument()
