"""Extract the spectra in a file, by default from the real JWST MIRI image of specreduce.

The spectra (FITS) and a figure (PNG) are written to the folder, by default the current one.
"""

import argparse
import sys
from importlib import resources, util
from pathlib import Path

import matplotlib

import specmodels as sm

MIRI_IMAGE = "tests/data/transposed_det_image_seq5_MIRIMAGE_P750Lexp1_s2d.fits"


def example_file():
    """Path of the image that is part of the specreduce package."""
    if util.find_spec("specreduce") is None:
        sys.exit(
            "The example image is part of specreduce, which is not installed. Install it "
            '(python -m pip install ".[quickstart]"), or name a file of your own:\n'
            "    python examples/extraction.py FILE"
        )
    return Path(str(resources.files("specreduce"))) / MIRI_IMAGE


def extract(file, folder):
    """Extract all spectra in a file; write them, with a figure, to a folder."""
    exposure = sm.read(file)
    result = sm.OptimalExtraction()(exposure)

    Path(folder).mkdir(parents=True, exist_ok=True)
    stem = Path(folder, Path(file).name.split(".fits")[0])
    spectrum = sm.write(result, f"{stem}_spectrum.fits", overwrite=True)
    figure = f"{stem}_spectrum.png"
    result.plot().savefig(figure, dpi=110)
    return result, spectrum, Path(figure)


def main(file=None, folder="."):
    """Extract, and say how it went and where the files are."""
    matplotlib.use("agg")  # figures go to files, with no window
    result, spectrum, figure = extract(file or example_file(), folder)
    for row in result.report():
        remark = f" ({row['reason']})" if row["reason"] else ""
        print(f"{row['source']}: {row['status']}{remark}, S/N {row['snr']:.1f} per column")
    print("spectrum:", spectrum.resolve())
    print("figure:  ", figure.resolve())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
