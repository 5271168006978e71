"""A few hundred of the broken files which the nightly run reads by the thousands."""

import pytest

import specmodels as sm

from .files import image, read_broken, read_one, run, written


@pytest.fixture(scope="module")
def counted():
    return run(450, seed=1)


def test_every_broken_file_is_read_or_refused_by_name(counted):
    _, faults = counted
    assert not faults, "\n".join(faults)


def test_both_kinds_of_outcome_are_met(counted):
    counts, _ = counted
    ends = {end for _, _, end in counts}
    assert {"refused", "whole"} <= ends
    assert sum(counts.values()) == 450


def test_lost_plane_would_be_seen(tmp_path):
    whole = read_one(sm.write(image(), tmp_path / "w.fits"))
    path = sm.write(image().replace(variance=None, components={}), tmp_path / "x.fits")
    assert read_broken(path, whole).is_fault
    assert not read_broken(sm.write(image(), tmp_path / "y.fits"), whole).is_fault


def test_files_of_all_kinds_are_written(tmp_path):
    paths = written(tmp_path)
    assert len(paths) == 13
    assert all(path.stat().st_size for path in paths.values())
