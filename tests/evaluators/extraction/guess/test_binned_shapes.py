"""Shapes of faint sources: from bins of columns, with errors that hold."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.evaluators.extraction.guess.binned_shapes import BinnedShapeFitter, in_bins

N_ROW, N_COLUMN, FLUX, STDDEV = 40, 400, 11.0, 1.5
U = np.linspace(-1, 1, N_COLUMN)


def bent(bow=1.2, slope=0.0):
    return 19.3 + slope * U + bow * 0.5 * (3 * U**2 - 1)


def faint(seed, trace, sky=10.0):
    """A source with a signal-to-noise ratio of one in a column."""
    rng = np.random.default_rng(seed)
    rows = np.arange(N_ROW)[:, None]
    mean = FLUX * sm.GaussianProfile().evaluate(rows, trace, STDDEV) + sky
    data = rng.poisson(mean) + rng.normal(0, 3.0, mean.shape)
    return sm.SpectralImage(data, variance=mean + 9.0)


def model():
    limits = (0, N_COLUMN - 1)
    trace = sm.PolynomialTrace(2, limits=limits, c0=19.0)
    source = sm.Source(sm.GaussianProfile(stddev=1.5), trace, name="source")
    return source + sm.ColumnPolynomial(0, limits=(0, N_ROW - 1), name="sky")


def pulls_of_trace(fitter):
    truth, out = {"trace_c0_0": 19.3, "trace_c1_0": 0.4, "trace_c2_0": 0.3}, []
    for seed in range(8):
        fit = fitter(model(), faint(seed, bent(0.3, 0.4)))
        out.append([(fit[n] - value) / fit.error(n) for n, value in truth.items()])
    return np.sqrt(np.mean(np.square(out)))


def test_errors_of_a_faint_trace_hold_where_those_of_columns_do_not():
    assert pulls_of_trace(BinnedShapeFitter(32)) < 1.6
    assert pulls_of_trace(sm.VarProFitter()) > 2.0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bow", [-1.3, 0.0, 1.3])
def test_trace_that_bends_keeps_the_flux_of_a_faint_source(seed, bow):
    trace = bent(bow)
    result = sm.OptimalExtraction()(faint(seed, trace))
    assert np.sqrt(np.mean((result.trace("source") - trace) ** 2)) < 0.7
    flux, covariance = result.spectrum.flux.value, result.covariance("source")
    for part in np.array_split(np.arange(N_COLUMN), 4):
        error = np.sqrt(np.sum(covariance[np.ix_(part, part)])) / len(part)
        assert abs(np.mean(flux[part]) - FLUX) < 3.5 * error
        assert error < 0.35 * FLUX


def test_faint_source_on_a_sloping_sky():
    rows = np.arange(N_ROW)[:, None] / N_ROW - 0.5
    result = sm.OptimalExtraction()(faint(1, bent(), 25 * (1 + 0.8 * rows)))
    flux = np.mean(result.spectrum.flux.value)
    error = np.sqrt(np.sum(result.covariance("source"))) / N_COLUMN
    assert abs(flux - FLUX) < 3 * error
    assert error < 0.2 * FLUX


def test_bins_are_weighted_means_and_keep_their_columns():
    rng = np.random.default_rng(1)
    variance, mask = rng.uniform(1, 4, (5, 23)), np.zeros((5, 23), dtype=bool)
    mask[2, :11] = mask[3, 4] = True
    image = sm.SpectralImage(rng.normal(size=(5, 23)), variance=variance, mask=mask)
    bins = in_bins(image, 10)
    assert bins.shape == (5, 2)
    first = slice(0, 11)
    expected = np.average(image.data[0, first], weights=1 / variance[0, first])
    assert_allclose(bins.data[0, 0], expected)
    assert_allclose(bins.variance[0, 0], 1 / np.sum(1 / variance[0, first]))
    assert_allclose(bins.x, [5.0, 16.5])
    assert bins.mask.sum() == 1
    assert bins.mask[2, 0]


def test_model_without_shapes_is_fitted_as_it_is():
    held = model()
    for n in held.param_names:
        if n.startswith(("trace", "stddev")):
            getattr(held, n).fixed = True
    image = faint(3, bent(0.0))
    one, two = (
        BinnedShapeFitter(32)(held, image),
        sm.SigmaClipFitter(sm.VarProFitter())(held, image),
    )
    assert_allclose(one["flux_0"], two["flux_0"])
