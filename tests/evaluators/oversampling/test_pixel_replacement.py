"""Bad pixels filled from the trace model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter1d

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


@pytest.mark.parametrize(
    ("seed", "tilt", "rows"), [(11, 0.5, slice(16, 22)), (3, 0.0, slice(9, 10))]
)
def test_rows_that_no_column_sees_stay_empty(seed, tilt, rows):
    """The profile of a star is an extrapolation there, of up to twice its peak."""
    image, truth = sm.datasets.make_undersampled_slit(
        seed=seed, positions=(0.8,), hit_fraction=0, tilt=tilt
    )
    mask = image.mask.copy()
    mask[rows] = True
    result = sm.PixelReplacement()(image.replace(mask=mask))
    found = result.data[rows]
    assert np.isnan(found).mean() > 0.9
    assert np.nanmax(np.abs(np.nan_to_num(found))) < 0.15 * truth.image.max()
    # Other bad pixels are filled as ever.
    assert np.isfinite(np.delete(result.data, rows, axis=0)).all()


def test_a_row_that_other_columns_see_is_filled_within_errors():
    image, truth = sm.datasets.make_undersampled_slit(seed=6, positions=(0.4,), hit_fraction=0)
    mask = image.mask.copy()
    mask[11] = True
    result = sm.PixelReplacement()(image.replace(mask=mask))
    assert np.isfinite(result.data[11]).mean() > 0.95
    wrong = (result.data - truth.image)[11] / np.sqrt(result.variance[11])
    assert np.nanmedian(np.abs(wrong)) < 2


def lamp(seed, rough=0.02):
    """A slit full of light along which rows differ by smooth misfits, at a ratio of 1000."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:30, :500].astype(float)
    place = y - 15 + 2e-3 * (x - 250)
    drift = gaussian_filter1d(rng.normal(size=y.shape), 6, axis=1) * np.sqrt(12 * np.sqrt(np.pi))
    light = 1e6 * np.exp(-0.5 * (place / 6) ** 2) * (1 + rough * drift)
    image = sm.SpectralImage(rng.poisson(light + 100.0) * 1.0, variance=light + 100, spatial=place)
    return image, light + 100


def test_residuals_around_tell_of_filled_pixels():
    """Where the model is off by more than the noise, its neighbours are off by as much."""
    for seed in (1, 2):
        image, light = lamp(seed)
        hidden = np.random.default_rng(seed + 10).random(image.shape) < 0.01
        result = sm.PixelReplacement()(image.replace(mask=hidden))
        bare = sm.PixelReplacement(residual=sm.NoResidual())(image.replace(mask=hidden))
        use = hidden & np.isfinite(result.data) & (light > 1e5)
        wrong, before = ((one.data - light)[use] for one in (result, bare))
        assert np.std(wrong) < 0.6 * np.std(before)
        pull = wrong / np.sqrt(result.variance[use])
        assert np.sqrt(np.mean(pull**2)) < 1.3


def test_bright_pixels_are_filled_as_well_as_by_their_neighbours_where_these_hardly_differ():
    """In lines the model is better; elsewhere its scales are the noise of their columns."""
    errors, others, pulls = [], [], []
    for seed in range(60, 64):
        image, truth = sm.datasets.make_undersampled_slit(seed=seed, snr=1000, hit_fraction=0)
        hidden = (np.random.default_rng(seed).random(image.shape) < 0.01) & ~image.mask
        hidden[:, :3] = hidden[:, -3:] = False
        mask = image.mask | hidden
        result = sm.PixelReplacement()(image.replace(mask=mask))
        around = np.where(mask, np.nan, image.data)
        around = 0.5 * (np.roll(around, 1, 1) + np.roll(around, -1, 1))
        lit = hidden & (truth.image > 0.05 * truth.image.max()) & np.isfinite(around)
        noise = np.sqrt(image.variance[lit])
        errors.append((result.data - truth.image)[lit] / noise)
        others.append((around - truth.image)[lit] / noise)
        pulls.append((result.data - truth.image)[lit] / np.sqrt(result.variance[lit]))
    errors, others, pulls = (np.concatenate(one) for one in (errors, others, pulls))
    assert np.median(np.abs(errors)) < 1.2 * np.median(np.abs(others))
    assert np.std(errors) < 0.6 * np.std(others)
    assert 0.5 < 1.48 * np.median(np.abs(pulls)) < 1.3


def test_a_fit_that_is_far_off_is_named():
    image, _ = lamp(3, rough=0.1)
    (row,) = sm.PixelReplacement()(image).report()
    assert row["reduced_chi2"] > 100
    assert "chi2/dof" in row["reason"]
