"""Covariances of exponentials against dense algebra, with gaps, outputs and signs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from specmodels.numerics.exponentials import decays, power_law_amplitudes
from specmodels.numerics.semiseparable import Semiseparable
from specmodels.numerics.semiseparable_gram import gram

N_LINE, WIDTH, PAUSE, N_OUTPUT = 20, 9, 3, 2


def setting(seed=1, masked=0.3):
    """Arguments of a covariance, and the same as a dense matrix without white noise."""
    rng = np.random.default_rng(seed)
    line, within, output = (a.ravel() for a in np.indices((N_LINE, WIDTH, N_OUTPUT)))
    time = line * (WIDTH + PAUSE) + within
    span = N_LINE * (WIDTH + PAUSE)
    phi, unit = decays(span), power_law_amplitudes(decays(span), span, 1.1)
    amplitudes = np.multiply.outer([0.5, 0.2, 0.2, 0.1, 0.1], unit)
    block = np.stack([0 * output, 1 + output, 3 + output], axis=1).astype(np.int32)
    ones = np.ones(len(time))
    gain = np.stack([ones, ones, 1.0 - 2.0 * (within % 2)], axis=1)
    variance = rng.uniform(0.5, 2, len(time))
    variance[rng.random(len(time)) < masked] = np.inf
    lag = np.abs(np.subtract.outer(time, time))
    shape = np.zeros(lag.shape)
    for factor, amplitude in zip(phi, unit, strict=True):
        shape += amplitude * factor**lag
    same = np.equal.outer(output, output)
    dense = shape * (0.5 + same * (0.2 + 0.1 * np.multiply.outer(gain[:, 2], gain[:, 2])))
    return (time, block, gain, phi, amplitudes, variance), dense


@pytest.fixture(params=[0.0, 0.3, 0.9], ids=lambda masked: f"{masked:.0%} masked")
def case(request):
    arguments, correlated = setting(masked=request.param)
    variance = arguments[-1]
    good = np.isfinite(variance)
    return Semiseparable(*arguments), correlated, good, np.diag(variance[good])


def test_solutions_and_determinant_are_those_of_the_dense_matrix(case):
    noise, correlated, good, white = case
    dense = correlated[np.ix_(good, good)] + white
    vectors = np.random.default_rng(2).normal(size=(3, len(good)))
    expected = np.zeros(vectors.shape)
    expected[:, good] = np.linalg.solve(dense, vectors[:, good].T).T
    assert_allclose(noise.solve(vectors), expected, atol=1e-11)
    assert_allclose(noise.solve(vectors[0]), expected[0], atol=1e-11)
    assert_allclose(noise.log_determinant, np.linalg.slogdet(dense)[1], atol=1e-9)
    assert_allclose(noise.inverse_diagonal[good], np.diag(np.linalg.inv(dense)), rtol=1e-11)


def test_products_include_pixels_without_data(case):
    noise, correlated, _, _ = case
    vectors = np.random.default_rng(3).normal(size=(2, len(correlated)))
    assert_allclose(noise.correlated(vectors), vectors @ correlated, atol=1e-10)
    half = noise.correlated(vectors, 0.5 * noise.amplitudes)
    assert_allclose(half, 0.5 * vectors @ correlated, atol=1e-10)


def test_colouring_unit_noise_gives_the_covariance(case):
    noise, correlated, good, white = case
    root = noise.coloured(np.eye(len(good)))
    dense = correlated[np.ix_(good, good)] + white
    assert_allclose((root.T @ root)[np.ix_(good, good)], dense, atol=1e-11)


def test_normal_matrix_is_that_of_dense_rows(case):
    noise, correlated, good, white = case
    rng, n = np.random.default_rng(4), 50
    index = rng.integers(0, n, (len(good), 4)).astype(np.int32)
    value = np.where(rng.random(index.shape) < 0.3, 0.0, rng.normal(size=index.shape))
    rows = np.zeros((len(good), n))
    for k in range(4):
        np.add.at(rows, (np.arange(len(good)), index[:, k]), value[:, k])
    rows = rows[good]
    expected = rows.T @ np.linalg.solve(correlated[np.ix_(good, good)] + white, rows)
    found = gram(noise, index, value, n)
    assert_allclose(found, expected, atol=1e-11)
    assert_allclose(found, found.T, atol=0)


def test_pixels_may_be_in_any_order():
    arguments, _ = setting()
    order = np.random.default_rng(6).permutation(len(arguments[0]))
    one, two = Semiseparable(*arguments), Semiseparable(*arguments, order=order)
    vectors = np.random.default_rng(7).normal(size=(2, len(order)))
    mixed = np.empty(vectors.shape)
    mixed[:, order] = vectors
    for name in ("solve", "coloured", "correlated"):
        assert_allclose(getattr(two, name)(mixed)[:, order], getattr(one, name)(vectors))
    assert_allclose(two.inverse_diagonal[order], one.inverse_diagonal)


def test_nothing_is_remembered_for_ever():
    arguments, _ = setting(masked=0.0)
    time, *others = arguments
    n = len(time)
    twice = [np.concatenate([time, time + 10**7]), *(np.concatenate([a, a]) for a in others[:2]),
             *others[2:4], np.concatenate([others[4]] * 2)]  # fmt: skip
    one, two = Semiseparable(*arguments), Semiseparable(*twice)
    assert_allclose(two.log_determinant, 2 * one.log_determinant, rtol=1e-13)
    vector = np.random.default_rng(5).normal(size=n)
    found = two.solve(np.concatenate([vector, np.zeros(n)]))
    assert_allclose(found[:n], one.solve(vector), rtol=1e-12)
    assert_allclose(found[n:], 0, atol=1e-14)


def test_a_covariance_that_is_none_is_refused():
    time, block, gain, phi, amplitudes, variance = setting()[0]
    with pytest.raises(ValueError, match="not positive definite"):
        Semiseparable(time, block, gain, phi, -100 * amplitudes, variance)
