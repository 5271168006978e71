"""Columns in which the data determine the flux of some sources and not of others."""

import numpy as np
import pytest

import specmodels as sm

N_ROW, N_COLUMN, ROWS, FLUXES, SKY, SIGMA = 40, 120, (4, 35), (60.0, 80.0), 20.0, 3.0
WIDTH, UNSEEN = 0.4, 15  # beyond so many rows the model of a source is zero
LOST = slice(50, 80)


def source(row, flux, name):
    trace = sm.PolynomialTrace(0, limits=(0, N_COLUMN - 1), c0=float(row))
    return sm.Source(sm.GaussianProfile(stddev=WIDTH), trace, flux=flux, name=name)


def extracted(lost):
    """Result of two sources of which some pixels are lost."""
    y, x = np.mgrid[:N_ROW, :N_COLUMN]
    model = sm.ColumnPolynomial(0, limits=(0, N_ROW - 1), c0=SKY, name="sky")
    for n, (row, flux) in enumerate(zip(ROWS, FLUXES, strict=True)):
        model = model + source(row, flux, f"source {n}")
    data = model(x, y) + np.random.default_rng(6).normal(0, SIGMA, x.shape)
    mask = np.zeros(data.shape, dtype=bool)
    mask[lost] = True
    image = sm.read(data, variance=np.full(data.shape, SIGMA**2), mask=mask)
    return sm.OptimalExtraction(model)(image)


@pytest.mark.parametrize("hidden", [0, 1])
def test_source_that_is_not_seen_takes_nothing_from_the_other(hidden):
    row = ROWS[hidden]
    result = extracted((slice(max(row - UNSEEN, 0), row + UNSEEN + 1), LOST))
    assert np.isnan(result.table(f"source {hidden}")["flux"][LOST]).all()
    names = [f"source {n}" for n in (0, 1)]
    assert result.table(names[hidden])["mask"][LOST].all()
    table = result.table(names[1 - hidden])[LOST]
    assert not table["mask"].any()
    pulls = (table["flux"].value - FLUXES[1 - hidden]) / table["flux_error"].value
    assert abs(pulls.mean()) < 3 / np.sqrt(len(pulls))
    assert 0.5 < pulls.std() < 1.6
    assert np.isfinite(result.model[:, LOST]).all()
    good = ~result.fit.image.mask[:, LOST]
    assert np.mean((result.residual[:, LOST][good] / SIGMA) ** 2) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("joint", [False, True])
def test_name_of_no_source_is_told_from_those_there_are(joint):
    image = sm.datasets.make_slit(shape=(24, 60), seed=2)[0]
    data = [image, image.replace(name="again")] if joint else image
    result = sm.OptimalExtraction(n_sources=1, profile=sm.GaussianProfile())(data)
    for ask in (result.trace, result.fwhm, result.table, result.spectra.__getitem__,
                result.aperture_spectra.__getitem__):  # fmt: skip
        with pytest.raises(KeyError, match=r"no source 'star'; there are \['source'\]"):
            ask("star")
