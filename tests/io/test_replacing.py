"""Files appear when complete: nothing is left by a kill, links and permissions are kept."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

import specmodels as sm
from specmodels.io import replacing as module
from specmodels.io.replacing import replacing

IMAGE = sm.SpectralImage(np.ones((4, 8)))
KILLED = """
import os, signal, sys
from specmodels.io.replacing import replacing
with replacing(sys.argv[1]) as path:
    path.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=[True, False], ids=["without name", "by name"])
def way(request, monkeypatch):
    """Both ways to put a file in its place: the second where the system lacks the first."""
    if not request.param:
        monkeypatch.setattr(module, "_unnamed", lambda folder: None)


@pytest.mark.parametrize("existing", [False, True])
def test_killed_process_leaves_nothing_beside_the_target(tmp_path, existing):
    folder = tmp_path / "out"
    folder.mkdir()
    if existing:
        (folder / "x.fits").write_bytes(b"precious")
    arguments = [sys.executable, "-c", KILLED, str(folder / "x.fits")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(arguments, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(folder) == (["x.fits"] if existing else [])
    assert not existing or (folder / "x.fits").read_bytes() == b"precious"


def killed(folder, target):
    """Number of a process that was killed while it wrote."""
    arguments = [sys.executable, "-c", KILLED, str(target)]
    process = subprocess.Popen(arguments, env=os.environ | {"TMPDIR": str(folder)})
    assert process.wait() == -signal.SIGKILL
    for left in folder.iterdir():
        age(left)
    return process.pid


def age(path):
    """Make a folder one of long ago."""
    os.utime(path, (time.time() - 3600,) * 2)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files that is ours alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_what_a_killed_process_left_is_cleared_by_the_next_that_writes(tmp_path, temporary):
    number = killed(temporary, tmp_path / "x.fits")
    (left,) = temporary.iterdir()
    assert left.name.startswith(f"{module.PREFIX}{number}-")
    sm.write(IMAGE, tmp_path / "y.fits")
    assert os.listdir(temporary) == []


@pytest.mark.skipif(module.fcntl is None, reason="nothing is cleared without locks")
def test_folders_at_work_of_others_and_of_other_names_are_left(tmp_path, temporary):
    dead = killed(temporary, tmp_path / "x.fits")
    (left,) = temporary.iterdir()
    for name in (
        f"{os.getpid()}-8letters",
        f"{10**30}-8letters",
        "note",
        f"{dead}",
        f"{dead}-note",
    ):
        (temporary / f"{module.PREFIX}{name}").mkdir()
    for name in (f"specmodels-{dead}", f"specmodels-{dead}-8letters"):  # as users may name theirs
        (temporary / name).mkdir()
    (temporary / f"{module.PREFIX}{dead}-thisfile").write_text("no folder")
    (tmp_path / "elsewhere").mkdir()
    (temporary / f"{module.PREFIX}{dead}-somelink").symlink_to(tmp_path / "elsewhere")
    for path in temporary.iterdir():
        age(path)
    (temporary / f"{module.PREFIX}{dead}-just_now").mkdir()  # the lock may be still to be taken
    before = sorted(os.listdir(temporary))
    with module._locked(left) as free:  # as its process would in another container
        assert free
        sm.write(IMAGE, tmp_path / "y.fits")
        assert sorted(os.listdir(temporary)) == before
    sm.write(IMAGE, tmp_path / "z.fits")
    assert sorted(os.listdir(temporary)) == sorted({*before} - {left.name})
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("way")
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    real, link = tmp_path / "real.fits", tmp_path / "link.fits"
    link.symlink_to(real)
    for _ in range(2):  # the first makes what the link leads to
        sm.write(IMAGE, link, overwrite=True)
        assert link.is_symlink()
        assert sm.read(real).single.shape == (4, 8)
    assert sorted(os.listdir(tmp_path)) == ["link.fits", "real.fits"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("mode", [0o640, 0o664, 0o600])
def test_permissions_of_a_file_are_kept(tmp_path, mode):
    path = sm.write(IMAGE, tmp_path / "x.fits")
    path.chmod(mode)
    sm.write(IMAGE, path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["x.fits"]


@pytest.mark.usefixtures("way")
def test_permissions_of_a_new_file_are_those_of_the_user(tmp_path):
    (tmp_path / "plain").write_text("")
    path = sm.write(IMAGE, tmp_path / "x.fits")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.usefixtures("way")
def test_nothing_is_replaced_where_nothing_was_written(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("precious")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe.fits")
    with pytest.raises(ValueError, match=r"target: .*which is none"):
        sm.write(IMAGE, tmp_path / "pipe.fits", overwrite=True)
