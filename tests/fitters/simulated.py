"""Images drawn from a known model, and what a sample of pulls may scatter by."""

import numpy as np

from specmodels import ColumnPolynomial, GaussianProfile, PolynomialTrace, Source, SpectralImage

N_ROW, N_COLUMN = 24, 60
LIMITS = (0.0, N_COLUMN - 1.0)
ROWS = (0.0, N_ROW - 1.0)
X, Y = np.meshgrid(np.arange(N_COLUMN, dtype=float), np.arange(N_ROW, dtype=float))


def scene(*, stddev=1.2, center=11.3, slope=1.5, degree=1, sky=0):
    """A Gaussian source on a tilted trace, and a sky; the values given are those of the model."""
    trace = PolynomialTrace(degree, limits=LIMITS, c0=center, **({"c1": slope} if degree else {}))
    return Source(GaussianProfile(stddev=stddev), trace, name="star") + ColumnPolynomial(
        sky, limits=ROWS, name="sky"
    )


def spectrum(seed=0, level=800.0, n_column=N_COLUMN):
    """A flux for each column, between a half and one and a half of the level."""
    return level * np.random.default_rng(seed).uniform(0.5, 1.5, n_column)


def light(model, flux, level=10.0):
    """Pixels of `scene`, each column with its own flux."""
    x, y = np.arange(len(flux))[None], np.arange(N_ROW)[:, None]
    source = model["star"] if model.n_submodels > 1 else model
    return flux * source.fraction(x, y, [getattr(source, n).value for n in source.param_names]) + (
        level
    )


def observed(clean, seed, sigma=2.0, **fields):
    """An image of the light with Gaussian noise."""
    noise = np.random.default_rng(seed).normal(size=clean.shape) * sigma
    variance = np.broadcast_to(np.asarray(sigma, dtype=float) ** 2, clean.shape)
    return SpectralImage(clean + noise, variance=variance, **fields)


def assert_unit_pulls(pulls, n_sigma=4.0):
    """Mean zero and width one, within the scatter of that many independent numbers."""
    pulls = np.ravel(pulls)
    assert np.isfinite(pulls).all()
    assert abs(pulls.mean()) < n_sigma / np.sqrt(pulls.size)
    assert abs(pulls.std() - 1) < n_sigma / np.sqrt(2 * pulls.size)
