"""The sky under science slitlets of simulated exposures against its truth, and the pipeline's.

The scenes and their figures of merit are independent of this package; without them nothing runs.
"""

import numpy as np

import specmodels as sm

from . import background_scenes as scenes

SHOWN = ("scatter", "smooth", "features", "slit_to_slit")


def run(*, quick=False):
    """Two rows for each scene: means over seeds of relative errors, in per cent."""
    rows = []
    for name in scenes.SCENES:
        found = [_figures(name, seed) for seed in range(1 if quick else 8)]
        for method in found[0]:
            own = [one[method] for one in found]
            mean = {key: np.mean([figures[key] for figures in own]) for key in own[0]}
            mean["bias"] = np.mean([figures["bias"] for figures in own])
            rows.append({"scene": name, "method": method, "seeds": len(own), **mean})
    return rows


def _figures(name, seed):
    scene = scenes.drawn(name, seed)
    result = sm.MasterBackgroundSubtraction()(scene.model)
    ours = _judged(scene, scenes.of_result(result))
    pull, at_features = _pulls(scene, result)
    ours |= {"pull": pull, "pull, features": at_features, "nods": _nodding(result),
             "found": float(list(result.left_out) == ["21"])}  # fmt: skip
    out = {"specmodels": ours}
    peer = scenes.peer_result(scene)
    if peer is not None:
        none = {"pull": np.nan, "pull, features": np.nan, "nods": np.nan, "found": 0.0}
        out["jwst"] = _judged(scene, peer.arrays["backgrounds"]) | none
    return out


def _judged(scene, backgrounds):
    figures = scenes.tool("judge").background(scene, backgrounds)
    bias = 100 * figures["bias"]
    return {"bias": bias, "size of bias": abs(bias), **{k: 100 * figures[k] for k in SHOWN}}


def _pulls(scene, result):
    """Rms of the error of the sky under science slitlets over its predicted one; at features."""
    pulls, featured, sky = [], [], scene.truth["sky"]
    each = zip(result.exposure.values(), scene.truth["backgrounds"], scene.truth["steps"],
               scene.truth["is_background"], strict=True)  # fmt: skip
    for image, true, step, is_background in each:
        if is_background:
            continue
        own = result.background(image.name) - true
        own = own / np.sqrt(result.background_variance(image.name))
        known = np.isfinite(own)
        wavelength = np.asarray(image.wavelength, dtype=float)[known]
        pulls.append(own[known])
        featured.append(np.abs(sky(wavelength, step[known]) / sky.continuum(wavelength) - 1) > 0.05)
    pulls, featured = np.concatenate(pulls), np.concatenate(featured)
    return np.sqrt(np.mean(pulls**2)), np.sqrt(np.mean(pulls[featured] ** 2))


def _nodding(result):
    """Median noise of the mean of two other nods over the error of the sky, background slits."""
    ratios = []
    for name in result.fit.used:
        image = result.exposure[name]
        use = result.sky_pixels(name)
        nodded = np.sqrt(np.median(image.variance[use]) / 2)
        ratios.append(nodded / np.sqrt(np.median(result.background_variance(name)[use])))
    return np.median(ratios)
