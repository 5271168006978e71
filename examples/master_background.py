"""Subtract one sky, fitted to all background slits, from every slit of an exposure.

The file is a JWST product with several slits, some of which are background slits; without one,
micro-shutter slitlets are simulated, of which one background slitlet holds a source. The slits
without sky, the sky and two figures are written to the folder, by default the current one.
"""

import argparse
from pathlib import Path

import numpy as np

import specmodels as sm


def main(file=None, folder="."):
    """Subtract the sky, and write the slits, the sky and figures."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    folder = Path(folder)
    if file is None:
        exposure, truth = sm.datasets.make_slitlets(seed=7, contaminated=1)
        subtract = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)
        name = "simulated"
    else:
        exposure, truth = file, None
        subtract = sm.MasterBackgroundSubtraction()
        name = Path(file).stem
    result = subtract(exposure)
    print(result)
    result.report().pprint_all()
    result.residuals.pprint_all()
    if truth is not None:
        error = [result.background(slit) / truth.backgrounds[slit] - 1
                 for slit in result.exposure if slit.startswith("target")]  # fmt: skip
        print(f"error of the sky under the targets: {np.nanstd(error):.2%}")
    path = folder / f"{name}_subtracted.fits"
    subtracted = result.to_source()
    if hasattr(subtracted, "save"):
        subtracted.save(str(path))
    else:
        sm.write(subtracted, path, overwrite=True)
    sm.write(result, folder / f"{name}_sky.fits", overwrite=True)
    result.plot().savefig(folder / f"{name}_sky.png")
    last = list(result.exposure)[-1]
    result.plot_slit(last).savefig(folder / f"{name}_slit.png")
    print(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
