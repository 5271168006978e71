"""Every job with a small input, for processes with and without numba: names, and their numbers.

And kernels of which no job of this size shows all.
"""

import numpy as np

import specmodels as sm
from specmodels.numerics.bsplines import LocalBasis
from specmodels.numerics.cloud import bin_medians

__all__ = ["JOBS"]


def _kernels():
    x = np.linspace(0, 1, 300)
    basis = LocalBasis.at(x, np.linspace(0, 1, 12))
    solution = basis.equations(np.sin(9 * x), 1 + x, 14).solve()
    medians = bin_medians((20 * x).astype(int), np.cos(40 * x), 64)
    return [solution.values, solution.covariance_band, medians]


def _extraction():
    slit, _ = sm.datasets.make_slit(shape=(20, 40), snr=100.0)
    return _spectra(sm.OptimalExtraction(n_sources=1)(slit))


def _empirical_extraction():
    slit, _ = sm.datasets.make_slit(shape=(20, 40), snr=100.0)
    return _spectra(sm.OptimalExtraction(n_sources=1, profile=sm.BSplineProfile())(slit))


def _tilted_extraction():
    exposure, _ = sm.datasets.make_slitlets(n_background=0, n_science=1, shape=(12, 40), n_lines=2)
    return _spectra(sm.OptimalExtraction(n_sources=1, wavelength_terms=True)(exposure["target_1"]))


def _dithered_extraction():
    nods, _ = sm.datasets.make_nods(n_exposures=2, shape=(24, 40), nod=6.0, snr=20.0)
    return _spectra(sm.OptimalExtraction(n_sources=1)(nods))


def _time_series():
    series, _ = sm.datasets.make_time_series(n_integrations=4, shape=(20, 30))
    result = sm.OptimalExtraction()(series)
    return [*result.flux.values(), result.flux_error()]


def _spectra(result):
    return [result.spectrum.flux.value, result.spectrum.uncertainty.array]


def _cleaning(noise=None):
    image, _ = sm.datasets.make_flicker(shape=(32, 64), n_sources=2, n_outputs=1)
    result = sm.FlickerNoiseSubtraction(noise)(image)
    return [result.cleaned, result.variance]


def _oversampling():
    slit, _ = sm.datasets.make_undersampled_slit(shape=(16, 60))
    result = sm.TraceOversampling()(slit)
    return [result.data, result.variance]


def _filling():
    slit, _ = sm.datasets.make_undersampled_slit(shape=(16, 60))
    return [sm.PixelReplacement()(slit).data]


def _background():
    exposure, truth = sm.datasets.make_slitlets(
        n_background=3, n_science=1, shape=(12, 40), n_lines=2
    )
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(exposure)
    variances = [result.background_variance(name) for name in exposure]
    return [*result.backgrounds.values(), *variances]


def _decontamination():
    exposure, truth = sm.datasets.make_slitless(n_sources=2, shape=(50, 90), field=(50, 50))
    scene = sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
    result = sm.ContaminationSubtraction(scene)(exposure)
    slits = [result[name] for name in result]
    return [*(slit.corrected for slit in slits), *(slit.error for slit in slits)]


JOBS = {
    "kernels": _kernels,
    "extraction": _extraction, "extraction, empirical": _empirical_extraction,
    "extraction, tilted": _tilted_extraction, "extraction, nods": _dithered_extraction,
    "extraction, time series": _time_series, "cleaning": _cleaning,
    "cleaning, Fourier": lambda: _cleaning(sm.FourierNoise()),
    "cleaning, medians": lambda: _cleaning(sm.LineMedian()), "oversampling": _oversampling,
    "filling": _filling, "background": _background, "decontamination": _decontamination,
}  # fmt: skip
