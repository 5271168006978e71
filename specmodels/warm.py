"""All that is compiled at a first call, compiled beforehand: for pipelines and containers.

Each job is done once, with a small simulated input of each kind that takes a way of its own.
"""

import logging
import time
import warnings
from dataclasses import dataclass

from . import datasets, evaluators, models
from .numerics.compiled import counts
from .numerics.cores import alone

__all__ = ["WarmedJob", "warmed"]


@dataclass(frozen=True)
class WarmedJob:
    """What was done for one job.

    Attributes
    ----------
    name : str
        Of the job.
    seconds : float
        Of this process's core.
    compiled, found : int
        Kernels that were compiled now, and those that were compiled before.
    """

    name: str
    seconds: float
    compiled: int
    found: int


def warmed():
    """Do each job, so that its kernels are compiled and kept.

    Yields
    ------
    WarmedJob
    """
    disabled = logging.root.manager.disable
    for name, work in JOBS.items():
        before, start = counts(), time.process_time()
        logging.disable(logging.CRITICAL)
        try:
            with alone(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
        finally:
            logging.disable(disabled)
        compiled, found = (after - first for after, first in zip(counts(), before, strict=True))
        yield WarmedJob(name, time.process_time() - start, compiled, found)


def _extract():
    slit, _ = datasets.make_slit(shape=(30, 200))
    evaluators.OptimalExtraction()(slit)
    evaluators.OptimalExtraction(wavelength_terms=False, profile=models.BSplineProfile())(slit)


def _tilted():
    exposure, _ = datasets.make_slitlets(n_science=1)
    evaluators.OptimalExtraction(n_sources=1, wavelength_terms=True)(exposure["target_1"])


def _nods():
    dithers, _ = datasets.make_nods()
    evaluators.OptimalExtraction(n_sources=1)(dithers)


def _time_series():
    series, _ = datasets.make_time_series()
    evaluators.OptimalExtraction()(series)


def _clean():
    image, _ = datasets.make_flicker(shape=(128, 256))
    evaluators.FlickerNoiseSubtraction()(image)
    for noise in (models.FourierNoise(), models.LineMedian()):
        evaluators.FlickerNoiseSubtraction(noise)(image)


def _oversample():
    slit, _ = datasets.make_undersampled_slit()
    result = evaluators.TraceOversampling()(slit)
    evaluators.PixelReplacement()(slit)
    return result.data, result.variance


def _background():
    exposure, truth = datasets.make_slitlets(n_science=3)
    evaluators.MasterBackgroundSubtraction(throughput=truth.throughputs)(exposure)


def _decontaminate():
    exposure, truth = datasets.make_slitless(n_sources=6)
    scene = models.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
    evaluators.ContaminationSubtraction(scene)(exposure)


JOBS = {
    "extract": _extract, "extract, tilted lines": _tilted, "extract, nods": _nods,
    "extract, time series": _time_series, "clean": _clean, "oversample, fill": _oversample,
    "background": _background, "decontaminate": _decontaminate,
}  # fmt: skip
