"""Keck/DEIMOS as an instrument of one's own: the slits of the DEEP2 survey.

The file is a slit of the survey, such as ``slit.1210.072B.fits.gz``.
"""

import argparse

import numpy as np
from astropy import units as u

import specmodels as sm


class Deimos(sm.Instrument, key=("DEIMOS", "DEEP2")):
    """Sky-subtracted slits of DEEP2, each in the cells of a table with one row."""

    @classmethod
    def recognises(cls, header):
        """The files do not say INSTRUME, but which reduction made them."""
        return "SP2DVERS" in header and "SLITNO" in header

    def read(self, hdus):
        """The first table: rows along the slit, dispersion along the last axis."""
        slit, header = hdus[1].data[0], hdus[1].header
        good = slit["IVAR"] > 0
        return self.image(
            slit["FLUX"],
            variance=np.divide(1, slit["IVAR"], out=np.full(good.shape, np.inf), where=good),
            mask=~good | (slit["MASK"] != 0),
            wavelength=(slit["LAMBDA0"] + slit["DLAMBDA"]) * u.AA,
            unit=u.count / u.hour,
            name=f"slit {header['SLITNO']}",
        )


def main(file, folder="."):
    """Extract one slit as in ``extraction.py``, which needs to know nothing of DEIMOS."""
    from extraction import main as extract

    extract(file, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
