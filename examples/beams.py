"""Model the spectrum of one source behind a grism, from a beams file, and predict pixels unseen.

A fifth of the pixels is hidden from the fit; chi-square of these tells whether shape, trace and
contamination are right. Without a file, a source of a simulated field is taken, the light of its
neighbours being known up to its level. A table of spectra for each cutout, and a figure, are
written to the folder.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import specmodels as sm

HIDDEN = 0.2  # of the pixels
LIT = 0.05  # of the brightest pixel of the model: where chi-square is taken


def simulated():
    """One source of a small field: its name, scene and exposure."""
    exposure, truth = sm.datasets.make_slitless(seed=7)
    selection = sm.SourceSelection(labels=[8])
    own = sm.GrismScene.from_direct_image(
        truth.observed_direct, grism=truth.grism, selection=selection
    )
    others = truth.image - truth.scene.image(8)
    cutout = next(cutout for cutout in exposure.cutouts if cutout.label == 8)
    seen = sm.SlitlessExposure(exposure.data, exposure.variance, cutouts=[cutout])
    return [("simulated", own.with_image(others), seen)]


def from_file(path, shift):
    """The same of all cutouts of a file."""
    beams = [beam.shifted(*shift) for beam in sm.read(path).beams.values()]
    return [(beam.name, beam.scene(), beam.exposure) for beam in beams]


def hidden_chi2(scene, exposure, seed=0):
    """Chi-square per pixel of lit pixels that the fit has not seen."""
    hidden = np.random.default_rng(seed).random(exposure.shape) < HIDDEN
    seen = sm.SlitlessExposure(exposure.data, exposure.variance, exposure.mask | hidden,
                               known_light=exposure.known_light)  # fmt: skip
    model = sm.SceneFitter(ridge=6)(scene, seen).scene.simulated_image
    tested = hidden & ~exposure.mask & (model > LIT * model.max())
    left = exposure.data - exposure.known_light - model
    return float(np.mean(left[tested] ** 2 * exposure.weights[tested]))


def draw(results):
    """Data, contamination, what is left, and the spectrum of each cutout, one below the other."""
    figure = plt.figure(figsize=(11, 2.2 * len(results)), layout="constrained")
    for (name, result), part in zip(
        results.items(), np.atleast_1d(figure.subfigures(len(results))), strict=True
    ):
        result.plot(figure=part)
        part.suptitle(name)
    return figure


def main(path=None, folder=".", shift=(0.0, 0.0)):
    """Fit each cutout, tell chi-square of hidden pixels, and write spectra and a figure."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, scene, exposure in from_file(path, shift) if path else simulated():
        chi2 = np.mean([hidden_chi2(scene, exposure, seed) for seed in range(5)])
        print(f"{name}: chi2 of hidden pixels {chi2:.3f}")
        results[name] = sm.ContaminationSubtraction(scene)(exposure)
        sm.write(results[name], folder / f"{name}_spectra.fits", overwrite=True)
    draw(results).savefig(folder / "beams.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", help="a beams file; default: a simulated field")
    parser.add_argument("--folder", default=".")
    parser.add_argument(
        "--shift", nargs=2, type=float, default=(0.0, 0.0), metavar=("X", "Y"),
        help="columns and rows by which the traces of the file are off",
    )  # fmt: skip
    arguments = parser.parse_args()
    main(arguments.path, arguments.folder, arguments.shift)
