"""Memory of extractions, against that of their input."""

import numpy as np

import specmodels as sm

from . import methods
from .inputs import make_slit
from .measure import MEGABYTE, memory

GOAL = 3.0


def run(*, quick=False):
    """One row for each job and each way to do it."""
    one, three = make_slit(0), make_slit(0, n_sources=3)
    many = sm.Exposure([
        make_slit(seed, shape=(50, 2000)).image.replace(name=str(seed))
        for seed in range(3 if quick else 20)
    ])  # fmt: skip
    automatic = sm.OptimalExtraction()
    model = sm.Source(
        sm.MoffatProfile(), sm.PolynomialTrace(2), width=sm.PolynomialTrace(1), name="source"
    ) + sm.ColumnPolynomial(0, name="sky")
    jobs = [
        ("one source, 60 × 2048", one.image, "specmodels, automatic", automatic),
        ("one source, 60 × 2048", one.image, "specmodels, automatic, tables",
         lambda image: automatic(image).tables()),
        ("one source, 60 × 2048", one.image, "specmodels, given model",
         sm.OptimalExtraction(model)),
        ("one source, 60 × 2048", one.image, "jwst, true profile",
         lambda _: methods.jwst_optimal(one)),
        ("one source, 60 × 2048", one.image, "specreduce, Horne",
         lambda _: methods.specreduce_gaussian(one)),
        ("three blended, 60 × 2048", three.image, "specmodels, automatic",
         sm.OptimalExtraction(n_sources=3)),
        ("three blended, 60 × 2048", three.image, "jwst, true profiles",
         lambda _: methods.jwst_optimal(three)),
        (f"{len(many)} slits of 50 × 2000", many, "specmodels, automatic", automatic),
    ]  # fmt: skip
    return [_row(*job) for job in jobs]


def _row(job, data, name, function):
    function(data)
    peak, kept = memory(lambda: function(data))
    size = input_megabytes(data)
    ours = name.startswith("specmodels")
    return {
        "job": job, "by": name, "input, MB": size, "peak, MB": peak, "result, MB": kept,
        "(peak - result) / input": (peak - kept) / size, "goal": GOAL if ours else None,
        "met": bool((peak - kept) / size <= GOAL) if ours else None,
    }  # fmt: skip


def input_megabytes(data):
    """Size of data, components of the variance, mask and wavelengths of images."""
    images = data.values() if isinstance(data, sm.Exposure) else [data]
    return sum(_image_bytes(image) for image in images) / MEGABYTE


def _image_bytes(image):
    arrays = [image.data, image.mask, *image.components.values()]
    arrays += [a for a in (image.wavelength,) if a is not None]
    return sum(np.asarray(array).nbytes for array in arrays)
