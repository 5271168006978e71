"""Rejection round any fitter: hits go, good pixels and real features stay, truth is recovered."""

import numpy as np
import pytest
from astropy.modeling import models
from numpy.testing import assert_allclose, assert_array_equal

from specmodels import LinearFitter, SigmaClipFitter, VarProFitter
from tests.fitters.simulated import (
    N_COLUMN,
    N_ROW,
    assert_unit_pulls,
    light,
    observed,
    scene,
    spectrum,
)

CLIP = SigmaClipFitter(VarProFitter())


def struck(seed=0, n_hits=15, **fields):
    """Truth, an image with hits, and where they are; two of them on the trace."""
    flux = spectrum(seed)
    image = observed(light(scene(), flux), seed, **fields)
    rng = np.random.default_rng(seed)
    hits = np.zeros(image.shape, dtype=bool)
    hits[rng.integers(0, N_ROW, n_hits), rng.integers(0, N_COLUMN, n_hits)] = True
    hits[11, rng.integers(0, N_COLUMN, 2)] = True
    size = 50 * (1 + rng.pareto(1.0, image.shape))
    return flux, image.replace(data=image.data + np.where(hits, size, 0.0)), hits


def start():
    return scene(stddev=1.6, center=10.7, slope=0.8)


@pytest.mark.parametrize("seed", range(5))
def test_fluxes_are_as_without_the_hits(seed):
    flux, image, hits = struck(seed)
    result = CLIP(start(), image)
    assert result.success
    assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))
    assert result.rejected[hits].all()
    assert np.count_nonzero(result.rejected & ~hits) <= 1
    told = VarProFitter()(start(), image.replace(mask=hits))
    assert_allclose(result["stddev_0"], told["stddev_0"], atol=result.error("stddev_0"))
    assert_array_equal(result.image.mask, result.rejected)


def test_without_rejection_the_hits_would_matter():
    flux, image, _ = struck()
    plain = VarProFitter()(start(), image)
    pulls = (plain["flux_0"] - flux) / plain.error("flux_0")
    assert pulls.std() > 3


def test_nothing_is_rejected_from_good_data():
    """At 4.5 sigma one pixel in 150000 is lost."""
    counts = [CLIP(start(), observed(light(scene(), spectrum(s)), s)).rejected.sum()
              for s in range(10)]  # fmt: skip
    assert sum(counts) <= 2


def test_bright_lines_are_no_hits():
    flux = spectrum(1)
    flux[[10, 30, 31]] *= 30
    clean = light(scene(), flux)
    image = observed(clean, 1, np.sqrt(clean + 4))
    result = CLIP(start(), image)
    assert result.rejected.sum() <= 2
    assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))


def test_hit_on_the_peak_of_a_bright_source_is_found():
    flux = spectrum(2)
    image = observed(light(scene(stddev=0.6), flux), 2)
    data = image.data.copy()
    peak = np.argmax(light(scene(stddev=0.6), flux), axis=0)
    columns = np.array([5, 30, 55])
    data[peak[columns], columns] *= 1.5
    result = CLIP(scene(stddev=0.8), image.replace(data=data))
    assert result.rejected[peak[columns], columns].all()
    assert result.rejected.sum() == 3  # and none of their neighbours
    assert_unit_pulls((result["flux_0"] - flux) / result.error("flux_0"))


def test_row_that_scatters_more_than_its_errors_is_kept():
    """An uncertain row is no row of hits: only what sticks out of its own scatter goes."""
    image = observed(light(scene(), spectrum(3)), 3)
    data = image.data.copy()
    data[3] += 8 * np.random.default_rng(3).normal(size=N_COLUMN)
    result = CLIP(start(), image.replace(data=data))
    assert result.rejected[3].mean() < 0.1


def test_is_a_wrapper_of_any_fitter():
    _, image, hits = struck(4)
    linear = SigmaClipFitter(LinearFitter())(scene(), image)
    assert linear.rejected[hits].mean() > 0.9
    own = SigmaClipFitter(VarProFitter(shared=False))(start(), image)
    assert own.rejected[hits].mean() > 0.8
    assert_array_equal(SigmaClipFitter()(scene(), image)["flux_0"], linear["flux_0"])


def test_single_system_rejects_too():
    x, y = np.meshgrid(np.arange(N_COLUMN, dtype=float), np.arange(N_ROW, dtype=float))
    truth = models.Polynomial2D(1, c0_0=3.0, c1_0=0.1, c0_1=-0.2)
    image = observed(truth(x, y), 5, 1.0)
    data = image.data.copy()
    data[::5, ::7] += 40
    result = SigmaClipFitter()(models.Polynomial2D(1), image.replace(data=data), batch=None)
    expected = np.zeros(data.shape, dtype=bool)
    expected[::5, ::7] = True
    assert np.count_nonzero(result.rejected != expected) <= 1
    for name in truth.param_names:
        assert abs(result[name] - getattr(truth, name).value) < 4 * result.error(name)


def test_pixels_masked_before_are_not_counted_as_rejected():
    _, image, _ = struck(6)
    mask = np.zeros(image.shape, dtype=bool)
    mask[:, :10] = True
    result = CLIP(start(), image.replace(mask=mask))
    assert not result.rejected[:, :10].any()
    assert_array_equal(result.image.mask, mask | result.rejected)
    assert np.isnan(result["flux_0"][:10]).all()


def test_same_answer_bit_for_bit_and_nothing_changed():
    _, image, _ = struck(7)
    model = start()
    values, kept = model.parameters.copy(), image.data.copy()
    first, second = CLIP(model, image), CLIP(model, image)
    assert_array_equal(first["flux_0"], second["flux_0"])
    assert_array_equal(first.rejected, second.rejected)
    assert_array_equal(model.parameters, values)
    assert_array_equal(image.data, kept)


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [({"sigma": 0}, ValueError, "sigma"), ({"sigma": np.nan}, ValueError, "sigma"),
     ({"profile_error": -1}, ValueError, "profile_error"),
     ({"max_rounds": 0}, ValueError, "max_rounds"), ({"fitter": "linear"}, TypeError, "fitter")],
)  # fmt: skip
def test_refuses_settings_that_mean_nothing(settings, error, name):
    with pytest.raises(error, match=name):
        SigmaClipFitter(**settings)


def test_hits_on_a_faint_source_are_not_its_light():
    """In their columns they are nearly all light there is, and a fit makes them its own."""
    rng = np.random.default_rng(4)
    mean = light(scene(), np.full(N_COLUMN, 12.0))
    image = observed(mean, 4)
    columns = rng.choice(N_COLUMN, 12, replace=False)
    hits = np.zeros(image.shape, dtype=bool)
    hits[np.argmax(mean[:, columns], axis=0), columns] = True
    data = np.where(hits, image.data + 150 * np.sqrt(image.variance), image.data)
    fit = CLIP(scene(), image.replace(data=data))
    assert fit.rejected[hits].all()
