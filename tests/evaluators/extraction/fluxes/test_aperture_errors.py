"""Errors of sums along columns, less sky, neighbours and flicker that were fitted to the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.aperture import aperture_overlap, sum_errors

NY, NX = 18, 24
X, Y = np.arange(float(NX)), np.arange(float(NY))[:, None]
WAVE = X + 0.3 * (Y - 9)
LINES = np.zeros((NY, NX), dtype=bool)
LINES[8:10, 11:13] = True  # masked in the fit, summed all the same


def image(seed=0, **settings):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.5, 2.0, (NY, NX))
    mask = rng.random((NY, NX)) < 0.05
    light = 10 + 60 * sm.GaussianProfile(stddev=1.5, center=8.2)(Y) + 0 * X
    light = light + 25 * sm.GaussianProfile(stddev=1.5, center=12.5)(Y)
    data = rng.normal(light, np.sqrt(variance))
    return sm.SpectralImage(data, variance=variance, mask=mask | LINES, wavelength=WAVE,
                            readout=sm.Readout(fast_axis=-1), **settings)  # fmt: skip


def source(name, row, **settings):
    trace = sm.PolynomialTrace(0, limits=(0, NX - 1))
    return sm.Source(sm.GaussianProfile(stddev=1.5), trace, trace_c0=row, name=name, **settings)


def sky():
    return sm.MasterBackgroundSpectrum(np.linspace(-4, NX + 4, 9), name="sky")


def flicker():
    lines = sm.FourierNoise(n_harmonics=1, period=NX, name="flicker")
    lines.coefficient_prior = sm.FlickerPrior(1.0, offset=1.0)
    return lines


def both():
    return source("target", 8.2) + source("neighbour", 12.5)


def tilted():
    spectra = [
        source(name, row, fixed={"flux": True})
        * sm.MasterBackgroundSpectrum(np.linspace(-4, NX + 4, n), name=f"{name} spectrum")
        for name, row, n in (("target", 8.2, 12), ("neighbour", 12.5, 12))
    ]
    return spectra[0] + spectra[1] + sky() + flicker()


def noisy():
    given = sm.FlickerSpectrum(0.7, 1.0)
    return both() + sky() + sm.CorrelatedNoise(given, given, name="noise")


def errors(fit, carriers=None):
    """Errors of sums of both sources, with the pixels of a line summed that were not fitted."""
    rows = {"target": np.full(NX, 8.2), "neighbour": np.full(NX, 12.5)}
    if carriers is None:
        carriers = {leaf.name: p[0] for leaf, p in fit.form.leaves() if leaf.name in rows}
    whole = fit.image.replace(mask=fit.image.mask & ~LINES)
    radii = {name: np.full(NX, 2.6) for name in rows}
    return sum_errors(fit, rows, radii, carriers, whole), rows


def dense_errors(fit, row, numbers):
    """Errors of the sums from what noise and coefficients do to them, one by one."""
    equations, shape = fit.equations, fit.image.shape
    basis = np.stack([equations.image(unit) for unit in np.eye(equations.n)], axis=1)
    own = np.zeros(basis.shape)
    own[:, numbers] = basis[:, numbers]
    weight = equations.weights
    variance = np.ravel(fit.image.variance)
    penalty = np.stack([equations.product(u) - equations.data_product(u)
                        for u in np.eye(equations.n)])  # fmt: skip
    kernel = np.zeros((weight.size,) * 2)
    if hasattr(equations, "covariance_of_data"):
        kernel = equations.covariance_of_data.correlated(np.eye(weight.size))
    fitted = weight > 0
    inverse = np.zeros(kernel.shape)
    inverse[np.ix_(fitted, fitted)] = np.linalg.inv(
        (kernel + np.diag(variance))[np.ix_(fitted, fitted)]
    )
    covariance = np.linalg.inv(basis.T @ inverse @ basis + penalty)
    # Errors of the coefficients, and of the noise subtracted, by the noise in each pixel.
    off = covariance @ basis.T @ inverse
    noise = kernel @ inverse @ (np.eye(weight.size) - basis @ off)
    good = (~fit.image.mask | LINES).ravel()
    overlap = aperture_overlap(fit.image.y, np.full(NX, row), 2.6)
    out = []
    for column in range(NX):
        inside = np.zeros(shape)
        inside[:, column] = overlap[:, column]
        inside = inside.ravel()
        summed, filled = inside * good, inside * ~good
        rest = filled @ own - summed @ (basis - own)
        correlated = summed - summed @ noise + rest @ off
        white = summed + rest @ off - summed @ noise
        by_prior = (rest + summed @ kernel @ inverse @ basis) @ covariance
        out.append(white**2 @ variance + correlated @ kernel @ correlated
                   + by_prior @ penalty @ by_prior)  # fmt: skip
    return np.sqrt(out)


@pytest.mark.parametrize("make", [lambda: both() + sky() + flicker(), tilted, noisy])
def test_errors_are_those_of_dense_algebra(make):
    fit = sm.LinearFitter()(make(), image())
    groups = {group.leaf.name: group for group in fit.layout.groups}
    seen = {name: groups.get(f"{name} spectrum", groups.get(name))
            for name in ("target", "neighbour")}  # fmt: skip
    carriers = {name: int(group.positions[0]) for name, group in seen.items()}
    found, rows = errors(fit, carriers)
    for name, group in seen.items():
        numbers = np.concatenate([group.numbers(k) for k in range(len(group.positions))])
        wanted = dense_errors(fit, rows[name], numbers)
        assert_allclose(found[name], wanted, rtol=1e-8)


def test_errors_of_columns_are_those_of_dense_algebra():
    """One flux for each source and a level, column by column."""
    model = both() + sm.ColumnPolynomial(1, limits=(0, NY - 1), name="level")
    fit = sm.LinearFitter()(model, image(1))
    assert fit.independent_columns
    found, rows = errors(fit)
    weights, good = fit.image.weights, ~fit.image.mask | LINES
    z = 2 * Y[:, 0] / (NY - 1) - 1
    light = [sm.GaussianProfile(stddev=1.5, center=row[0])(Y[:, 0]) for row in rows.values()]
    basis = np.stack([*light, np.ones(NY), z], axis=1)
    for number, name in enumerate(rows):
        own = basis * (np.arange(4) == number)
        overlap = aperture_overlap(fit.image.y, rows[name], 2.6)
        for column in range(NX):
            weight = weights[:, column]
            off = np.linalg.inv(basis.T * weight @ basis) @ (basis.T * weight)
            summed, filled = (overlap[:, column] * w for w in (good[:, column], ~good[:, column]))
            total = summed + (filled @ own - summed @ (basis - own)) @ off
            wanted = np.sqrt(total**2 @ fit.image.variance[:, column])
            assert_allclose(found[name][column], wanted, rtol=1e-9)


def test_alone_a_source_has_the_errors_of_the_pixels():
    """Nothing is subtracted, whatever is known of trace, width and flux."""
    spectrum = sm.MasterBackgroundSpectrum(np.linspace(-4, NX + 4, 9), name="target spectrum")
    given = image(2)
    given = given.replace(mask=given.mask & LINES, data=given.data - 10)
    fit = sm.VarProFitter()(source("target", 8.2, fixed={"flux": True}) * spectrum, given)
    assert len(fit.theta)
    position = next(p[0] for leaf, p in fit.form.leaves() if leaf.name == "target spectrum")
    overlap = aperture_overlap(given.y, np.full(NX, 8.2), 2.6)
    variance = fit.variance_of_sums(overlap, np.ones((NY, NX), bool) & ~LINES, position)
    bad = LINES.any(axis=0)
    pixels = np.sum(overlap**2 * given.variance, axis=0)
    assert_allclose(variance[~bad], pixels[~bad], rtol=1e-9)
    assert (np.abs(variance[bad] / pixels[bad] - 1) > 1e-3).all()


def test_sums_have_unit_pulls_where_the_shape_of_a_neighbour_is_fitted():
    """In five columns, place and width of a bright neighbour are much of what is not known."""
    x = np.arange(5.0)
    light, rest = (flux * sm.GaussianProfile(stddev=1.5, center=row)(Y) + 0 * x
                   for flux, row in ((50, 8.0), (900, 11.0)))  # fmt: skip
    overlap = aperture_overlap(Y[:, 0], np.full(5, 8.0), 2.6)
    everything = np.ones(light.shape, dtype=bool)
    target = source("target", 8.0, fixed={"trace_c0": True, "stddev": True})
    spectrum = sm.MasterBackgroundSpectrum([-1, 5], name="spectrum")
    model = target + source("neighbour", 11.0, fixed={"flux": True}) * spectrum
    pulls = []
    for seed in range(200):
        data = np.random.default_rng(seed).normal(light + rest, 1.0)
        seen = sm.SpectralImage(data, variance=np.ones(data.shape), wavelength=x + 0 * Y)
        fit = sm.VarProFitter()(model, seen)
        off = np.sum(overlap * (data - fit.components()["spectrum"] - light), axis=0)
        variance = fit.variance_of_sums(overlap, everything, fit.position("flux_0"))
        pulls.append(off / np.sqrt(variance))
    pixels = np.sqrt(np.sum(overlap**2, axis=0) / variance)
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=0.06)
    assert (pixels < 0.85).all()
