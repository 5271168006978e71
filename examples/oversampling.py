"""Model the trace of slices or slits, oversample the light along them, and fill bad pixels.

The file is a JWST ``cal`` product of an integral field unit or a slit; without one, a slit is
simulated. The oversampled exposure and a figure are written to the folder, by default the current
one.
"""

import argparse
from pathlib import Path

import numpy as np

import specmodels as sm


def main(file=None, folder="."):
    """Oversample by two, and write the exposure and a figure."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    slit, truth = sm.datasets.make_undersampled_slit()
    name = "simulated" if file is None else Path(file).stem
    oversample = sm.TraceOversampling(factor=2)
    result = oversample(slit if file is None else file)
    print(result)
    result.report().pprint_all()
    if file is None:
        error = (result.data - truth.oversampled) / truth.oversampled.max(axis=0)
        print(f"error over the core: {np.sqrt(np.mean(error[truth.core] ** 2)):.4f} of the peak")
    path = sm.write(result, Path(folder) / f"{name}_oversampled.fits", overwrite=True)
    result.plot().savefig(Path(folder) / f"{name}_oversampled.png")
    print(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
