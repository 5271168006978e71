"""Programs whose answers must have the same bits for any number of threads of BLAS."""

import os
import subprocess
import sys

__all__ = ["answers"]


def answers(program):
    """What a program, Python as a text, prints with one, two and three threads: a set."""
    found = set()
    for number in ("1", "2", "3"):
        threads = {"OPENBLAS_NUM_THREADS": number, "OMP_NUM_THREADS": number}
        run = subprocess.run([sys.executable, "-c", program], env=os.environ | threads,
                             capture_output=True, text=True, check=True)  # fmt: skip
        found.add(run.stdout)
    return found
