"""Remove flicker (1/f) noise from a ramp or a rate image.

Usage::

    python examples/flicker.py [FILE [FOLDER]]

The file is a JWST ramp or rate; without one, an image is simulated. The cleaned data and a figure
are written to the folder, by default the current one.
"""

import sys
from pathlib import Path

import numpy as np

import specmodels as sm


def simulated(shape=(256, 512), seed=1):
    """An image with a few sources, lines with offsets, and white noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = sum(50 * np.exp(-0.5 * ((y - b) ** 2 + (x - a) ** 2) / 9)
                for a, b in rng.uniform(20, min(shape) - 20, (5, 2)))  # fmt: skip
    return light + rng.normal(size=shape) + rng.normal(size=(shape[0], 1)).astype("f4")


def main(file=None, folder="."):
    """Clean the data, and write them and a figure."""
    data = simulated() if file is None else file
    name = "simulated" if file is None else Path(file).stem
    model = sm.LineMedian(by_output=False) if file is None else sm.CorrelatedNoise()
    result = sm.FlickerNoiseSubtraction(model)(data)
    print(result)
    print(result.report())
    cleaned = result.to_source()
    if hasattr(cleaned, "save"):
        path = Path(folder) / f"{name}_clean.fits"
        cleaned.save(str(path))
    else:
        path = Path(folder) / f"{name}_clean.npy"
        np.save(path, cleaned)
    result.plot().savefig(Path(folder) / f"{name}_clean.png")
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
