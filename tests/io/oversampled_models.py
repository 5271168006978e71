"""A small datamodel of two slices with a gwcs, for tests of reading slices and writing maps."""

import gwcs
import numpy as np
from astropy import coordinates
from astropy import units as u
from astropy.modeling import models
from gwcs import coordinate_frames as cf
from gwcs.selector import LabelMapperArray, RegionsSelector
from stdatamodels.jwst import datamodels

import specmodels as sm

ROWS, COLUMNS, GAP = 26, 300, 4


def slices_model(kind="MIR_MRS", seed=1):
    """An IFUImageModel with two slices side by side, its dispersion as the instrument has it.

    Returns
    -------
    model : `~stdatamodels.jwst.datamodels.IFUImageModel`
    truths : list of `~specmodels.datasets.UndersampledTruth`
    """
    slits = [sm.datasets.make_undersampled_slit(seed=seed + k, shape=(ROWS, COLUMNS))
             for k in range(2)]  # fmt: skip
    gap = np.full((GAP, COLUMNS), np.nan)
    regions = np.concatenate([np.full((n, COLUMNS), r) for r, n in
                              ((0, GAP), (1, ROWS), (0, GAP), (2, ROWS), (0, GAP))])  # fmt: skip

    def stacked(first, second):
        return np.concatenate([gap, first, gap, second, gap])

    images = [image for image, _ in slits]
    data = stacked(*(image.data for image in images))
    variance = stacked(*(image.variance for image in images))
    vertical = kind == "MIR_MRS"
    turn = np.transpose if vertical else np.asarray
    model = datamodels.IFUImageModel(turn(data).astype("f4"))
    model.err = turn(np.sqrt(variance)).astype("f4")
    model.var_poisson = turn(0.8 * variance).astype("f4")
    model.var_rnoise = turn(0.2 * variance).astype("f4")
    model.dq = turn(np.where(np.isfinite(data), 0, 1)).astype("u4")
    model.meta.instrument.name = "MIRI" if vertical else "NIRSPEC"
    model.meta.exposure.type = kind
    model.meta.bunit_data = "MJy / sr"
    model.meta.wcs = wcs_of_slices(regions, vertical)
    return model, [truth for _, truth in slits]


def wcs_of_slices(regions, vertical):
    """A gwcs that selects one of two linear transforms by the slice of a pixel."""
    tilt = 6.0 / (COLUMNS - 1)
    selector = {}
    for number, start in ((1, GAP), (2, 2 * GAP + ROWS)):
        # alpha = 0.1 * (row - middle) - tilt * (column - middle); lambda rises with the column.
        alpha = models.Polynomial2D(
            1, c0_0=-0.1 * (start + (ROWS - 1) / 2 - tilt * (COLUMNS - 1) / 2),
            c1_0=-0.1 * tilt, c0_1=0.1,
        )  # fmt: skip
        beta = models.Polynomial2D(1, c0_0=0.3 * number)
        wavelength = models.Polynomial2D(1, c0_0=1.0, c1_0=0.8 / (COLUMNS - 1))
        order = (1, 0) if vertical else (0, 1)
        mapping = models.Mapping(order * 3)
        along = (alpha, beta) if vertical else (beta, alpha | models.Scale(-1))
        selector[number] = mapping | along[0] & along[1] & wavelength
    labels = regions.T if vertical else regions
    transform = RegionsSelector(
        ("x", "y"), ("alpha", "beta", "lam"), selector=selector,
        label_mapper=LabelMapperArray(np.ascontiguousarray(labels)),
    )  # fmt: skip
    detector = cf.Frame2D(name="detector", axes_order=(0, 1), unit=(u.pix, u.pix))
    own = cf.CoordinateFrame(
        3, ("SPATIAL", "SPATIAL", "SPECTRAL"), (0, 1, 2), unit=(u.arcsec, u.arcsec, u.um),
        name="alpha_beta" if vertical else "slicer",
    )  # fmt: skip
    sky = cf.CelestialFrame(reference_frame=coordinates.ICRS(), axes_order=(0, 1), name="sky")
    spectral = cf.SpectralFrame(unit=u.um, axes_order=(2,), name="spectral")
    world = cf.CompositeFrame([sky, spectral], name="world")
    degrees = models.Scale(1 / 3600)
    return gwcs.WCS([
        (detector, transform), (own, degrees & degrees & models.Identity(1)), (world, None),
    ])  # fmt: skip
