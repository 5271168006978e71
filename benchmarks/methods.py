"""Ways to extract the spectra of a slit: this package and the established ones.

Each takes a `Slit` and returns fluxes and standard errors, shape (n_source, n_column); those of
specreduce treat the first source only.
"""

import numpy as np
from astropy import units as u
from astropy.modeling.models import Chebyshev1D
from astropy.nddata import VarianceUncertainty
from jwst.extract_1d.extract1d import extract1d
from specreduce.background import Background
from specreduce.extract import BoxcarExtract, HorneExtract
from specreduce.tracing import FitTrace
from specutils import Spectrum

import specmodels as sm

FAILURES = (ValueError, IndexError, TypeError, AttributeError, RuntimeError)
APERTURE = 8


def specmodels_automatic(slit):
    """All from the data but the number of sources."""
    return ordered(sm.OptimalExtraction(n_sources=slit.n_sources)(slit.image))


def ordered(result):
    """Fluxes and errors of a result of this package, sources from the first row to the last."""
    tables = result.tables()
    names = sorted(tables, key=lambda name: np.mean(tables[name]["trace"]))
    return [np.array([u.Quantity(tables[name][key]).value for name in names])
            for key in ("flux", "flux_error")]  # fmt: skip


def jwst_optimal(slit):
    """The pipeline's fit of given profiles and a constant: here the true ones."""
    data, variance, good = slit.plain()
    zero = np.where(good, 0.0, np.nan)
    # These weights multiply the design matrix, so that they enter squared.
    weights = np.where(good, variance**-0.5, 0.0)
    flux, *variances = extract1d(
        data, [p.copy() for p in slit.profiles], variance, zero, zero, weights=weights,
        extraction_type="optimal", fit_bkg=True, bkg_order=0,
    )[:4]  # fmt: skip
    return flux, np.sqrt(sum(variances))


def specreduce_gaussian(slit):
    """Fitted trace, two-sided background, Horne extraction with a Gaussian profile."""
    return _specreduce(slit, "gaussian")


def specreduce_interpolated(slit):
    """The same with the profile interpolated from the data."""
    return _specreduce(slit, "interpolated_profile")


def specreduce_boxcar(slit):
    """Fitted trace, two-sided background, sum over eight rows."""
    return _specreduce(slit, None)


def specreduce_trace(slit, image=None):
    """Trace fitted to the Gaussian centroids of 64 bins."""
    image = spectrum_2d(slit) if image is None else image
    return FitTrace(image, bins=64, trace_model=Chebyshev1D(3), peak_method="gaussian")


def spectrum_2d(slit):
    """The image as specreduce takes it."""
    data, variance, good = slit.plain()
    return Spectrum(
        np.where(good, data, 0.0) * u.DN,
        spectral_axis=np.arange(data.shape[1]) * u.pix,
        uncertainty=VarianceUncertainty(np.where(good, variance, 1.0) * u.DN**2),
        mask=~good,
    )


def _specreduce(slit, profile):
    _, variance, good = slit.plain()
    image = spectrum_2d(slit)
    trace = specreduce_trace(slit, image)
    separation = 16 + 2 * slit.n_sources
    clean = Background.two_sided(image, trace, separation=separation, width=APERTURE).sub_image()
    clean.mask = ~good
    if profile is None:
        extraction = BoxcarExtract(clean, trace, width=APERTURE)
    else:
        extraction = HorneExtract(
            np.asarray(clean.flux.value), trace, variance=np.where(good, variance, 1.0),
            mask=~good, unit=u.DN, spatial_profile=profile,
        )  # fmt: skip
    spectrum = extraction()
    return spectrum.flux.value[None], _standard_error(spectrum)[None]


def _standard_error(spectrum):
    uncertainty = spectrum.uncertainty
    if uncertainty is None:
        return np.full(spectrum.flux.shape, np.nan)
    array = np.asarray(uncertainty.array)
    return np.sqrt(array) if uncertainty.uncertainty_type == "var" else array
