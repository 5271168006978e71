"""Wings that the sky has taken are seen by the lines that they share with the source."""

import numpy as np
import pytest
from scipy.special import erf

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.following_sky import level_that_follows

SHAPE = (40, 300)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)


def gaussian(sigma, row=20.0):
    edges = [erf((Y + s - row) / sigma / np.sqrt(2)) for s in (0.5, -0.5)]
    return 0.5 * (edges[0] - edges[1])


@pytest.mark.parametrize("line", [False, True])
def test_what_one_line_tells_is_not_known_of_all_the_spectrum(line):
    """The sky follows a line that is more extended than the rest; the rest is not told of."""
    rng = np.random.default_rng(2)
    mean = 3000 * (1 + 0.3 * np.sin(X / 3)) * gaussian(1.5) + 50
    if line:
        mean = 3000 * gaussian(1.5) + 2e5 * np.exp(-0.5 * (X - 120) ** 2 / 4) * gaussian(4.5) + 50
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    model = sm.Source(
        sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, c0=20.0), name="source"
    ) + sm.ColumnPolynomial(0, name="sky")
    fit = sm.VarProFitter()(model, image)
    part, error, spread = level_that_follows(fit, 0, np.ones(SHAPE[1], dtype=bool))
    if line:
        assert part > 5 * error
        assert part < 3 * spread
    else:
        assert abs(part) < 3 * spread
        assert spread < 3 * error


@pytest.mark.parametrize("degree", [0, 2])
def test_sky_of_any_degree_is_seen_to_follow_a_source_whose_wings_change(degree):
    """Of 3 per cent in the middle, twice that at one end, and none at the other."""
    rng = np.random.default_rng(4)
    u = np.linspace(-1, 1, SHAPE[1])
    lines = sum(np.exp(-0.5 * ((X[0] - c) / 3) ** 2) for c in (30, 90, 150, 210, 270))
    flux = 3e4 * (1 + 3 * lines)
    wings = 0.03 * (1 + u) * flux / SHAPE[0]
    mean = flux * gaussian(1.5) + wings + 50
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    model = sm.Source(
        sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, c0=20.0), name="source"
    ) + sm.ColumnPolynomial(degree, limits=(0, SHAPE[0] - 1), name="sky")
    fit = sm.VarProFitter()(model, image)
    part, error, spread = level_that_follows(fit, 0, np.ones(SHAPE[1], dtype=bool))
    assert abs(part - 0.03) < 0.003 + 3 * error
    assert max(error, spread) < 0.006


def test_sky_is_seen_to_follow_one_of_two_sources():
    """What is left of the one that the model has no wings of."""
    rng = np.random.default_rng(6)
    lines = sum(np.exp(-0.5 * ((X[0] - c) / 3) ** 2) for c in (40, 110, 190, 260))
    flux = 3e4 * (1 + 3 * lines)
    mean = flux * gaussian(1.5, 12.0) + 0.03 * flux / SHAPE[0] + 2e4 * gaussian(1.5, 28.0) + 50
    image = sm.SpectralImage(rng.poisson(mean).astype(float), variance=mean)
    model = sum((sm.Source(sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, c0=row), name=name)
                 for row, name in ((12.0, "one"), (28.0, "other"))),
                start=sm.ColumnPolynomial(0, name="sky"))  # fmt: skip
    fit = sm.VarProFitter()(model, image)
    found = {}
    for leaf, positions in fit.form.leaves():
        if isinstance(leaf, sm.Source):
            found[leaf.name] = level_that_follows(fit, positions[0], np.ones(SHAPE[1], dtype=bool))
    part, error, spread = found["one"]
    assert abs(part - 0.03) < 0.003 + 3 * error
    assert max(error, spread) < 0.006
