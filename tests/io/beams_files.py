"""Small beams files with their truth, written without the package."""

from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from scipy.special import erf

LABEL, CENTER, WIDTH, NOISE = 7, (15.3, 14.6), 1.3, 0.02
SHAPE, DIRECT, ORIGIN = (32, 130), (32, 32), 12.0
BRIGHT = 0.8
FIRST, STEP, TILT, RISE = 8000.0, 40.0, 0.02, 0.8  # of the trace, Angstrom and pixels


@dataclass
class Truth:
    """What was put into a file: light of each column step, and that of neighbours."""

    wavelength: np.ndarray
    light: np.ndarray
    others: np.ndarray


def pixels_of(center, width, shape):
    """Image of a Gaussian with the sum one, integrated over pixels."""
    edges = [(np.arange(n + 1) - 0.5 - c) / (width * np.sqrt(2)) for n, c in
             zip(shape, center, strict=True)]  # fmt: skip
    rows, columns = (np.diff(erf(edge)) / 2 for edge in edges)
    return rows[:, None] * columns


def spectrum(wavelength):
    """A continuum with a line."""
    return 1 + 0.3 * (wavelength / 1e4 - 1) + 2 * np.exp(-0.5 * ((wavelength - 10500) / 80) ** 2)


def response(wavelength):
    """Smooth, zero outside of the band."""
    return np.clip(np.minimum(wavelength - 8600, 11600 - wavelength) / 300, 0, 1)


def write_beams(path, *, table=False, bend=0.0, seed=0, grisms=("G102", "X9"), contam=1.0,
                sensitive=True):  # fmt: skip
    """Write a file of two cutouts of one source; return their truths."""
    rng, hdus, truths = np.random.default_rng(seed), [fits.PrimaryHDU()], []
    header = hdus[0].header
    header["ID"], header["COUNT"] = LABEL, len(grisms)
    reference = 50 * pixels_of(CENTER, WIDTH, DIRECT)
    segments = np.where(reference > 0.05, LABEL, 0)
    for k, grism in enumerate(grisms):
        header[f"FILE{k:04d}"], header[f"GRIS{k:04d}"] = f"parent{k}.fits", grism
        header[f"NEXT{k:04d}"] = 7 if table else 6
        steps = np.arange(-5, SHAPE[1] + 5, 0.25) - CENTER[1]
        wavelength = FIRST + STEP * steps
        rows = RISE + TILT * steps + bend * (steps / 100) ** 2
        band = response(wavelength) if sensitive else np.ones_like(wavelength)
        light = 0.25 * spectrum(wavelength) * band * BRIGHT
        own = sum(one * pixels_of((CENTER[0] + row, CENTER[1] + step), WIDTH, SHAPE)
                  for one, row, step in zip(light, rows, steps, strict=True))  # fmt: skip
        others = 2.0 * pixels_of((8.0, 60.0), 12.0, SHAPE) * 100
        data = own + others + NOISE * rng.normal(size=SHAPE)
        truths.append(Truth(wavelength, light / 0.25, others))
        flags = np.zeros(SHAPE, "i2")
        flags[3, 5] = 4096
        data[3, 5] = 1e4
        words = {"FILTER": grism, "BUNIT": "ELECTRONS/S"}
        wcs = {"WCSNAMEE": "BeamLinear2D", "CRPIX1E": CENTER[1] + 1, "CRPIX2E": CENTER[0] + 1,
               "CRVAL1E": FIRST, "CRVAL2E": -RISE, "PC1_1E": STEP, "PC2_1E": -TILT,
               "CDELT1E": 1.0, "CUNIT1E": "m"}  # fmt: skip
        images = {"REF": reference + 0.02 * rng.normal(size=DIRECT), "SEG": segments, "SCI": data,
                  "ERR": np.full(SHAPE, NOISE), "DQ": flags, "CONTAM": contam * others}  # fmt: skip
        for name, image in images.items():
            kind = {"SEG": "i4", "DQ": "i2"}.get(name, "f4")
            hdu = fits.ImageHDU(image.astype(kind), name=name)
            hdu.header.update(words | (wcs if name not in ("REF", "SEG") else {"BEAM": "A"}))
            hdus.append(hdu)
        if table:
            columns = np.arange(SHAPE[1]) - CENTER[1]
            at = FIRST + STEP * columns
            trace = CENTER[0] + 1 + RISE + TILT * columns + bend * (columns / 100) ** 2
            hdus.append(fits.BinTableHDU.from_columns(
                [fits.Column("wavelength", "E", array=at), fits.Column("trace", "E", array=trace),
                 fits.Column("sensitivity", "E", array=response(at))], name="TRACE",
            ))  # fmt: skip
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return truths
