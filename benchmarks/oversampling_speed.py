"""Speed of trace fits and of oversampling, against jwst's ``fit_all_regions`` and its sequel.

The peer fits some of the slices only; its time is scaled by the number of columns.
"""

import time

import numpy as np

import specmodels as sm
from specmodels.io.slices import SlicedImage
from specmodels.numerics.oversample import FineRows

from . import measure
from . import oversampling_scenes as scenes

SLICES = {"NIRSpec G140M": (1, 3), "MIRI MRS 34LONG": (406, 407)}
PEER_MODE = {"NIRSpec G140M": ("NRS_IFU", "NRS1", "G140M"),
             "MIRI MRS 34LONG": ("MIR_MRS", "MIRIFULONG", None)}  # fmt: skip


def run(*, quick=False):
    """Rows for the fit and for the oversampling of each scene."""
    rows = []
    for name, chosen in SLICES.items():
        scene, exposure, maps = scenes.drawn(name, 0)
        rows += _rows(name, scene, exposure, maps, chosen[:1] if quick else chosen)
    return rows


def _rows(name, scene, exposure, maps, chosen):
    """All slices fitted and oversampled by this package, some by the peer."""
    sliced = SlicedImage.of(exposure.single, exposure, **maps)
    everything = sm.TraceOversampling(**maps, psf_optimal=True, residual=sm.FullResidual())
    fits = everything.fit(sliced.images)
    ours = {
        "trace fit": measure.least_cpu(lambda: everything.fit(sliced.images)),
        "oversampling": measure.least_cpu(lambda: everything.evaluate(fits, sliced).data),
    }
    added = measure.memory(
        lambda: _arrays(everything.evaluate(everything.fit(sliced.images), sliced))
    )
    n_columns = sum(int(image.weights.any(axis=0).sum()) for image in sliced.images.values())
    peer = _peer(name, scene, maps, chosen)
    size = scene.model.data.nbytes / 1e6
    rows = []
    for job, seconds in ours.items():
        row = {"scene": name, "job": job, "columns": n_columns, "CPU s": seconds}
        if peer is not None:
            theirs = peer[job] * (n_columns if job == "trace fit" else 1)
            row |= {"peer CPU s": theirs, "ratio": theirs / seconds}
        if job == "oversampling":
            row |= {"peak MB": added[0], "kept MB": added[1], "image MB": size}
        rows.append(row)
    return rows


def _arrays(result):
    return result.data, result.variance


def _peer(name, scene, maps, chosen):
    """CPU seconds of the peer for some slices; None where it is not installed."""
    try:
        from jwst.adaptive_trace_model import trace_model
    except ImportError:
        return None
    turn = np.transpose if scene.truth["vertical"] else np.asarray
    regions = np.where(np.isin(maps["regions"], chosen), maps["regions"], 0)
    flux, error = (np.array(turn(np.asarray(plane)), dtype=float)
                   for plane in (scene.model.data, scene.model.err))  # fmt: skip
    alpha = np.where(regions > 0, maps["spatial"], np.nan)
    settings = trace_model._set_fit_kwargs(*PEER_MODE[name], flux.shape[-1])
    fine = FineRows.of(flux.shape[0], 2).coordinates(alpha)
    start = time.process_time()
    models = trace_model.fit_all_regions(flux, error, alpha, regions, **settings)
    fitted = time.process_time() - start
    columns = sum(len(own) for own in models.values() if own)
    # Oversampled are all slices, each by the splines of one that was fitted.
    regions, alpha = maps["regions"], np.where(maps["regions"] > 0, maps["spatial"], np.nan)
    fine = FineRows.of(flux.shape[0], 2).coordinates(alpha)
    every = dict.fromkeys(np.unique(regions[regions > 0]), models[chosen[0]])
    start = time.process_time()
    trace_model.oversample_flux(flux, alpha, regions, every, 2, fine)
    return {"trace fit": fitted / columns, "oversampling": time.process_time() - start}
