"""Frames of many slits: blocks and what they share, against dense and sparse linear algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.sparse.linalg import splu

import specmodels as sm
from specmodels.fitters.system import arrow_equations, entries, structure
from specmodels.fitters.system.arrow_structure import ArrowStructure
from specmodels.numerics import tiling
from tests.fitters.system.slits import frame_of_slits
from tests.fitters.system.test_dense import assert_is_dense, dense


@pytest.fixture
def in_blocks(monkeypatch):
    """Small systems are solved as large ones are."""

    def cheaper(best, entries, weights, reach, pairs):
        return ArrowStructure.of(entries, weights, reach, pairs)

    monkeypatch.setattr(structure, "MUCH_WORK", 0)
    monkeypatch.setattr(structure, "_cheaper", cheaper)
    monkeypatch.setattr(tiling, "TILE", 16)


@pytest.fixture(params=["held", "made anew"])
def memory(request, monkeypatch):
    """Entries of pixels are held, or made anew some rows at a time."""
    if request.param == "made anew":
        monkeypatch.setattr(entries, "MOST_HELD", 0)
        monkeypatch.setattr(entries, "PIXELS_AT_ONCE", 1000)


def data_of(fit, image):
    return np.where(fit.equations.weights > 0, image.filled.ravel(), 0.0)


@pytest.mark.usefixtures("in_blocks", "memory")
@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize("one_sky", [True, False])
@pytest.mark.parametrize("of_columns", [True, False])
def test_blocks_and_what_they_share_are_solved_as_dense_algebra_does(along, one_sky, of_columns):
    model, image = frame_of_slits((36, 50), 3, along=along, one_sky=one_sky, of_columns=of_columns)
    fit = sm.LinearFitter()(model, image)
    assert fit.solver.startswith("arrow")
    assert_is_dense(fit, data_of(fit, image))


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize("one_sky", [True, False])
def test_priors_connect_coefficients(one_sky, along):
    model, image = frame_of_slits((40, 60), 2, smooth=0.3, along=along, one_sky=one_sky)
    fit = sm.LinearFitter()(model, image)
    assert_is_dense(fit, data_of(fit, image))


@pytest.mark.usefixtures("in_blocks")
def test_two_exposures_share_spectra():
    model, image = frame_of_slits((30, 40), 2)
    images = [image, frame_of_slits((30, 40), 2, seed=2)[1].replace(name="second")]
    fit = sm.LinearFitter()(model, images)
    assert fit.solver.startswith("arrow")
    assert_is_dense(fit, np.concatenate([i.filled.ravel() for i in images]))
    taken = [fit.equations.leverages()[part].sum() for part in fit.fitted.slices]
    second = fit.of_image(1)
    assert_allclose(second.equations.leverages(),
                    fit.equations.leverages()[fit.fitted.slices[1]])  # fmt: skip
    assert_allclose(second.predict(), fit.predict()[1])
    assert_allclose(fit.dof, [np.sum(~one.mask) for one in images] - np.array(taken))


@pytest.mark.usefixtures("in_blocks")
def test_what_is_not_determined_is_named():
    model, image = frame_of_slits((30, 40), 2, one_sky=True)
    model.right.right.coefficient_prior = None  # of the flicker, behind its coordinate
    fit = sm.LinearFitter()(model, image)
    assert not fit.success
    assert "not determined" in fit.message
    assert_is_dense(fit, data_of(fit, image))


@pytest.mark.usefixtures("in_blocks")
def test_bounds_hold_coefficients_of_blocks_and_shared_ones():
    model, image = frame_of_slits((30, 40), 2, of_columns=True)
    image = image.replace(data=image.data - 5)
    model.flux_0.bounds = (0, None)
    fit = sm.LinearFitter()(model, image)
    assert fit.solver.startswith("arrow")
    assert np.nanmin(fit["flux_0"]) == 0
    free = ~fit.held
    left = fit.equations.vector(fit.fitted.data) - fit.equations.product(fit.coefficients)
    assert np.max(np.abs(left[free])) < 1e-9 * np.max(fit.equations.diagonal)


@pytest.mark.parametrize("along", [True, False])
def test_six_slits_agree_with_a_sparse_solver(monkeypatch, along):
    monkeypatch.setattr(structure, "MUCH_WORK", 0)
    monkeypatch.setattr(entries, "MOST_HELD", 0)
    model, image = frame_of_slits((200, 300), 6, n_harmonics=2, along=along, ridge=0.01)
    one, two = (sm.LinearFitter()(model, image) for _ in range(2))
    assert one.success
    assert np.array_equal(one.coefficients, two.coefficients)
    equations = one.equations
    index, value = equations.entries.index, equations.entries.value
    pixels = np.repeat(np.arange(len(index)), index.shape[1])
    design = sparse.csr_array((value.ravel(), (pixels, index.ravel())),
                              shape=(len(index), equations.n))  # fmt: skip
    matrix = design.T @ (design * equations.weights[:, None])
    for penalty, strength in zip(equations.penalties.all, equations.strengths, strict=True):
        assert (penalty.first == penalty.second).all()
        matrix = matrix + sparse.coo_array((strength * penalty.value,
                                            (penalty.first, penalty.second)),
                                           shape=matrix.shape)  # fmt: skip
    seen = matrix.diagonal() > 0
    solver = splu(sparse.csc_array(matrix)[seen][:, seen])
    expected = solver.solve((design.T @ (equations.weights * image.filled.ravel()))[seen])
    error = np.sqrt(equations.variances[seen])
    assert np.max(np.abs(one.coefficients[seen] - expected) / error) < 1e-9
    for number in np.flatnonzero(seen)[:: equations.n // 40]:
        unit = (np.arange(equations.n) == number)[seen].astype(float)
        assert_allclose(equations.variances[number], unit @ solver.solve(unit), rtol=1e-8)


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize("one_sky", [True, False])
def test_covariances_of_any_pairs_are_those_of_dense_algebra(monkeypatch, one_sky, along):
    monkeypatch.setattr(arrow_equations, "SOLUTIONS_AT_ONCE", 7)
    model, image = frame_of_slits((30, 40), 2, one_sky=one_sky, along=along, ridge=0.01)
    equations = sm.LinearFitter()(model, image).equations
    design, weights, precision = dense(equations)
    matrix = design.T @ (design * weights[:, None]) + precision
    seen = np.flatnonzero(equations.factor.scale[equations.structure.rank] > 0)
    inverse = np.linalg.inv(matrix[np.ix_(seen, seen)])
    i, j = np.random.default_rng(1).integers(0, len(seen), (2, 60))
    near = np.arange(0, len(seen) - 4, 5)
    i, j = np.concatenate([i, near, near]), np.concatenate([j, near + 1, near + 4])
    error = np.sqrt(np.diagonal(inverse))
    found = equations.covariance(seen[i], seen[j]) / (error[i] * error[j])
    assert_allclose(found, inverse[i, j] / (error[i] * error[j]), atol=1e-8)


def test_covariance_of_sums_of_a_frame(in_blocks):
    model, image = frame_of_slits((30, 40), 2)
    fit = sm.LinearFitter()(model, image)
    name = fit.names[0]
    weights = np.linspace(0, 1, 2)
    covariance = fit.covariance_of({name: weights}, name)
    assert_allclose(covariance[0, 0], weights @ covariance[1:, 1:] @ weights, rtol=1e-9)
    assert_allclose(np.sqrt(np.diagonal(covariance)[1:]), fit.error(name), rtol=1e-9)


def test_pixels_in_no_slit_have_no_light_of_slits():
    model, image = frame_of_slits((40, 60), 2)
    fit = sm.LinearFitter()(model, image)
    outside = np.isnan(image.coordinates["slit"])
    assert outside.any()
    assert (fit.components()["sky"][outside] == 0).all()
    x, y = image.x[None], image.y[:, None]
    assert_allclose(fit.model(x, y)[~image.mask], fit.predict()[~image.mask], atol=1e-9)
