"""Draw the figures of real data on the page about optimal extraction.

Run ``python docs/figures/extraction.py FOLDER``, where the folder holds the data; by default the
one next to the repository. The data are no part of the repository, the figures are. They are from

* ``slit.1210.072B.fits.gz``: a slit of the DEEP2 survey (Keck/DEIMOS), with the survey's own
  spectrum ``spec1d.1210.072.12020387.fits``; from the package mosviz of the STScI (BSD-3-Clause).
* ``jw01345062001_03101_00001_nrs2_phot.138.1345_933.fits``: a slitlet of JWST NIRSpec, from the
  package msaexp (MIT licence).
"""

import sys
from pathlib import Path

import matplotlib
from astropy.table import Table

import specmodels as sm

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "docs" / "_static"
DATA = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT))

from examples.deimos import Deimos  # noqa: E402, F401 (registers the instrument)


def draw_deimos(folder):
    """A DEEP2 slit, with the spectrum that the survey published."""
    result = sm.OptimalExtraction()(sm.read(folder / "slit.1210.072B.fits.gz"))
    published = Table.read(folder / "spec1d.1210.072.12020387.fits", hdu="Bxspf-B")[0]
    figure = result.plot()
    ax = figure.axes[-1]
    ax.plot(published["LAMBDA"], published["SPEC"], "tab:blue", lw=0.4, zorder=2,
            label="survey, sum of 11 rows")  # fmt: skip
    ax.legend(fontsize="x-small")
    figure.savefig(STATIC / "extraction_deimos.png", dpi=100)


def draw_nirspec(folder):
    """A NIRSpec slitlet of three shutters: a galaxy, of which there is little but lines."""
    name = "jw01345062001_03101_00001_nrs2_phot.138.1345_933.fits"
    extract = sm.OptimalExtraction(profile=sm.GaussianProfile(), trace_degree=0)
    result = extract(sm.read(folder / name, name="slitlet 138"))
    result.plot().savefig(STATIC / "extraction_nirspec.png", dpi=100)


def main(folder=DATA):
    """Draw all figures."""
    matplotlib.use("agg")
    draw_deimos(Path(folder) / "extraction")
    draw_nirspec(Path(folder) / "mos")


if __name__ == "__main__":
    main(*sys.argv[1:2])
