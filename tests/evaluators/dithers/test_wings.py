"""What skies take of the wings of sources is counted, and an error, of many exposures as of one."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.fluxes.hidden_wings import HiddenWings

EXTRACTION = sm.OptimalExtraction(n_sources=1)


def pairs(number, **options):
    """Pairs of exposures of one source that differ in noise, and the flux of the source."""
    base, truth = sm.datasets.make_slit(shape=(24, 80), hit_fraction=0, bad_fraction=0, **options)
    rng = np.random.default_rng(11)
    frames = [base.replace(data=rng.poisson(truth.image) + rng.normal(0, 5, base.shape), name=name)
              for _ in range(number) for name in "ab"]  # fmt: skip
    return list(zip(frames[::2], frames[1::2], strict=True)), truth.flux[0]


def mean_and_error(result, truth):
    """Mean flux over the truth, and its error by the covariance of the samples."""
    name = next(iter(result.sources))
    weights = 1 / (truth * len(truth))
    return (weights @ result.flux(name)[0],
            float(np.sqrt(weights @ result.covariance(name) @ weights)))  # fmt: skip


def test_white_light_of_a_source_with_wings_is_right_within_its_error():
    (*images,), flux = pairs(4, seed=3)
    found = np.array([mean_and_error(EXTRACTION(list(pair)), flux) for pair in images])
    pulls = (found[:, 0] - 1) / found[:, 1]
    assert np.sqrt(np.mean(pulls**2)) < 1.5
    assert abs(np.mean(pulls)) < 1.0


def test_what_is_not_known_of_wings_does_not_average_out():
    (images, *_), flux = pairs(1, seed=3)
    one = EXTRACTION(images[0]).source_fluxes["source"]
    two = EXTRACTION(list(images))
    wings = two.first.wings
    assert 0 < wings.part < 0.1
    assert wings.error == pytest.approx(one.wings.error, rel=0.5)
    assert mean_and_error(two, flux)[1] > wings.error
    ratio = np.median(two.flux("source")[1] / one.error)
    assert 0.5**0.5 < ratio < 0.9


def test_both_exposures_have_the_same_part_and_the_same_fluxes():
    (images, *_), _ = pairs(1, seed=3)
    found = EXTRACTION(list(images))
    assert found["a"].wings == found["b"].wings
    np.testing.assert_allclose(found["a"].source_fluxes["source"].flux, found.flux("source")[0])


def test_nothing_is_hidden_by_a_profile_that_is_given():
    (images, *_), _ = pairs(1, seed=3)
    profile = sm.GaussianProfile(stddev=1.1, fixed={"stddev": True})
    found = sm.OptimalExtraction(n_sources=1, profile=profile)(list(images))
    assert found.first.wings == HiddenWings()


def test_what_pixels_share_in_cleaned_exposures_is_no_obstacle():
    """One draw of what a step has left tells of one exposure: of all together nothing is known."""
    (images, *_), _ = pairs(1, seed=3)
    draws = np.random.default_rng(2).normal(0, 9, (2, *images[0].shape))
    shared = [one.replace(shared_errors={"clean_flicker_noise": draw})
              for one, draw in zip(images, draws, strict=True)]  # fmt: skip
    found, expected = EXTRACTION(shared), EXTRACTION(list(images))
    for one, other in zip(found.flux("source"), expected.flux("source"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(found.report()["status"]) == list(expected.report()["status"])
