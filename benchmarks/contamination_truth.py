"""Light of neighbours removed from grism cutouts of scenes with known truth, against jwst.

The scenes take a minute each to draw, and the peer another: a table of some seeds takes an hour.
"""

import importlib
import sys
import tempfile
import time
from pathlib import Path

import specmodels as sm
from specmodels.io import jwst_grism, read_direct_image

TOOLS = Path(__file__).resolve().parents[2] / "shared" / "tools"
SCENES = {"wfss_niriss": 40, "wfss_niriss_crowded": 40, "wfss_nircam": 300}
SEEDS = {"wfss_niriss": 5, "wfss_niriss_crowded": 5, "wfss_nircam": 3}
METHODS = {
    "Legendre 3, in turn": (lambda n: sm.LegendreSpectrum(3), lambda: sm.SceneFitter(joint=False)),
    "spline, joint": (sm.BSplineSpectrum, lambda: sm.SceneFitter(ridge=6)),
}


def run(*, quick=False):
    """Rows of the table: one for each scene, seed and method."""
    if not TOOLS.is_dir():
        raise SystemExit(f"needs the scenes in {TOOLS}, which is absent")
    sys.path.insert(0, str(TOOLS))
    scenes, judge, peers = (importlib.import_module(n) for n in ("scenes", "judge", "peers"))
    rows = []
    for name in list(SCENES)[: 1 if quick else None]:
        for seed in range(1 if quick else SEEDS[name]):
            scene = scenes.make(name, seed=seed)
            for method, (spectrum, fitter) in METHODS.items():
                corrected, seconds = cleaned(scene, spectrum(SCENES[name]), fitter())
                rows.append(row(name, seed, method, judge.contamination(scene, corrected), seconds))
            if seed == 0 and not quick:
                found = peers.jwst_contamination(scene, polyfit_degree=3, n_iterations=3)
                figures = judge.contamination(scene, found.arrays["corrected"])
                rows.append(row(name, seed, "jwst, degree 3, 3 passes", figures, found.seconds))
    return rows


def cleaned(scene, spectrum, fitter):
    """Corrected cutouts of a scene, and seconds."""
    models = scene.models
    with tempfile.TemporaryDirectory() as folder:
        # A datamodel in memory may share its arrays with the scene: files keep them apart.
        path = Path(folder) / "cutouts.fits"
        models["cutouts"].save(str(path))
        start = time.process_time()
        grism = jwst_grism(models["cutouts"], models["direct"].meta.wcs, models["photom"],
                           models["wavelengthrange"], orders=[scene.truth["order"]])  # fmt: skip
        field = read_direct_image(models["direct"], models["segmentation"])
        model = sm.GrismScene.from_direct_image(field, grism=grism, spectrum=spectrum)
        result = sm.ContaminationSubtraction(model, fitter)(path)
        return [slit.corrected for slit in result.slits], time.process_time() - start


def row(name, seed, method, figures, seconds):
    """One line of the table."""
    return {
        "scene": name, "seed": seed, "method": method, "removed": figures["removed"],
        "residual (sigma)": figures["residual_rms_sigma"], "chi2 before": figures["chi2_before"],
        "chi2 after": figures["chi2_after"], "seconds": seconds,
    }  # fmt: skip
