"""Remove the light of neighbours from the cutouts of a grism exposure.

The files are a JWST MultiSlitModel after extraction of the cutouts and before the flux calibration,
the direct image, its segmentation map, and the reference files of photometry and wavelength ranges;
without them, a field is simulated. Cleaned cutouts, a table and a figure are written to the folder,
by default the current one.
"""

import argparse
from pathlib import Path

import specmodels as sm
from specmodels.io import jwst_scene


def simulated():
    """A small field, with the scene of its sources."""
    exposure, truth = sm.datasets.make_slitless(seed=7, n_sources=14)
    return exposure, sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)


def main(*files, folder="."):
    """Clean the cutouts, and write them, a table and a figure."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    data, scene = (files[0], jwst_scene(*files)) if files else simulated()
    print(scene)
    result = sm.ContaminationSubtraction(scene, sm.SceneFitter(joint=not files))(data)
    print(result)
    report = result.report()
    report.pprint_all()
    name = Path(files[0]).stem if files else "simulated"
    report.write(Path(folder) / f"{name}_contamination.ecsv", overwrite=True)
    result.plot().savefig(Path(folder) / f"{name}_contamination.png")
    if files:
        result.to_source().save(str(Path(folder) / f"{name}_clean.fits"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ("cutouts", "direct", "segmentation", "photom", "ranges")
    parser.add_argument("files", nargs="*", help=", ".join(names))
    parser.add_argument("--folder", default=".")
    arguments = parser.parse_args()
    if len(arguments.files) not in (0, len(names)):
        parser.error(f"expected {len(names)} files, {', '.join(names)}, or none")
    main(*arguments.files, folder=arguments.folder)
