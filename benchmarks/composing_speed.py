"""Seconds and megabytes of compositions: tilted slits, and frames of a hundred slits with flicker.

Times are those of the processor, with one thread.
"""

import numpy as np

import specmodels as sm
from specmodels.fitters.system import SystemProblem
from tests.fitters.system.slits import frame_of_slits

from . import memory
from .measure import least_cpu
from .measure import memory as measured_memory

COLUMNS = (512, 1024, 2048)


def run(*, quick=False):
    """One row for each system and frame."""
    repeat = 1 if quick else 5
    rows = [_tilted(n, repeat) for n in COLUMNS] + [_tilted(2048, repeat, lines=64)]
    side = 512 if quick else 2048
    return rows + [
        _frame(side, along=along, one_sky=one_sky)
        for along in (True, False)
        for one_sky in (False, True)
    ]


def _tilted(n_columns, repeat, lines=0):
    """A slit of 80 rows (or as many lines of flicker) with two sources, assembled and solved."""
    problem, image = tilted_slit(n_columns, lines)
    theta = problem.parameters.initial
    problem.solve(theta)
    state = {}

    def solved():
        problem._last = None  # the entries that it keeps for these values
        state["equations"] = problem.solve(theta)[0]

    def covariance():
        state["equations"].factor.__dict__.pop("inverse_band", None)
        return state["equations"].factor.inverse_band

    name = f"tilted slit, {image.shape[0]} × {n_columns}"
    seconds = least_cpu(solved, repeat), least_cpu(covariance)
    peak, kept = measured_memory(lambda: sm.LinearFitter()(problem.models[0], image))
    size = memory.input_megabytes(image)
    return {
        "fit": name + (f", {lines} lines of 7 terms" if lines else ""),
        "unknowns": state["equations"].n, "solver": state["equations"].structure.kind,
        "all, s": seconds[0], "covariance in the band, s": seconds[1],
        "peak, MB": peak, "input, MB": size, "(peak - result) / input": (peak - kept) / size,
    }  # fmt: skip


def tilted_slit(n_columns, lines=0):
    """Problem and image of two sources of wavelength under a sky whose lines are tilted."""
    n_rows = lines or 80
    rng = np.random.default_rng(1)
    x, y = np.arange(n_columns), np.arange(n_rows)[:, None]
    wave = x - 6.0 * (y / n_rows - 0.5)
    data = 50 + rng.normal(size=(n_rows, n_columns))
    image = sm.SpectralImage(data, variance=np.ones(data.shape), wavelength=wave,
                             readout=sm.Readout(fast_axis=-1))  # fmt: skip
    limits = (0, n_columns - 1)
    model = sm.sky_of_wavelength(
        sm.MasterBackgroundSpectrum(sm.breakpoints(wave, 1.0), name="sky"), name="sky"
    )
    for number, row in enumerate((0.4, 0.55)):
        trace = sm.PolynomialTrace(1, limits=limits, c0=row * n_rows, c1=1.5)
        source = sm.Source(sm.GaussianProfile(stddev=1.3), trace, name=f"source {number}")
        source.flux.fixed = True
        spectrum = sm.MasterBackgroundSpectrum(sm.breakpoints(wave, 1.0), name=f"s{number}")
        model = source * spectrum + model
    if lines:
        flicker = sm.FourierNoise(n_harmonics=3, period=n_columns)
        flicker.coefficient_prior = sm.FlickerPrior(1.0, offset=1.0)
        model = model + flicker
    return SystemProblem(model, [image], hold=True), image


def _frame(side, *, along, one_sky):
    """A frame of slits of 20 rows under lines of seven terms, along or across the dispersion."""
    model, image = frame_of_slits((side, side), side // 20, along=along, one_sky=one_sky,
                                  n_harmonics=3, curve=6.0)  # fmt: skip
    found = {}

    def fitted():
        found["fit"] = sm.LinearFitter()(model, image)

    seconds = least_cpu(fitted, 1)
    fit = found.pop("fit")
    peak, kept = measured_memory(lambda: sm.LinearFitter()(model, image))
    size = memory.input_megabytes(image)
    where = "along" if along else "across"
    sky = "one sky" if one_sky else "a sky for each"
    return {
        "fit": f"{side} × {side}, {side // 20} slits, {sky}, lines {where}",
        "unknowns": fit.equations.n, "solver": fit.solver, "all, s": seconds, "peak, MB": peak,
        "input, MB": size, "(peak - result) / input": (peak - kept) / size,
        "chi2/dof": fit.reduced_chi2, "converged": fit.success,
    }  # fmt: skip
