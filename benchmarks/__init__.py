"""The established packages and this one, on the same data, in the same process.

Run with ``python -m benchmarks``; see `benchmarks.__main__`. Nothing here is installed.
"""

import os

# One thread for all: what libraries do with more is not what is compared. Before NumPy is imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
