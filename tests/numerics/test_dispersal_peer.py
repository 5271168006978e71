"""Columns and coefficients against the inner functions of jwst, where their definition is the same.

The peer takes wavelengths at both ends of the range and positions from the corner of a pixel; both
are given to ours here. On a real WCS the two agree to the rounding of sky coordinates.
"""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.modeling import Model
from numpy.polynomial import legendre

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism
from specmodels.numerics.dispersal import Squares, Steps, Traces, disperse

peer = pytest.importorskip("jwst.wfss_contam.disperse", reason="jwst is not installed")

SHAPE, LIMITS = (60, 90), (1.0, 2.0)
WAVELENGTH = np.linspace(0.9, 2.1, 300)
CONVERSION = 0.01 * (1 + (WAVELENGTH - 1.5) ** 2)


def sky_to_detector(x, y, wavelength, order):
    """The sky is the detector."""
    return x, y, wavelength, order


class DetectorToGrism(Model):
    n_inputs, n_outputs = 4, 2

    def evaluate(self, x, y, wavelength, order):
        t = wavelength - 1
        return x + 5 + 40 * t * (1 + 1e-4 * y), y + 2 * t + 1e-3 * x * t


class Wcs:
    def __call__(self, x, y, with_bounding_box=True):
        return x, y

    def get_transform(self, start, end):
        return sky_to_detector if start == "world" else DetectorToGrism()


@pytest.fixture(scope="module")
def both():
    """Columns of the peer and of ours, by source."""
    rng = np.random.default_rng(3)
    segments = np.zeros(SHAPE, int)
    segments[10:18, 8:15], segments[30:36, 20:30] = 3, 8
    y, x = np.nonzero(segments)
    order = np.argsort(segments[y, x], kind="stable")
    y, x = y[order], x[order]
    light, labels = rng.uniform(0.1, 2, len(x)), segments[y, x]
    n_steps = 77
    wavelength = np.linspace(*LIMITS, n_steps)
    scaled = 2 * wavelength - 3
    models = [lambda w, k=k: legendre.legval(2 * w - 3, np.eye(4)[k]) for k in (1, 2, 3)]
    theirs = peer.disperse(
        x,
        y,
        light,
        labels,
        1,
        *LIMITS,
        WAVELENGTH,
        CONVERSION,
        Wcs(),
        Wcs(),
        SHAPE[::-1],
        2,
        models,
    )
    columns = legendre.legvander(scaled, 3) * (wavelength[1] - wavelength[0])
    columns *= sm.Sensitivity(WAVELENGTH, CONVERSION, inverse=True)(wavelength)[:, None]
    squares = Squares(x.astype(float), y.astype(float), light[None], np.full(len(x), 0.5),
                      np.searchsorted(labels, [3, 8, 9]))  # fmt: skip
    to_grism = DetectorToGrism()

    def transform(x, y, wavelength):
        found = to_grism.evaluate(x + 0.5, y + 0.5, wavelength, 1)
        return found[0] - 0.5, found[1] - 0.5

    ours = disperse(squares, Traces.through(transform, squares.boxes(), LIMITS),
                    Steps.of(scaled, columns), SHAPE)  # fmt: skip
    return theirs, ours, n_steps


def test_columns_agree_with_the_peer(both):
    theirs, ours, _ = both
    images = ours.toarray().T.reshape(2, 4, *SHAPE)
    for source, label in enumerate((3, 8)):
        x0, x1, y0, y1 = theirs[label]["bounds"]
        expected = [theirs[label]["image"], *theirs[label]["model_counts"]]
        for own, other in zip(images[source], expected, strict=True):
            np.testing.assert_allclose(own[y0 : y1 + 1, x0 : x1 + 1], other,
                                       atol=1e-10 * np.abs(other).max())  # fmt: skip
            assert np.abs(own).sum() == pytest.approx(np.abs(other).sum(), rel=1e-10)


def test_coefficients_agree_with_the_peer():
    from jwst.wfss_contam.wavefit import fit_slit_by_basis_images

    exposure, truth = sm.datasets.make_slitless(seed=1, n_sources=1, grism=analytic_grism())
    entry = truth.scene.entries[0]
    flat = truth.scene.with_coefficients([1, 0, 0, 0])
    window = slice(0, exposure.shape[0]), slice(0, exposure.shape[1])
    basis = [truth.scene.part(entry.terms, column, window) for column in np.eye(4)]
    simulated = SimpleNamespace(data=basis[0], **{f"fluxmodel_{k}": basis[k] for k in (1, 2, 3)})
    error = np.sqrt(exposure.variance)
    slit = SimpleNamespace(data=exposure.data, err=error, dq=np.zeros(exposure.shape, int),
                           source_id=1, meta=SimpleNamespace(wcsinfo=SimpleNamespace(
                               spectral_order=1)))  # fmt: skip
    theirs = fit_slit_by_basis_images(slit, simulated, rejection_threshold=None)
    lit = basis[0] != 0
    shown = sm.SlitlessExposure(exposure.data, exposure.variance, ~lit)
    ours = sm.SceneFitter(ridge=0)(flat, shown)
    np.testing.assert_allclose(ours.values, theirs, rtol=1e-8)
