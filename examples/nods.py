"""One spectrum of a source from several nods, in one fit to the pixels of all of them.

The files hold exposures of one slit in which the source was moved along it: NIRSpec slitlets, or
anything that ``sm.read`` understands. Without files, three nods in a tilted slit are simulated,
written as NIRSpec slitlets, read back, and compared with their truth. Written to the folder: the
spectrum as a JWST ``x1d`` product, a table of what each exposure brings, and a figure.

    python nods.py jw..._00001_..._phot.fits jw..._00002_..._phot.fits
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.io import fits
from stdatamodels.jwst import datamodels

import specmodels as sm

MJY = 1e-14  # of an electron of the simulated exposures


def simulate(folder):
    """Write nods as files of the archive would hold them; returns the files and the truth."""
    nods, truth = sm.datasets.make_nods(seed=4)
    header = fits.Header({"TELESCOP": "JWST", "INSTRUME": "NIRSPEC", "DETECTOR": "NRS1",
                          "EXP_TYPE": "NRS_MSASPEC", "GRATING": "G140M", "FILTER": "F100LP",
                          "TARGNAME": "GALAXY"})  # fmt: skip
    paths = []
    for number, exposure in enumerate(nods.values()):
        image = exposure.single
        model = datamodels.SlitModel(fits.HDUList([fits.PrimaryHDU(header=header)]))
        model.data = MJY * np.nan_to_num(image.data)
        model.err = MJY * np.sqrt(image.variance)
        model.dq = np.array(image.mask)  # a pixel not to be used has an odd flag
        model.wavelength = image.wavelength
        model.name, model.source_id, model.source_name = "s7", 7, "galaxy"
        model.ysize, model.xsize = image.shape
        model.xstart = model.ystart = 1
        model.meta.wcsinfo.dispersion_direction = 1
        model.meta.bunit_data = "MJy"
        paths.append(folder / f"simulated_nod{number + 1}_cal.fits")
        model.save(paths[-1])
    return paths, truth


def main(files=(), folder="."):
    """Extract all nods together, and write the spectrum, a table and a figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    truth, name = None, "nods"
    if not files:
        files, truth = simulate(folder)
        name = "simulated"
    result = sm.OptimalExtraction(n_sources=1)(list(files))
    print(result)
    result.report()["source", "status", "reason", "snr", "chi2_dof"].pprint_all()
    exposures = result.exposures()
    columns = "exposure", "row", "fwhm", "shift", "throughput", "share", "difference"
    exposures[columns].pprint_all()
    alone = [sm.OptimalExtraction(n_sources=1)(file).table("source") for file in files]
    print("signal-to-noise ratio: together", snr(result.table("source")),
          "alone", [snr(table) for table in alone])  # fmt: skip
    if truth is not None:
        compare(result, truth)
    paths = [folder / f"{name}_{kind}" for kind in ("x1d.fits", "exposures.ecsv", "spectrum.png")]
    sm.write(result, paths[0], format="jwst", overwrite=True)
    exposures.write(paths[1], overwrite=True)
    result.plot().savefig(paths[2])
    print("wrote", *paths)
    return result


def snr(table):
    """Median signal-to-noise ratio of a pixel of the spectrum."""
    use = ~table["mask"]
    return round(float(np.median((table["flux"] / table["flux_error"])[use])), 2)


def compare(result, truth):
    """Print how far the spectrum is from what was put in, in quoted errors."""
    table = result.table("source")
    true = MJY * np.interp(table["wavelength"].value, truth.wavelength, truth.flux)
    pull = ((table["flux"].value - true) / table["flux_error"].value)[5:-5]
    print(f"against the truth: bias {np.mean(pull):.2f}, scatter {np.std(pull):.2f} quoted errors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*")
    parser.add_argument("--folder", default=".")
    main(**vars(parser.parse_args()))
