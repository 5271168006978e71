"""Remove flicker (1/f) noise from a ramp, rates or an image.

The file is a JWST ramp, rateints or rate; without one, a ramp is simulated and compared with its
truth. The cleaned data, the mask and a figure are written to the folder, by default to the current
one.
"""

import argparse
from pathlib import Path

import numpy as np

import specmodels as sm


def main(file=None, folder="."):
    """Clean the data, and write them and a figure."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if file is None:
        data, truth = sm.datasets.make_flicker(n_groups=4, n_integrations=2)
        name = "simulated"
    else:
        data, truth, name = Path(file), None, Path(file).stem
    result = sm.FlickerNoiseSubtraction()(data)
    print(result)
    result.report().pprint_all()
    if truth is not None:
        compare(result, truth)
    path = sm.write(result, Path(folder) / f"{name}_clean.fits", overwrite=True)
    result.plot().savefig(Path(folder) / f"{name}_clean.png")
    print(f"wrote {path}")


def compare(result, truth):
    """Print the noise before and after in the differences of groups."""
    use = result.background_mask
    before = np.diff(truth.noise, axis=1)
    after = before - np.diff(result.noise, axis=1)
    print(f"flicker noise of a difference: {before[..., use].std():.3f} before, "
          f"{after[..., use].std():.3f} after; quoted "
          f"{np.sqrt(result.variance[use].mean()):.3f}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
