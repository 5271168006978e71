"""The staged fit against the fit of all columns at once."""

import numpy as np
import pytest

import specmodels as sm


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_slit(seed=4, shape=(40, 600))


def model(image):
    limits = (image.x[0], image.x[-1])
    return sm.Source(
        sm.MoffatProfile(alpha=3.0), sm.PolynomialTrace(2, limits=limits, c0=20.0),
        width=sm.PolynomialTrace(1, limits=limits, c0=2.0), name="star",
    ) + sm.ColumnPolynomial(0, name="sky")  # fmt: skip


def test_fluxes_and_errors_are_those_of_the_fit_of_all_columns(slit):
    image, truth = slit
    staged = sm.StagedFitter(100)(model(image), image)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model(image), image)
    error = whole.error("flux_0")
    both = np.isfinite(staged["flux_0"]) & np.isfinite(whole["flux_0"])
    same = (staged.rejected == whole.rejected).all(axis=0) & both
    assert same.mean() > 0.9
    assert np.max(np.abs(staged["flux_0"] - whole["flux_0"])[same] / error[same]) < 0.3
    assert np.allclose(staged.error("flux_0")[same], error[same], rtol=0.03)
    assert staged.success
    found = staged.rejected[truth.hits & ~image.mask].mean()
    assert found > 0.9


def test_few_columns_are_fitted_at_once(slit):
    part = slit[0].cutout(columns=slice(0, 150))
    staged = sm.StagedFitter(100)(model(part), part)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model(part), part)
    assert np.array_equal(staged["flux_0"], whole["flux_0"], equal_nan=True)


def test_no_columns_are_refused():
    with pytest.raises(ValueError, match="n_columns"):
        sm.StagedFitter(0)
