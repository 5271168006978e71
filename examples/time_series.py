"""From a file of many integrations of one star to its light curves, and what to detrend them with.

The file holds integrations of a spectrum, as a JWST ``calints`` or ``rateints``; without one, a
transit is simulated, written as a ``calints`` file of NIRSpec's bright object mode, read back, and
compared with its truth. Written to the folder: spectra of all integrations as a JWST ``x1dints``
product, light curves in bands and what moved as tables, and a figure.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.stats import mad_std
from astropy.table import QTable, hstack
from stdatamodels.jwst import datamodels

import specmodels as sm

START = 60000.0  # MJD of the simulated transit


def simulate(path):
    """Write a transit as a file of the archive would hold it; returns its truth."""
    series, truth = sm.datasets.make_time_series(
        seed=3, n_integrations=60, shape=(32, 400), snr=200.0, depth=0.012, motion=0.1
    )
    header = fits.Header({"TELESCOP": "JWST", "INSTRUME": "NIRSPEC", "DETECTOR": "NRS1",
                          "EXP_TYPE": "NRS_BRIGHTOBJ", "GRATING": "PRISM", "FILTER": "CLEAR",
                          "TARGNAME": "STAR"})  # fmt: skip
    model = datamodels.SlitModel(fits.HDUList([fits.PrimaryHDU(header=header)]))
    model.data = np.array([np.nan_to_num(image.data) for image in series])
    model.err = np.array([np.sqrt(image.variance) for image in series])
    model.dq = np.array([image.mask for image in series])  # a pixel not to be used has an odd flag
    model.wavelength = np.broadcast_to(series.first.wavelength, series.shape[1:])
    model.name, model.xstart, model.ystart = "S1600A1", 1, 1
    model.xsize, model.ysize = series.shape[:0:-1]
    model.meta.wcsinfo.dispersion_direction = 1
    model.meta.bunit_data, model.meta.exposure.integration_start = "DN/s", 1
    kinds = model.get_dtype("int_times")
    times = np.zeros(len(series), dtype=kinds)
    times["integration_number"] = np.arange(len(series)) + 1
    times["int_mid_MJD_UTC"] = START + series.times
    times["int_mid_BJD_TDB"] = START + series.times + 0.002
    model.int_times = times
    model.save(path)
    return truth


def main(file=None, folder=".", n_bands=6):
    """Extract all integrations, and write spectra, light curves and a figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth = None
    if file is None:
        file = folder / "simulated_calints.fits"
        truth = simulate(file)
    name = Path(file).name.removesuffix(".fits").removesuffix("_calints")
    result = sm.OptimalExtraction(n_sources=1)(file)
    print(result)
    result.report().pprint_all()
    white, bands, moved = result.white_light(), result.light_curves(n_bands), result.movements()
    # Of neighbours in time, so that a transit does not count.
    scatter = mad_std(np.diff(white["flux"].value)) / np.sqrt(2) / np.mean(white["flux"].value)
    quoted = np.median(white["flux_error"] / white["flux"])
    print(f"white light: scatter {1e6 * scatter:.0f} ppm, quoted {1e6 * quoted:.0f} ppm")
    if truth is not None:
        compare(result, white, truth)
    paths = [sm.write(result, folder / f"{name}_x1dints.fits", format="jwst", overwrite=True)]
    for kind, table in {
        "lightcurves": bands,
        "movements": hstack([white, moved["shift", "stretch", "background"]]),
    }.items():
        paths.append(folder / f"{name}_{kind}.ecsv")
        QTable(table).write(paths[-1], overwrite=True)
    paths.append(folder / f"{name}_time_series.png")
    result.plot().savefig(paths[-1])
    print("wrote", *paths)
    return result


def compare(result, white, truth):
    """Print how far the white light and the movements are from what was put in."""
    seen = ~result.mask().all(axis=0)
    ratio = white["flux"].value / truth.flux[:, seen].sum(axis=1)
    error = white["flux_error"].value / white["flux"].value
    pull = np.std((ratio / ratio.mean() - 1) / error)
    shift = np.std(result.movements()["shift"] - truth.shift)
    print(f"against the truth: white light {pull:.2f} quoted errors, shift {shift:.4f} pixels")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?")
    parser.add_argument("folder", nargs="?", default=".")
    main(**vars(parser.parse_args()))
