"""Profiles against direct integration of their densities, and a user's own profile."""

import numpy as np
import pytest
from astropy.modeling import Parameter, models
from numpy.testing import assert_allclose
from scipy import integrate, special

from specmodels.models.lorentz_profiles import LorentzProfile, VoigtProfile
from specmodels.models.profiles import (
    BoxProfile,
    GaussianProfile,
    MoffatProfile,
    Profile,
)

ROWS = np.arange(-6.0, 7.0)


def integrated(density, center):
    """Integral of a density over each pixel of `ROWS`."""
    out = []
    for row in ROWS:
        points = [center] if abs(row - center) < 0.5 else None
        options = {"epsabs": 1e-13, "epsrel": 1e-12, "limit": 500, "points": points}
        out.append(integrate.quad(density, row - 0.5, row + 0.5, **options)[0])
    return np.array(out)


class ExponentialProfile(Profile):
    """A user's own profile, as short as it can be."""

    center, scale = Parameter(default=0), Parameter(default=1)

    def cumulative(self, y, center, scale):
        t = (y - center) / scale
        return np.where(t < 0, 0.5 * np.exp(-np.abs(t)), 1 - 0.5 * np.exp(-np.abs(t)))


@pytest.mark.parametrize(
    ("profile", "stock"),
    [
        (GaussianProfile(0.13, 0.3), models.Gaussian1D(1, 0.13, 0.3)),
        (MoffatProfile(0.13, 0.5, 2.5), models.Moffat1D(1, 0.13, 0.5, 2.5)),
        (LorentzProfile(0.13, 0.3), models.Lorentz1D(1, 0.13, 0.6)),
        (BoxProfile(0.13, 3.1), models.Box1D(1, 0.13, 3.1)),
    ],
)
def test_pixels_hold_the_integral_of_the_stock_model(profile, stock):
    norm = {
        "GaussianProfile": 0.3 * np.sqrt(2 * np.pi),
        "MoffatProfile": 0.5 * np.sqrt(np.pi) * special.gamma(2) / special.gamma(2.5),
        "LorentzProfile": 0.3 * np.pi,
        "BoxProfile": 3.1,
    }[type(profile).__name__]
    expected = integrated(stock, 0.13) / norm
    tolerance = 2e-6 if isinstance(profile, BoxProfile) else 1e-10
    assert_allclose(profile(ROWS), expected, atol=tolerance)


@pytest.mark.parametrize(
    ("stddev", "gamma"),
    [(0.3, 0.3), (0.3, 1e-3), (1.0, 0.5), (1e-3, 1e-3), (0.05, 2.0), (2.0, 0.0), (0.01, 0.3)],
)
class TestVoigt:
    def test_is_exact_however_narrow(self, stddev, gamma):
        expected = integrated(lambda y: special.voigt_profile(y - 0.13, stddev, gamma), 0.13)
        assert_allclose(VoigtProfile(0.13, stddev, gamma)(ROWS), expected, atol=1e-9)

    def test_only_the_lorentz_wings_lie_outside_of_a_wide_column(self, stddev, gamma):
        y = np.arange(-50_000.0, 50_001)[:, np.newaxis]
        light = VoigtProfile.evaluate(VoigtProfile(), y, 0.13, stddev, gamma).sum()
        assert_allclose(light, 1 - 2 * gamma / np.pi / 50_000, atol=1e-9)


def test_voigt_becomes_gaussian_and_lorentz_at_its_limits():
    assert_allclose(VoigtProfile(0.2, 1.3, 0.0)(ROWS), GaussianProfile(0.2, 1.3)(ROWS), atol=1e-9)
    assert_allclose(VoigtProfile(0.2, 1e-3, 1.3)(ROWS), LorentzProfile(0.2, 1.3)(ROWS), atol=1e-6)


def test_moffat_of_high_power_becomes_gaussian():
    alpha, stddev = 30.0, 1.2
    gamma = stddev * np.sqrt(2 * alpha)
    difference = MoffatProfile(0.2, gamma, alpha)(ROWS) - GaussianProfile(0.2, stddev)(ROWS)
    assert np.abs(difference).max() < 0.01


