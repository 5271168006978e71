"""Bad pixels filled from the trace model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_undersampled_slit(seed=5, shape=(26, 400), bad_fraction=0.03)


@pytest.fixture(scope="module")
def result(slit):
    return sm.PixelReplacement()(slit[0])


def test_bad_pixels_and_hits_are_replaced_within_their_errors(slit, result):
    image, truth = slit
    assert_array_equal(result.replaced, image.mask | truth.hits)
    pulls = (result.data - truth.image)[result.replaced] / np.sqrt(result.variance[result.replaced])
    assert 0.8 < np.std(pulls) < 1.25
    assert not result.missing.any()


def test_other_pixels_stay_as_they_are(slit, result):
    image, _ = slit
    kept = ~result.replaced
    assert_array_equal(result.data[kept], image.data[kept])
    assert_allclose(result.variance[kept], image.variance[kept])


def test_a_column_without_pixels_stays_empty(slit):
    image, _ = slit
    mask = np.array(image.mask)
    mask[:, 200] = True
    found = sm.PixelReplacement()(image.replace(mask=mask))
    assert found.missing[:, 200].all()
    assert found.image.mask[:, 200].all()


def test_better_than_the_mean_of_the_neighbours(slit, result):
    image, truth = slit
    rows, columns = np.nonzero(image.mask & (truth.image > 0.2 * truth.image.max()))
    rows, columns = rows[(rows > 0) & (rows < 25)], columns[(rows > 0) & (rows < 25)]
    means = 0.5 * (image.data[rows - 1, columns] + image.data[rows + 1, columns])
    good = np.isfinite(means)
    true = truth.image[rows, columns]
    error = np.abs(result.data[rows, columns] - true)[good]
    assert np.median(error) < 0.1 * np.median(np.abs(means - true)[good])


def test_result_has_image_report_spectra_and_figure(result):
    assert sm.read(result.image).single.shape == (26, 400)
    assert result.report()["missing"][0] == 0
    assert list(result.spectra) == ["1"]
    assert "pixels replaced" in repr(result)
    assert result.plot().axes


def test_replaced_image_is_extracted_like_a_clean_one(slit, result):
    _, truth = slit
    profile, trace = result.fits["1"].source_parts()
    model = sm.Source(profile, trace, name="star") + sm.ColumnPolynomial(1, name="sky")
    found = sm.OptimalExtraction(model, fitter=sm.LinearFitter())(result.image)
    ratio = found.spectrum.flux.value / truth.flux[0]
    assert abs(np.nanmedian(ratio) - 1) < 0.03
