"""Many inputs on many workers: the same numbers, nothing lost when a worker dies, and restarts."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.table import QTable

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.many.schedule import workers

NAMES = list("abcdef")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(NAMES):
        image, _ = make_slit(seed=seed, shape=(20, 30))
        sm.write(image, folder / f"{name}.fits")
    return folder


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


class Mean:
    """An evaluator of no astronomy: quick, and small enough to travel."""

    product = "mean"

    def __call__(self, path):
        image = sm.read(path).single
        return Means(np.nanmean(image.data, axis=0))


class Means:
    """Its result."""

    def __init__(self, values):
        self.values = values

    def tables(self):
        return {"mean": QTable({"flux": self.values})}

    def report(self):
        return QTable({"status": ["ok"], "reason": [""], "level": [np.nanmean(self.values)]})


class DyingOnce(Mean):
    """Takes its worker with it, the first time it meets an input."""

    def __init__(self, name, marker):
        self.name, self.marker = name, marker

    def __call__(self, path):
        if Path(path).stem == self.name and not self.marker.exists():
            self.marker.write_text("died here")
            os._exit(1)
        return super().__call__(path)


class Refusing(Mean):
    """Cannot do one of the inputs."""

    def __init__(self, name):
        self.name = name

    def __call__(self, path):
        if Path(path).stem == self.name:
            raise ZeroDivisionError("no mean of this")
        return super().__call__(path)


class DyingAlways(DyingOnce):
    """Takes every worker with it that meets an input."""

    def __call__(self, path):
        if Path(path).stem == self.name:
            os._exit(1)
        return Mean.__call__(self, path)


def fluxes(output):
    return {name: QTable.read(output / f"{name}_mean.fits", hdu=1)["flux"] for name in NAMES}


QUIET = {"figures": False, "progress_bar": False}


def test_workers_give_the_same_bits_as_one_process(folder, client, tmp_path):
    here = sm.map(Mean(), folder, tmp_path / "here", n_jobs=1, **QUIET)
    there = sm.map(Mean(), folder, tmp_path / "there", client=client, **QUIET)
    assert list(here.summary["input"]) == list(there.summary["input"]) == NAMES
    for name, flux in fluxes(tmp_path / "here").items():
        np.testing.assert_array_equal(flux, fluxes(tmp_path / "there")[name])
    np.testing.assert_array_equal(here.summary["level"], there.summary["level"])
    assert client.status == "running"


def test_own_workers_neither_watch_themselves_nor_give_memory_back_at_once(monkeypatch):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    # A cluster of this process that was started before has left it to those that come after.
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)

    def told():
        import dask

        watched = dask.config.get("distributed.worker.profile.enabled")
        return watched, os.environ.get("MALLOC_TRIM_THRESHOLD_")

    with workers(2, 2) as client:
        assert set(client.run(told).values()) == {(False, None)}
    assert distributed.worker.dask.config.get("distributed.worker.profile.enabled")


def test_extraction_travels_to_workers(folder, client):
    inputs = [folder / "a.fits", folder / "b.fits"]
    extract = sm.OptimalExtraction(n_sources=1)
    there = sm.map(extract, inputs, client=client, progress_bar=False)
    for path in inputs:
        expected = extract(path).table("source")["flux"]
        np.testing.assert_array_equal(there.results[path.stem].table("source")["flux"], expected)


def test_worker_that_dies_costs_nothing(folder, client, tmp_path):
    marker = tmp_path / "marker"
    done = sm.map(DyingOnce("c", marker), folder, tmp_path / "out", client=client, **QUIET)
    assert marker.exists()
    assert not done.failures
    assert sorted(done.files) == NAMES
    expected = sm.map(Mean(), folder, n_jobs=1, progress_bar=False).results
    for name, flux in fluxes(tmp_path / "out").items():
        np.testing.assert_array_equal(flux, expected[name].values)


def test_failure_has_its_name_and_traceback(folder, client, tmp_path):
    done = sm.map(Refusing("b"), folder, tmp_path, client=client, **QUIET)
    assert list(done.failures) == ["b"]
    assert "no mean of this" in done.failures["b"]
    assert "in __call__" in done.failures["b"]
    row = done.summary[list(done.summary["input"]).index("b")]
    assert row["status"] == "failed"
    assert row["reason"] == "ZeroDivisionError: no mean of this"
    content = json.loads((tmp_path / "summary.json").read_text())
    said = {one["name"]: one for one in content["inputs"]}
    assert said["b"]["traceback"] == done.failures["b"]
    assert said["a"]["files"] == ["a_mean.fits"]


def test_restart_does_only_what_is_left(folder, tmp_path):
    first = sm.map(Refusing("b"), folder, tmp_path, n_jobs=1, **QUIET)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*_mean.fits")}
    second = sm.map(Mean(), folder, tmp_path, n_jobs=1, skip_existing=True, **QUIET)
    assert not second.failures
    assert list(second.summary["status"]) == ["ok"] * len(NAMES)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    kept = [name for name in NAMES if name != "b"]
    for name in kept:
        level = [done.summary["level"][NAMES.index(name)] for done in (first, second)]
        assert level[0] == level[1]


def test_restart_without_report_says_so(folder, tmp_path):
    sm.map(Mean(), [folder / "a.fits"], tmp_path, n_jobs=1, **QUIET)
    (tmp_path / "summary.ecsv").write_text("# %ECSV 1.0 half of")
    again = sm.map(Mean(), [folder / "a.fits"], tmp_path, n_jobs=1, skip_existing=True, **QUIET)
    assert again.summary["status"][0] == "skipped"
    assert "left no report" in again.summary["reason"][0]


def test_refused_products_keep_their_report(folder, tmp_path):
    first = sm.map(Refusing("b"), folder, tmp_path, n_jobs=1, **QUIET)
    refused = sm.map(Refusing("b"), folder, tmp_path, n_jobs=1, **QUIET)
    assert set(refused.summary["status"]) == {"failed"}
    assert "skip_existing=True leaves it" in refused.summary["reason"][0]
    assert list(QTable.read(tmp_path / "summary.ecsv")["status"]) == list(first.summary["status"])
    restarted = sm.map(Mean(), folder, tmp_path, n_jobs=1, skip_existing=True, **QUIET)
    assert list(restarted.summary["status"]) == ["ok"] * len(NAMES)
    assert restarted.summary["level"][0] == first.summary["level"][0]


def test_results_are_kept_where_nothing_is_written(folder, tmp_path):
    assert list(sm.map(Mean(), folder, n_jobs=1, progress_bar=False).results) == NAMES
    assert not sm.map(Mean(), folder, tmp_path, n_jobs=1, **QUIET).results
    assert sm.map(Mean(), folder, tmp_path, n_jobs=1, keep=True, overwrite=True, **QUIET).results


def test_any_function_is_an_evaluator(folder):
    done = sm.map(lambda path: sm.read(path).single.shape, folder, n_jobs=1, progress_bar=False)
    assert set(done.results.values()) == {(20, 30)}
    assert set(done.summary["status"]) == {"done"}
    assert "6 done" in repr(done)


def test_interrupted_run_has_said_what_it_did(folder, tmp_path):
    class Interrupted(Mean):
        def __call__(self, path):
            if Path(path).stem == "c":
                raise KeyboardInterrupt
            return super().__call__(path)

    with pytest.raises(KeyboardInterrupt):
        sm.map(Interrupted(), folder, tmp_path, n_jobs=1, **QUIET)
    said = json.loads((tmp_path / "summary.json").read_text())
    assert [one["name"] for one in said["inputs"]] == ["a", "b"]
    assert said["not_done"] == ["c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_jobs": 0}, ValueError, "n_jobs: expected 1 or more"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs: expected a number of processes"),
        ({"client": "tcp://there"}, TypeError, "client: expected a dask.distributed Client"),
        ({"skip_existing": True}, ValueError, "skip_existing: expected an output folder"),
    ],
)
def test_bad_options_are_refused(folder, options, error, message):
    with pytest.raises(error, match=message):
        sm.map(Mean(), folder, progress_bar=False, **options)


def test_what_cannot_be_called_is_refused(folder):
    with pytest.raises(TypeError, match="evaluator: expected an evaluator or a function"):
        sm.map("extract", folder)


@pytest.mark.parametrize("chained", [False, True])
def test_data_that_an_evaluator_has_made_are_written_beside_its_tables(tmp_path, chained):
    slits, truth = sm.datasets.make_slitlets(seed=2, n_background=2, n_science=1, shape=(11, 60))
    subtract = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)
    evaluator = sm.Chain(subtract) if chained else subtract
    done = sm.map(evaluator, {"night": slits}, tmp_path, n_jobs=1, **QUIET)
    names = [path.name for path in done.files["night"]]
    assert names == ["night_background.fits", "night_subtracted.fits"]
    found = sm.read(tmp_path / "night_subtracted.fits")
    expected = subtract(slits).subtracted
    for name in slits:
        np.testing.assert_array_equal(found[name].data, expected[name].data)


def test_input_that_kills_all_its_workers_takes_no_other_along(folder, client, tmp_path):
    evaluator = DyingAlways("b", None)
    done = sm.map(evaluator, folder, tmp_path, client=client, **QUIET)
    assert list(done.failures) == ["b"]
    assert "KilledWorker" in done.failures["b"]
    assert list(done.files) == [name for name in NAMES if name != "b"]
