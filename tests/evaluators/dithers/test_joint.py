"""Several exposures of the same sources in one extraction, against the truth."""

import pickle

import numpy as np
import pytest
from scipy.special import erf

import specmodels as sm

NY, NX = 40, 240
ROWS = (12.0, 20.0, 28.0, 16.0, 24.0, 32.0)


def spread(y, center, sigma):
    ends = (erf((y + side - center) / sigma / 2**0.5) for side in (0.5, -0.5))
    return 0.5 * (next(ends) - next(ends))


def star(p, level=300.0):
    return level * (1 + 0.4 * np.sin(p / 40) + 1.5 * np.exp(-0.5 * ((p - 120) / 1.5) ** 2))


def nods(seed, n=3, *, grid=0.0, clouds=None, level=300.0, night=None):
    """Exposures with trace, seeing and sky of their own, shifted by `grid` columns each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:NY, :NX].astype(float)
    images = []
    for number in range(n):
        p = x - grid * number
        row = ROWS[number] + 0.003 * x + rng.uniform(-0.5, 0.5)
        light = star(p, level) * (clouds or {}).get(number, 1.0)
        sky = rng.uniform(20, 60) * (1.0 if night is None else night(x - 0.4 * number))
        image = light * spread(y, row, rng.uniform(1.3, 1.8)) + sky
        data = image + rng.normal(size=image.shape) * np.sqrt(image + 9)
        images.append(sm.SpectralImage(data, variance=image + 9, wavelength=(1 + 0.001 * p)[0],
                                       wavelength_unit="um", name="ABCDEF"[number]))  # fmt: skip
    return images


def pulls(result, name="source", level=300.0):
    table = result.table(name)
    truth = star((table["wavelength"].value - 1) / 0.001, level)
    return (table["flux"].value - truth) / table["flux_error"].value


@pytest.mark.parametrize("grid", [0.0, 0.37])
def test_one_spectrum_from_all_exposures_has_the_signal_of_all(grid):
    images = nods(1, grid=grid)
    result, one = (sm.OptimalExtraction(n_sources=1)(data) for data in (images, images[0]))
    assert list(result.report()["status"]) == ["ok"]
    assert abs(np.nanmean(pulls(result))) < 0.3
    assert 0.87 < np.nanstd(pulls(result)) < 1.13
    gain = np.nanmedian(one.table("source")["flux_error"] / result.table("source")["flux_error"])
    assert 1.55 < gain < 1.95
    table = result.exposures()
    assert list(table["exposure"]) == ["A", "B", "C"]
    np.testing.assert_allclose(table["share"], 1 / 3, atol=0.08)
    assert table["share"].sum() == pytest.approx(1)
    assert not any(table["reason"])
    np.testing.assert_array_equal(table["throughput"], 1.0)


@pytest.mark.parametrize(("n", "level"), [(2, 15000.0), (6, 40.0)])
def test_few_bright_and_many_faint_exposures(n, level):
    result = sm.OptimalExtraction(n_sources=1)(nods(2, n, grid=0.2, level=level))
    assert result.fit.success
    own = pulls(result, level=level)
    assert abs(np.nanmean(own)) < 0.3
    assert 0.85 < np.nanstd(own) < 1.15


@pytest.mark.parametrize("number", [0, 2])
def test_an_exposure_behind_clouds_has_a_throughput_of_its_own(number):
    result = sm.OptimalExtraction(n_sources=1)(nods(3, clouds={number: 0.6}))
    throughput, error = result.throughput("source")
    assert abs(throughput[number] - 0.6) < 5 * error[number]
    assert 0 < error[number] < 0.03
    assert [n for n in range(3) if error[n] == 0] == [n for n in range(3) if n != number]
    assert abs(np.nanmean(pulls(result))) < 0.4
    assert any(note.startswith(f"{'ABC'[number]}: 0.") for note in result.notes)
    assert result.exposures()["share"][number] < 0.25


def test_an_exposure_of_another_spectrum_is_named():
    images = nods(4)
    y, x = np.mgrid[:NY, :NX].astype(float)
    other = images[1].replace(data=images[1].data + 250 * np.sin(x / 17) * spread(y, 20.4, 1.5))
    result = sm.OptimalExtraction(n_sources=1)([images[0], other, images[2]])
    (reason,), (status,) = result.report()["reason"], result.report()["status"]
    assert status == "check"
    assert "B: differs from the other exposures" in reason
    assert np.argmax(result.exposures()["difference"]) == 1


def test_wavelengths_follow_the_lines_of_the_sky():
    centers = np.random.default_rng(1).uniform(0, NX, 25)

    def night(p):
        return 1 + 20 * sum(np.exp(-0.5 * ((p - c) / 1.1) ** 2) for c in centers)

    result = sm.OptimalExtraction(n_sources=1)(nods(5, night=night))
    np.testing.assert_allclose(result.exposures()["shift"], [0, -0.4, -0.8], atol=0.03)
    assert any("lines of its sky" in note for note in result.notes)


def test_wavelengths_are_left_alone_where_no_line_shows_a_shift():
    result = sm.OptimalExtraction(n_sources=1)(nods(1, grid=0.37))
    np.testing.assert_array_equal(result.exposures()["shift"], 0.0)


def test_hits_masks_and_missing_variances_do_no_harm():
    images = nods(6)
    data = np.array(images[0].data)
    data[12:14, 60] += 20000
    mask = np.zeros((NY, NX), dtype=bool)
    mask[:, 100:110] = True
    images[0] = images[0].replace(data=data)
    images[1] = images[1].replace(mask=mask)
    images[2] = images[2].replace(variance=None)
    result = sm.OptimalExtraction(n_sources=1)(images)
    assert result["A"].fit.rejected[12:14, 60].all()
    own = pulls(result)
    assert np.isfinite(own).all()
    assert np.abs(own[58:63]).max() < 4.5
    assert abs(own.mean()) < 0.3
    assert 0.85 < own.std() < 1.15
    table = result.table("source")
    np.testing.assert_array_equal(table["n_exposures"][100:110], 2)
    assert table["flux_error"][105] > 1.1 * table["flux_error"][80]


def test_an_exposure_without_pixels_is_left_out_and_named():
    images = nods(1)
    images[1] = images[1].replace(mask=np.ones((NY, NX), dtype=bool))
    result = sm.OptimalExtraction(n_sources=1)(images)
    assert list(result.views) == ["A", "C"]
    assert "B left out: no usable pixel" in result.report()["reason"][0]
    with pytest.raises(KeyError, match="no usable pixel"):
        result["B"]
    with pytest.raises(ValueError, match="exposures: no usable pixel in any of them"):
        sm.OptimalExtraction()([images[1], images[1]])


def test_sources_are_recognised_by_their_distances():
    y, x = np.mgrid[:48, :NX].astype(float)
    rng, images = np.random.default_rng(1), []
    fluxes = 600 * (1 + 0.3 * np.sin(x[0] / 30)), 250 * (1 + 0.3 * np.sin(x[0] / 17))
    for row in (12.2, 20.1, 28.4):
        image = 30 + sum(f * spread(y, row + 8 * k, 1.5) for k, f in enumerate(fluxes))
        data = rng.normal(image, np.sqrt(image))
        images.append(sm.SpectralImage(data, variance=image))
    result = sm.OptimalExtraction()(images)
    assert len(result.sources) == 2
    for name, flux in zip(result.sources, fluxes, strict=True):
        table = result.table(name)
        own = (table["flux"].value - flux) / table["flux_error"].value
        assert abs(own.mean()) < 0.3
        assert 0.85 < own.std() < 1.15


def test_a_model_of_the_user_is_that_of_each_exposure():
    source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(1, limits=(0, NX - 1)), name="star")
    sky = sm.ColumnPolynomial(0, limits=(0, NY - 1), name="sky")
    result = sm.OptimalExtraction(source + sky)(nods(1, grid=0.3))
    assert list(result.spectra) == ["star"]
    assert abs(np.nanmean(pulls(result, "star"))) < 0.3
    fixed = sm.Source(sm.GaussianProfile(), name="star")
    fixed.flux.fixed = True
    with pytest.raises(ValueError, match="model: expected sources with a free flux"):
        sm.OptimalExtraction(fixed + sky)(nods(1))


@pytest.mark.parametrize(
    ("weights", "rows"), [((-0.5, 1, -0.5), (10, 20, 30)), ((1, -1), (13, 27))]
)
def test_lobes_of_combined_nods_give_one_spectrum(weights, rows):
    y, x = np.mgrid[:NY, :NX].astype(float)
    flux = 60 * (1 + 0.3 * np.sin(x / 30))
    clean = sum(w * flux * spread(y, row, 1.6) for w, row in zip(weights, rows, strict=True))
    data = np.random.default_rng(3).normal(clean, 1.0)
    image = sm.SpectralImage(data, variance=np.ones(data.shape))
    result = sm.OptimalExtraction(lobes=weights)(image)
    table = result.table("source")
    own = (table["flux"].value - flux[0]) / table["flux_error"].value
    assert abs(own.mean()) < 0.4
    assert 0.85 < own.std() < 1.15
    single = spread(y[:, :1], 20.0, 1.6)
    best = 1 / np.sqrt(np.sum(single**2) * np.sum(np.square(weights)))
    assert float(np.median(table["flux_error"])) == pytest.approx(best, rel=0.06)
    both = sm.OptimalExtraction(lobes=weights)([image, image.replace(name="again")])
    gain = float(np.median(table["flux_error"] / both.table("source")["flux_error"]))
    assert gain == pytest.approx(2**0.5, rel=0.05)


@pytest.mark.parametrize("wrong", ["a", (1,), (1, 0), (1, np.nan), 3])
def test_wrong_lobes_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="lobes: expected"):
        sm.OptimalExtraction(lobes=wrong)
    with pytest.raises(ValueError, match="lobes: cannot be given together"):
        sm.OptimalExtraction(lobes=(1, -1), n_sources=2)


def test_slits_of_several_exposures_are_extracted_by_name():
    exposures = [sm.Exposure([image.replace(name="7"), nods(8)[n].replace(name="9")])
                 for n, image in enumerate(nods(7))]  # fmt: skip
    results = sm.OptimalExtraction(n_sources=1)(exposures)
    assert list(results) == ["7", "9"]
    assert list(results["7"].views) == ["exposure 1", "exposure 2", "exposure 3"]
    assert abs(np.nanmean(pulls(results["9"]))) < 0.3


def test_units_must_agree():
    images = nods(1, 2)
    images[1] = images[1].replace(unit="ct")
    with pytest.raises(ValueError, match="exposures: expected data in one unit"):
        sm.OptimalExtraction()(images)
    images = nods(1, 2)
    images[1] = images[1].replace(wavelength=1000 * images[1].wavelength, wavelength_unit="nm")
    result = sm.OptimalExtraction(n_sources=1)(images)
    assert abs(np.nanmean(pulls(result))) < 0.3


def test_what_a_result_offers(tmp_path):
    result = sm.OptimalExtraction(n_sources=1)(nods(1, 2, grid=0.3))
    assert "in 'A', 'B'" in repr(result)
    covariance = result.covariance("source")
    error = result.table("source")["flux_error"].value
    np.testing.assert_allclose(np.sqrt(np.diagonal(covariance)), error, rtol=1e-8)
    assert abs(covariance[50, 51]) > 1e-3 * covariance[50, 50]
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.flux("source")[0], result.flux("source")[0])
    for name in ("a.fits", "a.asdf"):
        sm.write(result, tmp_path / name)
    ratio, ratio_error = result.normalisation("source")
    assert abs(ratio - 1) < 5 * ratio_error + 0.01
    assert result.aperture_spectra["source"].shape == result.spectrum.shape
    figure = result.plot()
    assert sum(ax.get_label() != "<colorbar>" for ax in figure.axes) == 5
