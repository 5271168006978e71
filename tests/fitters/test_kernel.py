"""The kernel of coadded columns: right for straight traces, and honest about what it needs."""

import numpy as np
import pytest

from specmodels import (
    GaussianProfile,
    KernelSliceFitter,
    PolynomialTrace,
    Source,
    SpectralImage,
)

N_ROW, N_COLUMN = 30, 300


@pytest.fixture
def straight():
    """A straight trace of constant width, and its fluxes."""
    rng = np.random.default_rng(5)
    flux = 2000 * (1 + 0.4 * np.sin(np.arange(N_COLUMN) / 20))
    profile = GaussianProfile().evaluate(np.arange(N_ROW)[:, None], 14.3, 1.6)
    image = flux * profile
    variance = image + 16.0
    data = image + rng.normal(size=image.shape) * np.sqrt(variance)
    return SpectralImage(data, variance=variance), flux


def source():
    return Source(GaussianProfile(stddev=1.2), PolynomialTrace(0, c0=14.0))


def test_fluxes_scatter_about_the_truth_as_their_errors_say(straight):
    image, flux = straight
    result = KernelSliceFitter()(source(), image)
    pull = (result["flux"] - flux) / result.error("flux")
    assert abs(pull.mean()) < 4 / np.sqrt(N_COLUMN)
    assert abs(pull.std() - 1) < 4 / np.sqrt(2 * N_COLUMN)
    assert result["trace_c0"] == pytest.approx(14.3, abs=0.01)
    assert result["stddev"] == pytest.approx(1.6, abs=0.01)


def test_slice_lies_around_the_brightest_columns(straight):
    image, flux = straight
    fitter = KernelSliceFitter(n_columns=20)
    column = fitter.coadd(image)
    assert column.shape == (N_ROW, 1)
    window = np.abs(np.arange(N_COLUMN) - column.x[0]) < 10
    assert flux[window].mean() > 0.95 * flux.max()


def test_slice_may_be_named(straight):
    image, flux = straight
    column = KernelSliceFitter(columns=(100, 109)).coadd(image)
    assert column.x[0] == pytest.approx(104.5)
    total, error = column.data.sum(), np.sqrt(column.variance.sum())
    assert abs(total - flux[100:110].mean()) < 4 * error


def test_failure_of_the_kernel_is_told(straight):
    image, _ = straight
    from specmodels import VarProFitter

    result = KernelSliceFitter(VarProFitter(max_iterations=1))(source(), image)
    assert not result.success
    assert "not converged" in result.message


def test_slice_without_pixels_is_refused(straight):
    image, _ = straight
    mask = np.zeros(image.shape, dtype=bool)
    mask[:, 100:110] = True
    with pytest.raises(ValueError, match="no usable pixel"):
        KernelSliceFitter(columns=(100, 109))(source(), image.replace(mask=mask))


@pytest.mark.parametrize("n_columns", [0, -3])
def test_width_of_the_slice_must_be_positive(n_columns):
    with pytest.raises(ValueError, match="n_columns"):
        KernelSliceFitter(n_columns=n_columns)