def test_column_of_pixels_of_another_size_keeps_the_light():
    profile = GaussianProfile(0.2, 0.8)
    profile.pixel_size = 0.5
    y = np.arange(-10, 10, 0.5)
    assert_allclose(profile.evaluate(y[:, np.newaxis], 0.2, 0.8).sum(), 1)
    assert_allclose(profile.evaluate(y, 0.2, 0.8).sum(), 1)


def test_gaps_between_rows_are_no_column():
    y = np.array([0.0, 1.0, 3.0, 4.0])
    profile = GaussianProfile(2.0, 1.0)
    assert_allclose(profile.evaluate(y[:, np.newaxis], 2.0, 1.0)[:, 0], profile(y))


def test_user_profile_needs_its_cumulative_only():
    profile = ExponentialProfile(0.2, 0.7)
    density = integrated(lambda y: np.exp(-abs(y - 0.2) / 0.7) / 1.4, 0.2)
    assert_allclose(profile(ROWS), density, atol=1e-10)
    by_center = profile.fit_deriv(ROWS, 0.2, 0.7)[0]
    ends = [ExponentialProfile(c, 0.7)(ROWS) for c in (0.2 + 1e-5, 0.2 - 1e-5)]
    assert_allclose(by_center, (ends[0] - ends[1]) / 2e-5, atol=1e-8)


def test_profile_without_cumulative_says_what_to_define():
    with pytest.raises(NotImplementedError, match="must define cumulative"):
        Profile().evaluate(ROWS, 0.0)


@pytest.mark.parametrize(("stddev", "gamma"), [(1.0, 0.5), (1.0, 0.0), (0.1, 2.0)])
def test_voigt_width_is_good_to_a_permille(stddev, gamma):
    half = 0.5 * VoigtProfile.fwhm(stddev, gamma)
    ratio = special.voigt_profile(half, stddev, gamma) / special.voigt_profile(0, stddev, gamma)
    assert_allclose(ratio, 0.5, rtol=1e-3)


@pytest.mark.parametrize("values", [
    (np.array([[10.0, 11, 12, 13]]), np.array([0.1, 3, 0.3, 2]), np.array([3.0, 3, 4, 2])),
    (np.array([[10.0], [11]]), np.array([[0.1], [3]]), np.array([[3.0], [2]])),
])  # fmt: skip
def test_narrow_and_wide_moffat_cores_side_by_side(values):
    """Those integrated by Gauss's rule and the others agree with the cumulative distribution."""
    profile = MoffatProfile()
    y = np.arange(30.0)[:, None] if values[0].shape[0] == 1 else np.arange(30.0)[None]
    value, derivatives = profile.value_and_derivatives(y, *values)
    exact = [profile.cumulative(y + 0.5, *values) - profile.cumulative(y - 0.5, *values)]
    ends = [profile.cumulative_derivatives(y + s, *values) for s in (0.5, -0.5)]
    exact += [above - below for above, below in zip(*ends, strict=True)]
    assert_allclose(np.stack([value, *derivatives]), np.stack(exact), atol=1e-7)


@pytest.mark.parametrize("alpha", [2.5, np.array([[2.5]]), np.linspace(1.5, 4, 7)[None]])
@pytest.mark.parametrize("gamma", [2.0, np.linspace(1.5, 4, 7)[None]])
def test_moffat_of_columns_is_that_of_its_cumulative(gamma, alpha):
    """Gauss's rule has the light and the derivatives of the cumulative distribution."""
    moffat, rows = MoffatProfile(), np.arange(20.0)[:, None]
    values = (np.linspace(8, 11, 7)[None], gamma, alpha)
    light, slopes = moffat.value_and_derivatives(rows, *values)
    exact = [moffat.cumulative(rows + 0.5, *values) - moffat.cumulative(rows - 0.5, *values)]
    ends = [moffat.cumulative_derivatives(rows + s, *values) for s in (0.5, -0.5)]
    exact += [above - below for above, below in zip(*ends, strict=True)]
    for found, expected in zip([light, *slopes], exact, strict=True):
        assert_allclose(found, expected, atol=3e-8)
    assert_allclose(moffat.evaluate(rows, *values), light, rtol=1e-12)
