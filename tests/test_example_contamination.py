"""The script ``examples/contamination.py``, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

from astropy.table import Table

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "contamination.py"


def test_cleans_a_simulated_field(tmp_path):
    command = [sys.executable, str(SCRIPT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "14 sources" in done.stdout
    table = Table.read(tmp_path / "simulated_contamination.ecsv")
    assert len(table) == 14
    assert all(table["fitted"])
    assert (tmp_path / "simulated_contamination.png").stat().st_size > 10_000
