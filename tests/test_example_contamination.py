"""The script ``examples/contamination.py``, run as a user runs it."""

from astropy.table import Table

from tests.example_scripts import run


def test_cleans_a_simulated_field(tmp_path):
    printed = run("contamination.py", folder=tmp_path)
    assert "14 sources" in printed
    table = Table.read(tmp_path / "simulated_contamination.ecsv")
    assert len(table) == 14
    assert all(table["fitted"])
    assert (tmp_path / "simulated_contamination.png").stat().st_size > 10_000
