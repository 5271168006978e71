"""``specmodels warm``: jobs find their kernels compiled, and no folder is no error."""

import os
import subprocess
import sys

import pytest

from specmodels import warm
from specmodels.command_line import main
from specmodels.numerics.compiled import compiled


@pytest.fixture
def one_job(monkeypatch):
    """One job of one kernel, in place of all."""

    def work():
        @compiled
        def doubled(value):
            return 2 * value

        doubled(1.0)

    monkeypatch.setattr(warm, "JOBS", {"double": work})


def test_jobs_are_done_and_their_kernels_counted(one_job):
    pytest.importorskip("numba")
    (job,) = warm.warmed()
    assert job.name == "double"
    assert job.compiled + job.found == 1


def test_command_reports(one_job, capsys):
    pytest.importorskip("numba")
    assert main(["warm"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("double: ")
    assert "kept in" in said


def test_every_job_of_the_command_is_warmed():
    done = " ".join(warm.JOBS)
    for name in ("extract", "clean", "oversample", "fill", "background", "decontaminate"):
        assert name in done


def test_folder_that_cannot_be_written_to_is_no_error(tmp_path):
    pytest.importorskip("numba")
    (tmp_path / "file").write_text("in the way")
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "file"), "HOME": "/proc/nowhere",
        "XDG_CACHE_HOME": "/proc/nowhere", "NUMBA_CACHE_LOCATOR_CLASSES":
        "UserProvidedCacheLocator,UserWideCacheLocator",
    }  # fmt: skip
    code = """
from specmodels import warm
from specmodels.command_line import main
warm.JOBS = {"oversample": warm.JOBS["oversample, fill"]}
raise SystemExit(main(["warm"]))
"""
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "not kept" in run.stdout
