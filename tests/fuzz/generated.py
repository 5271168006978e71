"""Random input of all kinds, and what may come of it: a result as documented, or a refusal.

``SPECMODELS_FUZZ`` is the number of inputs of each job, few by default, or, as ``4000:5000``, their
first number and the one after the last.
"""

import os
import re
import warnings

import numpy as np
from astropy import units as u

import specmodels as sm


def seeds(default):
    """Numbers of the inputs to try."""
    ends = os.environ.get("SPECMODELS_FUZZ", str(default)).split(":")
    return range(*map(int, ends))


SEEDS = seeds(12)
DTYPES = ("f4", "f8", "i2", "i4", "u2", ">f4", ">f8")
UNITS = (None, "MJy / sr", "Jy", "electron / s", "DN / s")


def shape_of(rng, rows=40, columns=120):
    """Rows and columns, small ones among them."""
    if rng.random() < 0.2:
        return int(rng.integers(1, 6)), int(rng.integers(1, 12))
    return int(rng.integers(8, rows)), int(rng.integers(20, columns))


def masked(rng, shape):
    """Mask of scattered pixels, rows, columns, corners, or all."""
    mask = rng.random(shape) < rng.choice([0.0, 0.0, 0.02, 0.3, 0.95])
    kind = rng.integers(8)
    if kind == 0:
        mask[rng.integers(shape[0]) :][: rng.integers(1, 6)] = True
    elif kind == 1:
        mask[:, rng.integers(shape[1]) :][:, : rng.integers(1, 6)] = True
    elif kind == 2:
        mask[: shape[0] // 2, : shape[1] // 2] = True
    elif kind == 3 and rng.random() < 0.3:
        mask[:] = True
    return mask


def spoilt(rng, data):
    """Data with numbers that are none, extremes, another type or scale."""
    data = np.array(data) * rng.choice([1.0, 1.0, 1.0, 1e-20, 1e-8, 1e8, 1e20, -1.0, 0.0])
    if rng.random() < 0.4:
        value = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e30])
        data[rng.random(data.shape) < rng.choice([0.01, 0.2])] = value
    dtype = DTYPES[rng.integers(len(DTYPES))]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return data.astype(dtype)


def variances(rng, light):
    """Variances: none, right, constant, or with zeros, signs and numbers that are none."""
    kind = rng.integers(6)
    if kind == 0:
        return None
    out = np.abs(np.nan_to_num(np.array(light, dtype=float), posinf=1.0, neginf=1.0)) + 1.0
    if kind == 1:
        out[:] = rng.choice([1.0, 1e-30, 1e30])
    elif kind == 2:
        out[rng.random(out.shape) < 0.1] = rng.choice([0.0, -1.0, np.nan, np.inf])
    elif kind == 3:
        out *= rng.choice([1e-6, 1e6])
    return out


def unit_of(rng):
    """A unit or none."""
    name = UNITS[rng.integers(len(UNITS))]
    return None if name is None else u.Unit(name)


def outcome(function, *arrays):
    """What a call returns, or None where it refuses; anything else is raised.

    A refusal says what was expected or why; the input has to stay as it was.
    """
    before = [np.array(a) for a in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            out, told = function(), "refused nothing"
        except (TypeError, ValueError, OSError) as error:
            out, told = None, str(error)
    assert re.search(r"\w+ \w+", told), told
    assert not re.search(r"broadcast|reshape|zero-size|out of bounds", told), told
    for one, other in zip(before, arrays, strict=True):
        np.testing.assert_array_equal(one, other)
    return out


def result_of(job, rng, data, given):
    """`outcome` of a job on an image of some data, with what else is given for it."""

    def run():
        with np.errstate(all="ignore"):
            return job(sm.SpectralImage(data, unit=unit_of(rng), **given))

    return outcome(run, data, *(a for a in given.values() if a is not None))


def check_errors(values, errors):
    """No finite value has an error of zero, or one that is negative or no number."""
    known = np.isfinite(values)
    assert not np.any(known & ~(np.asarray(errors) > 0)), "a finite value without an error"
