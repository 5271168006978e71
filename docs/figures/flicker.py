"""Draw the figure of real data on the page about flicker noise.

Run ``python docs/figures/flicker.py FOLDER``, where the folder holds the data; by default the one
next to the repository. The data are no part of the repository, the figure is. They are

* ``F277W.npy``: a stack of NIRISS SOSS frames through the filter F277W, which has no stripes left;
  noise is put in here. From the package exoTEDRF (BSD-3-Clause).
* ``jw00793001001_01101_00001_nis_uncal.fits``: a NIRISS SUB80 ramp, simulated by others with the
  mission's simulator; from the package ImPlaneIA (BSD-3-Clause).
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

import specmodels as sm
from specmodels.numerics.correlated import CorrelatedSystem, TimeGrid
from specmodels.numerics.noise_spectrum import PowerLaws
from specmodels.ramp import Ramp

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "docs" / "_static"
DATA = ROOT.parent / "shared" / "data" / "flicker"
SOSS_READOUT = sm.Readout(fast_axis=-2, fast_direction=-1, slow_direction=-1, line_overhead=12)


def injected(image, seed=1):
    """The image with 1/f noise whose spectrum meets the image's own white noise at 1/50."""
    n_output, n_line, width = SOSS_READOUT.frame_shape(image.shape)
    change = np.diff(image, axis=0)
    white = 0.5 * (1.48 * np.nanmedian(np.abs(change - np.nanmedian(change)))) ** 2
    laws = PowerLaws(separate=(white / 25, 1.0), white=white)
    grid = TimeGrid(n_line, width, SOSS_READOUT.overhead)
    system = CorrelatedSystem(*laws.spectra(grid.frequency), white, n_output, grid.size)
    noise = SOSS_READOUT.image(grid.frames(system.draw(np.random.default_rng(seed))))
    return image + noise, noise


def clean_soss(folder):
    """Result, the noise that was put in, and what is left of it.

    The frames have correlated noise of their own, which is found without any put in.
    """
    image = np.load(folder / "F277W.npy").astype("f4")
    image[252:] = np.nan  # reference pixels
    data, noise = injected(image)
    clean = sm.FlickerNoiseSubtraction()
    own, result = (clean(Ramp(frame, SOSS_READOUT, mask=~np.isfinite(image), dispersion_axis=-1))
                   for frame in (image, data))  # fmt: skip
    return result, noise, noise - (result.noise - own.noise)


def draw(folder):
    """Before and after, of both; RMS of the noise put in, before and after."""
    import matplotlib.pyplot as plt

    result, noise, left = clean_soss(folder)
    use = result.background_mask
    ramp = sm.FlickerNoiseSubtraction()(folder / "jw00793001001_01101_00001_nis_uncal.fits")
    figure = plt.figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplot_mosaic([["a", "a", "c"], ["b", "b", "d"]])
    soss, sub = result.scenes[0], ramp.scenes[0]
    images = {"a": (soss.rate, "SOSS, noise put in", use),
              "b": (soss.rate - soss.noise, "cleaned", use),
              "c": (sub.rate, "SUB80 ramp, draft rate", sub.use),
              "d": (sub.rate - sub.noise, "cleaned", sub.use)}  # fmt: skip
    for key, (image, title, dark) in images.items():
        low, high = np.percentile(image[dark], [2, 98])
        panels[key].imshow(image, vmin=low, vmax=high + (high - low), origin="lower",
                           aspect="auto", cmap="gray", interpolation="nearest")  # fmt: skip
        panels[key].set_title(title)
    figure.savefig(STATIC / "flicker.png", dpi=80)
    return noise[use].std(), left[use].std()


if __name__ == "__main__":
    matplotlib.use("agg")
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
