"""``import specmodels`` takes no time: names and what they need are fetched when they are used."""

import json
import pickle
import subprocess
import sys

import pytest

import specmodels
from specmodels.models.profiles import GaussianProfile

HEAVY = ["asdf", "astropy", "gwcs", "matplotlib", "numba", "numpy", "photutils", "scipy",
         "specutils", "stdatamodels"]  # fmt: skip


def loaded_by(code):
    """Heavy modules in memory after some code has run in a process of its own."""
    told = f"import sys, json\n{code}\nprint(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy():
    assert loaded_by("import specmodels") == set()


def test_the_check_sees_what_is_loaded():
    assert loaded_by("import numpy") == {"numpy"}


@pytest.mark.parametrize(
    ("use", "without"),
    [
        ("specmodels.GaussianProfile", {"gwcs", "matplotlib", "photutils", "specutils"}),
        ("specmodels.read", {"gwcs", "matplotlib", "photutils", "specutils", "stdatamodels"}),
        ("specmodels.OptimalExtraction", {"gwcs", "matplotlib", "specutils", "stdatamodels"}),
        ("specmodels.SpectralImage", {"gwcs", "matplotlib", "numba", "scipy", "specutils"}),
    ],
)
def test_name_loads_only_what_it_needs(use, without):
    loaded = loaded_by(f"import specmodels\n{use}")
    assert "numpy" in loaded
    assert not loaded & without


def test_every_public_name_can_be_fetched():
    code = """
import specmodels
for name in specmodels.__all__:
    assert getattr(specmodels, name) is not None
namespace = {}
exec("from specmodels import *", namespace)
assert set(specmodels.__all__) <= set(namespace)
"""
    assert "numpy" in loaded_by(code)


def test_names_are_those_of_their_modules_and_are_listed():
    assert specmodels.GaussianProfile is GaussianProfile
    assert set(specmodels.__all__) <= set(dir(specmodels))
    assert {"models", "fitters", "io", "evaluators", "datasets"} <= set(dir(specmodels))
    assert specmodels.models.GaussianProfile is GaussianProfile
    assert specmodels.__version__


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'specmodels' has no attribute 'nothing'"):
        _ = specmodels.nothing
    with pytest.raises(ImportError, match="nothing"):
        exec("from specmodels import nothing")


def test_pickle_of_a_model_opens_in_a_process_that_imported_nothing():
    content = pickle.dumps(GaussianProfile(3.0, 1.5))
    code = f"import pickle\nassert pickle.loads({content!r}).stddev == 1.5"
    assert "astropy" in loaded_by(code)


def test_asdf_file_opens_in_a_process_that_imported_nothing(tmp_path):
    code = f"""
import asdf, specmodels
from specmodels.io.asdf_extension import get_extensions, get_resource_mappings
for mapping in get_resource_mappings():
    asdf.get_config().add_resource_mapping(mapping)
for extension in get_extensions():
    asdf.get_config().add_extension(extension)
path = {str(tmp_path / "model.asdf")!r}
asdf.AsdfFile({{"model": specmodels.GaussianProfile(3.0, 1.5)}}).write_to(path)
"""
    loaded_by(code)
    reading = code.rsplit("\n", 2)[0].replace(", specmodels\n", "\n")
    loaded_by(reading + "\nwith asdf.open(path) as file:\n    assert file['model'].stddev == 1.5")


def test_a_misspelt_name_is_told_the_right_one():
    with pytest.raises(AttributeError, match="did you mean 'MoffatProfile'"):
        specmodels.MoffatProfil  # noqa: B018
