"""How time and memory grow with the number of columns."""

import numpy as np

import specmodels as sm

from . import memory
from .inputs import make_slit
from .measure import costs
from .measure import memory as measured_memory

N_ROWS = 60
COLUMNS = (512, 1024, 2048, 4096, 8192, 16384)


def run(*, quick=False):
    """One row for each number of columns, and one with the exponents of a power law."""
    rows = [_row(n, repeat=1 if quick else 3) for n in (COLUMNS[:4] if quick else COLUMNS)]
    n = np.log([row["columns"] for row in rows])
    powers = {
        key: float(np.polyfit(n[1:], np.log([row[key] for row in rows][1:]), 1)[0])
        for key in rows[0]
        if key.endswith((", s", "MB"))
    }
    return [*rows, {key: powers.get(key) for key in rows[0]} | {"columns": "exponent from 1024"}]


def _row(n_columns, repeat):
    image = make_slit(0, shape=(N_ROWS, n_columns)).image
    automatic = sm.OptimalExtraction(n_sources=1)
    linear = automatic(image).fit.template
    for name in linear.param_names:
        getattr(linear, name).fixed = getattr(linear, name).fixed or not _is_linear(linear, name)
    fits = {
        "automatic": lambda: automatic(image),
        "linear": lambda: sm.LinearFitter()(linear, image),
    }
    found = costs(fits, repeat=repeat)
    size = memory.input_megabytes(image)
    row = {"columns": n_columns}
    for name, function in fits.items():
        peak, kept = measured_memory(function)
        row[f"{name}, s"] = found[name].cpu
        row[f"{name}, µs per column"] = 1e6 * found[name].cpu / n_columns
        row[f"{name}, peak MB"] = peak
        row[f"{name}, (peak - result) / input"] = (peak - kept) / size
    return row


def _is_linear(model, name):
    return name in sm.linear_parameters(model)
