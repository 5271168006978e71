"""Readers, writers and models of other packages: found by suffix, by type, and by entry points."""

import sys
from types import ModuleType, SimpleNamespace

import asdf
import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning

import specmodels as sm
from specmodels.instruments import registry as instruments
from specmodels.io import registry
from specmodels.io.asdf_extension import converters, integration


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Registrations of a test that are gone after it."""
    monkeypatch.setattr(registry, "_readers", dict(registry._readers))
    monkeypatch.setattr(registry, "_writers", dict(registry._writers))


class Frame:
    def __init__(self, counts):
        self.counts = counts


def test_files_are_read_by_their_suffix_with_all_options(tmp_path):
    @sm.reader(".spec.txt")
    def read_text(path):
        return np.loadtxt(path)

    path = tmp_path / "Slit.SPEC.txt"
    np.savetxt(path, np.arange(12.0).reshape(3, 4))
    for given in (path, str(path)):
        (image,) = sm.read(given, dispersion_axis=-2, variance=np.full((3, 4), 2.0)).values()
        np.testing.assert_array_equal(image.data, np.arange(12.0).reshape(3, 4).T)
        assert image.variance[0, 0] == 2
    with pytest.raises(ValueError, match="variance"):
        sm.read(path, variance=np.ones((5, 5)))


def test_objects_are_read_by_their_type_and_options_are_not_lost():
    @sm.reader(Frame)
    def read_frame(frame):
        return sm.SpectralImage(frame.counts, name="frame")

    frame = Frame(np.ones((3, 4)))
    mask = np.eye(3, 4, dtype=bool)
    exposure = sm.read(frame, mask=mask, name="mine")
    np.testing.assert_array_equal(exposure["mine"].mask, mask)
    with pytest.raises(ValueError, match="dispersion_axis"):  # not silently ignored
        sm.read(frame, dispersion_axis=-2)


def test_a_reader_of_two_arguments_has_the_options_to_itself():
    @sm.reader(Frame)
    def read_frame(frame, options):
        return sm.SpectralImage(frame.counts, name=options.name or "unnamed")

    assert list(sm.read(Frame(np.ones((3, 4))))) == ["unnamed"]
    assert list(sm.read(Frame(np.ones((3, 4))), name="b")) == ["b"]


def test_what_a_reader_returns_must_be_readable():
    @sm.reader(Frame)
    def read_frame(frame):
        return frame.counts.tolist

    with pytest.raises(TypeError, match="what a reader returned"):
        sm.read(Frame(np.ones((3, 4))))


def test_results_are_written_by_suffix(tmp_path):
    @sm.writer(".counts")
    def write_counts(result, path):
        path.write_text(str(result))

    assert sm.write(5, tmp_path / "five.counts").read_text() == "5"


@pytest.fixture
def declared(monkeypatch):
    """Entry points as an installed package would have them, by group."""
    groups = {}
    for module in (instruments, converters):
        monkeypatch.setattr(module, "entry_points", lambda group: groups.get(group, []))
    instruments.load_entry_points.cache_clear()
    yield groups
    instruments.load_entry_points.cache_clear()


def test_modules_that_packages_declare_are_imported_when_needed(declared, tmp_path):
    def load():
        sm.reader(".lines")(lambda path: np.ones((3, 4)))
        sm.writer(".lines")(lambda result, path: path.write_text("written"))

    declared["specmodels.io"] = [SimpleNamespace(name="mine", value="mine.io", load=load)]
    path = tmp_path / "a.lines"
    assert sm.write(1, path).read_text() == "written"
    assert sm.read(path).single.shape == (3, 4)


def test_modules_that_cannot_be_imported_are_warned_of(declared, tmp_path):
    def load():
        raise ImportError("no module named nowhere")

    declared["specmodels.io"] = [SimpleNamespace(name="bad", value="bad.io", load=load)]
    with pytest.warns(AstropyUserWarning, match=r"'bad' \(bad\.io\) cannot be loaded: .*nowhere"):
        sm.write(sm.read(np.ones((3, 4))), tmp_path / "a.fits")


def test_models_that_packages_declare_are_saved_and_read(declared, tmp_path, monkeypatch):
    class Ripple(sm.BasisModel):
        """A wave."""

        def __init__(self, period=3.0, **parameters):
            self.period = float(period)
            super().__init__(2, **parameters)

        def basis(self, x):
            angle = 2 * np.pi * np.asarray(x) / self.period
            return np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    module = ModuleType("ripples")
    Ripple.__module__, Ripple.__qualname__, module.Ripple = "ripples", "Ripple", Ripple
    monkeypatch.setitem(sys.modules, "ripples", module)
    path = tmp_path / "model.asdf"
    declared["specmodels.models"] = [SimpleNamespace(name="ripple", value="ripples:Ripple")]
    with asdf.config_context() as config:
        config.add_extension(integration.get_extensions()[0])
        asdf.AsdfFile({"model": Ripple(5.0, c1=2.0)}).write_to(path)
        with asdf.open(path) as tree:
            again = tree["model"]
        declared.clear()
        config.warn_on_failed_conversion = False  # or asdf warns, and gives the tree as it is
        with pytest.raises(TypeError, match=r"ripples\.Ripple is not known"), asdf.open(path) as t:
            t["model"]
    assert (again.period, again.c1.value) == (5.0, 2.0)
