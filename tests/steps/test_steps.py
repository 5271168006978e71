"""Steps of pipelines: found by their names, datamodels in and out, nothing done twice."""

import json
import subprocess
import sys

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.steps import STEPS, get_steps

stpipe = pytest.importorskip("stpipe", reason="stpipe, which comes with jwst, is not installed")
steps = pytest.importorskip("specmodels.steps.evaluator_steps")


@pytest.fixture(scope="module")
def slit():
    image, _ = sm.datasets.make_slit(seed=3, shape=(24, 80))
    return image


@pytest.fixture
def path(slit, tmp_path):
    return saved(slit, tmp_path / "slit_cal.fits")


def saved(slit, path):
    """The file of a datamodel of a slit."""
    with datamodels.ImageModel(data=slit.data.astype("f4")) as model:
        model.err = np.sqrt(slit.variance).astype("f4")
        model.dq = slit.mask.astype("u4")
        model.wavelength = np.broadcast_to(slit.wavelength, slit.shape).astype("f4")
        model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = 1, 2
        model.meta.telescope = "JWST"
        model.save(path)
    return str(path)


def test_names_are_those_of_steps():
    assert [name.rpartition(".")[2] for name, _, _ in get_steps()] == list(STEPS)
    for name, alias, is_pipeline in get_steps():
        cls = getattr(steps, name.rpartition(".")[2])
        assert issubclass(cls, stpipe.Step)
        assert alias.startswith("specmodels.")
        assert not is_pipeline


def test_package_does_not_import_stpipe():
    code = "import sys, specmodels.evaluators, specmodels.steps; assert 'stpipe' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", STEPS)
def test_parameters_make_an_evaluator(name):
    step = getattr(steps, name)()
    evaluator = step.evaluator()
    assert isinstance(evaluator, sm.Evaluator)
    assert evaluator.step in (None, step.class_alias)
    assert step.class_alias in datamodels.ImageModel().schema["properties"]["meta"][
        "properties"]["cal_step"]["properties"]  # fmt: skip


def test_parameters_reach_the_evaluator():
    extract = steps.ExtractStep(n_sources=2, sky=1, aperture=2.0).evaluator()
    assert (extract.builder.n_sources, extract.aperture) == (2, 2.0)
    assert steps.BackgroundStep(slits=["S1"]).evaluator().slits is not None
    noise = steps.CleanStep(noise="median").evaluator().noise_model
    assert isinstance(noise, sm.LineMedian)


def test_noise_is_subtracted_once(path):
    done = steps.CleanStep(noise="median").run(path)
    expected = sm.FlickerNoiseSubtraction(sm.LineMedian())(path).to_source()
    np.testing.assert_array_equal(done.data, expected.data)
    assert done.meta.cal_step.clean_flicker_noise == "COMPLETE"
    again = steps.CleanStep(noise="median").run(done)
    np.testing.assert_array_equal(again.data, done.data)


def test_spectra_come_as_a_datamodel(path):
    model = steps.ExtractStep(n_sources=1).run(path)
    assert isinstance(model, datamodels.MultiSpecModel)
    assert model.meta.cal_step.extract_1d == "COMPLETE"
    assert model.meta.telescope == "JWST"
    expected = sm.OptimalExtraction(n_sources=1)(path).table("source")["flux"]
    np.testing.assert_array_equal(model.spec[0].spec_table["FLUX"], expected.value)


def test_members_of_an_association_are_done_one_by_one_or_together(slit, tmp_path):
    names = ["one_cal.fits", "two_cal.fits"]
    for name in names:
        saved(slit, tmp_path / name)
    members = [{"expname": name, "exptype": "science"} for name in names]
    members.append({"expname": "no_cal.fits", "exptype": "background"})
    association = tmp_path / "asn.json"
    association.write_text(json.dumps({"products": [{"name": "x", "members": members}]}))
    found = steps.ExtractStep(n_sources=1).run(str(association))
    assert [type(model) for model in found] == [datamodels.MultiSpecModel] * 2
    together = steps.ExtractStep(n_sources=1, together=True).run(str(association))
    ratio = together.spec[0].spec_table["FLUX_ERROR"] / found[0].spec[0].spec_table["FLUX_ERROR"]
    assert np.nanmedian(ratio) == pytest.approx(0.5**0.5, rel=0.1)
    association.write_text(json.dumps({"products": []}))
    with pytest.raises(ValueError, match="data: expected an association with science members"):
        steps.ExtractStep().run(str(association))


def test_strun_runs_them(path, tmp_path):
    step = "specmodels.steps.evaluator_steps.ExtractStep"
    code = "import sys; from stpipe._cli.strun import main; sys.exit(main())"
    command = [sys.executable, "-c", code, step, path, "--n_sources=1",
               f"--output_dir={tmp_path}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    with datamodels.open(tmp_path / "slit_x1d.fits") as model:
        assert isinstance(model, datamodels.MultiSpecModel)
        assert np.isfinite(model.spec[0].spec_table["FLUX"]).any()
