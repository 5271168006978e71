"""Speed of the master background, against jwst's combination of spectra and expansion to 2-D."""

import specmodels as sm

from . import background_scenes as scenes
from . import measure


def run(*, quick=False):
    """One row for each method, on the same scene; the peer's extraction is given to it."""
    scene = scenes.drawn("S/N 8", 0)
    exposure = sm.read(scene.model)
    size = sum(image.data.nbytes for image in exposure.values()) / measure.MEGABYTE
    methods = {
        "specmodels": sm.MasterBackgroundSubtraction(),
        "specmodels, levels not fitted": sm.MasterBackgroundSubtraction(fit_levels=False),
        "specmodels, 400 knots, no levels, no rejection of slits": sm.MasterBackgroundSubtraction(
            sm.MasterBackgroundSpectrum(n_knots=400), sm.SkyFitter(disagreement=None),
            fit_levels=False,
        ),
    }  # fmt: skip
    functions = {name: (lambda m=method: m(exposure)) for name, method in methods.items()}
    if scenes.peer_result(scene) is not None:
        functions["jwst"] = lambda: scenes.peer_result(scene)
    costs = measure.costs(functions, repeat=2 if quick else 5)
    rows = []
    for name, cost in costs.items():
        backgrounds = (cost.result.arrays["backgrounds"] if name == "jwst"
                       else scenes.of_result(cost.result))  # fmt: skip
        figures = scenes.tool("judge").background(scene, backgrounds)
        row = {"method": name, "CPU s": cost.cpu, "wall s": cost.seconds}
        if "jwst" in costs:
            row["ratio of CPU"] = costs["jwst"].cpu / cost.cpu
        row |= {"rms, smooth %": 100 * figures["smooth"], "rms, features %":
                100 * figures["features"]}  # fmt: skip
        if name != "jwst":
            peak, kept = measure.memory(functions[name])
            row |= {"peak MB": peak, "kept MB": kept, "data MB": size}
        rows.append(row)
    return rows
