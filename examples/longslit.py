"""From a raw long-slit exposure, a bias and an arc to spectra, in one fit and without resampling.

``specreduce`` finds the arc's lines, how they tilt and bend along the slit, and which wavelengths
they have; specmodels takes the wavelength of each pixel from it, and fits sources and sky to the
pixels as they were read. The lines below are those of a mercury-argon lamp in a red grism, the
exposure that of GTC/OSIRIS which comes with the documentation of specreduce:

    python longslit.py osiris_tres_3b.fits.bz2 osiris_bias.fits.bz2 osiris_arc_HgAr.fits.bz2
"""

import argparse
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from specreduce.tilt_correction import TiltCorrection
from specreduce.wavecal1d import WavelengthCalibration1D
from specutils import Spectrum

import specmodels as sm

ROWS = slice(230, 320)  # of the slit, about the star
STAR_ROW = 274
GAIN = 1.0  # electrons per count
# Vacuum wavelengths of the lamp, and the columns of four lines, by eye.
LINES = [5462.27, 5772.19, 5792.27, 6967.35, 7069.17, 7274.94, 7386.01, 7505.94, 7637.21, 7725.9,
         7950.36, 8016.99, 8105.92, 8117.54, 8266.79, 8410.52, 8426.96, 8523.78, 8670.32, 9125.47,
         9227.03, 9356.80, 9660.43]  # fmt: skip
SEEN = {86.7: 5462.27, 404.8: 6967.35, 533.3: 7637.21, 802.5: 9125.47}
FWHM = 4.0  # of lines, in columns


def wavelengths(lamp, error):
    """Wavelength of a pixel, a function of column and row, from the frame of a lamp."""
    arc = CCDData(lamp, unit=u.count, uncertainty=StdDevUncertainty(error))
    tilt = TiltCorrection(
        arc, cdisp_ref_pixel=STAR_ROW, n_cdisp_samples=15, cdisp_sample_lims=(80, len(lamp) - 12)
    )
    tilt.find_arc_lines(FWHM, noise_factor=10)
    columns = tilt.fit(degree=3).d2c
    near = np.s_[STAR_ROW - 2 : STAR_ROW + 3]
    lines = Spectrum(
        lamp[near].sum(axis=0) * u.count,
        uncertainty=StdDevUncertainty(np.sqrt(np.sum(error[near] ** 2, axis=0))),
    )
    calibration = WavelengthCalibration1D(lines, line_lists=[np.array(LINES)])
    calibration.find_lines(FWHM, noise_factor=50)
    calibration.fit_lines(list(SEEN), list(SEEN.values()), degree=3, refine_fit=False)
    calibration.refine_fit(degree=3, max_match_distance=6)
    return lambda x, y: calibration.solution.pix_to_wav(columns(x, y)) * u.AA


def read_slit(science, bias, arc):
    """The slit about the star: counts less the bias, variance and wavelength of each pixel."""
    science, bias, arc = (fits.getdata(path).astype(float) for path in (science, bias, arc))
    steps = np.diff(bias, axis=1)  # the bias level drifts along the rows: neighbours tell the noise
    read_noise = 1.4826 * np.median(np.abs(steps)) / np.sqrt(2)

    def variance(counts):
        """Of counts less a single bias frame: photons, and two times the noise of the readout."""
        return np.clip(counts, 0, None) / GAIN + 2 * read_noise**2

    lamp, counts = arc - bias, science - bias
    exposure = sm.read(
        counts * u.count,
        variance=variance(counts),
        wavelength=wavelengths(lamp, np.sqrt(variance(lamp))),
        name="star",
    )
    return exposure.single.cutout(rows=ROWS)


def main(science, bias, arc, folder="."):
    """Extract all that is seen near the star, and write spectra and a figure."""
    result = sm.OptimalExtraction()(read_slit(science, bias, arc))
    print(result)
    print(result.report()["source", "status", "snr", "row", "fwhm"])
    folder = Path(folder)
    sm.write(result, folder / "star_spectra.fits", overwrite=True)
    result.plot().savefig(folder / "star_spectra.png")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("science")
    parser.add_argument("bias")
    parser.add_argument("arc")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
