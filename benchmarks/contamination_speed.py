"""Speed and memory of grism scenes, against jwst's ``wfss_contam``, on scenes of the shared tools.

Both disperse the pixels of the segments with the real WCS of NIRISS, two steps of wavelength per
pixel and Legendre series of degree three, fit all spectra once, in turn, and make all corrected
cutouts. CPU seconds of one thread. Of the peer, dispersal and the rest are timed within one run.
"""

import importlib
import sys
import time
from functools import partial

import specmodels as sm
from specmodels.io import jwst_grism, read_direct_image

from .contamination_truth import TOOLS

COUNTS = (50, 300, 1000)
CELL, CHUNK = 20, 1_000_000  # bytes of a cell that is worked on, and their number


def run(*, quick=False):
    """Rows of the table."""
    if not TOOLS.is_dir():
        raise SystemExit(f"needs the scenes in {TOOLS}, which is absent")
    sys.path.insert(0, str(TOOLS))
    scenes = importlib.import_module("scenes")
    rows = []
    for n_sources in COUNTS[: 1 if quick else None]:
        scene = scenes.make("wfss_niriss", n_sources=n_sources)
        rows.append({"sources": n_sources, **ours(scene)})
        other = peer(scene)
        if other:
            rows[-1] |= other | {
                "dispersal ratio": other["jwst dispersal"] / rows[-1]["dispersal"],
                "fits ratio": other["jwst fits"] / rows[-1]["fits"],
                "models ratio": other["jwst fits"] / rows[-1]["fits, models"],
                "memory ratio": other["jwst MB"] / rows[-1]["MB"],
            }
    return rows


def ours(scene):
    """Seconds and megabytes of this package."""
    models = scene.models
    grism = jwst_grism(models["cutouts"], models["direct"].meta.wcs, models["photom"],
                       models["wavelengthrange"], orders=[1])  # fmt: skip
    field = read_direct_image(models["direct"], models["segmentation"])
    exposure = sm.io.read_slitless(models["cutouts"])
    spectrum = sm.LegendreSpectrum(3)
    _, squares = sm.SegmentShapes()(field)
    options = {"steps_per_pixel": 2}
    inner, columns = best(partial(grism.disperse, squares, 1, spectrum, **options))
    whole, model = best(partial(
        sm.GrismScene.from_direct_image, field, grism=grism, spectrum=spectrum,
        shapes=sm.SegmentShapes(), **options,
    ))  # fmt: skip
    default, _ = best(partial(sm.GrismScene.from_direct_image, field, grism=grism))
    clean = sm.ContaminationSubtraction(model, sm.SceneFitter(joint=False, n_iterations=1))
    fits, _ = best(partial(cleaned, clean, exposure))
    written, _ = best(partial(models_of, clean, exposure))
    kept = columns.data.nbytes + columns.indices.nbytes + columns.indptr.nbytes
    return {"dispersal": inner, "whole scene": whole, "default scene": default, "fits": fits,
            "fits, models": written, "MB": (kept + CELL * CHUNK) / 1e6}  # fmt: skip


def cleaned(clean, exposure):
    """All corrected cutouts."""
    return [slit.corrected for slit in clean(exposure).slits]


def models_of(clean, exposure):
    """The same as datamodels, with errors of the contamination, which the peer does not find."""
    result = clean(exposure)
    return result.to_source(), result.simulated_model()


def best(function, repeat=3):
    """Least CPU seconds of some calls, the first left out, and the result."""
    result, times = function(), []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times), result


def peer(scene):
    """Seconds and megabytes of the peer; empty where it is not installed."""
    try:
        from jwst.wfss_contam.observations import Observation
    except ImportError:
        return {}
    peers = importlib.import_module("peers")
    dispersing, plain = [], Observation.disperse_order

    def timed(self, *args, **kwargs):
        start = time.process_time()
        plain(self, *args, **kwargs)
        dispersing.append(time.process_time() - start)

    Observation.disperse_order = timed
    start = time.process_time()
    try:
        found = peers.jwst_contamination(scene, polyfit_degree=3, n_iterations=1)
    finally:
        Observation.disperse_order = plain
    total = time.process_time() - start
    return {"jwst dispersal": sum(dispersing), "jwst fits": total - sum(dispersing),
            "jwst MB": found.megabytes}  # fmt: skip
