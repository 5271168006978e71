"""Light that a profile lacks, in fits that cannot count it to the fluxes."""

import numpy as np
import pytest

import specmodels as sm

NY, NX = 30, 240
LINES = 40, 120, 200


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("moved", [0.0, 3.0])
def test_lines_beside_the_profile_are_named(known, moved):
    """Of a composition with a sky of wavelength; with variances or without."""
    y, x = np.mgrid[:NY, :NX].astype(float)
    wavelength = x + 0.1 * y
    lines = sum(np.exp(-0.5 * ((x - c) / 2) ** 2) for c in LINES)
    profile, beside = (np.exp(-0.5 * ((y - 15 - d) / 1.5) ** 2) for d in (0.0, moved))
    mean = 300 * profile + 3000 * lines * beside + 50
    data = np.random.default_rng(3).poisson(mean).astype(float)
    image = sm.SpectralImage(data, variance=mean if known else None, wavelength=wavelength)
    spectrum = sm.MasterBackgroundSpectrum(sm.breakpoints(wavelength, 5.0))
    star = sm.Source(sm.GaussianProfile(stddev=1.5), sm.PolynomialTrace(0, c0=15.0), name="star")
    model = star + sm.sky_of_wavelength(spectrum, name="sky")
    fitter = sm.VarProFitter()
    (row,) = sm.OptimalExtraction(model=model, fitter=fitter)(image).report()
    assert ("light that the profile lacks" in row["reason"]) == bool(moved)
