"""Oversampled images against the truth of simulated slits, and whatever can be wrong with input."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

import specmodels as sm
from specmodels.evaluators.oversampling.oversample import signal_to_noise

SMALL = {"seed": 1, "shape": (26, 400)}


@pytest.fixture(scope="module")
def slit():
    return sm.datasets.make_undersampled_slit(**SMALL)


@pytest.fixture(scope="module")
def result(slit):
    return sm.TraceOversampling()(slit[0])


def relative(found, truth, true):
    """RMS over the core, relative to the peak of the column."""
    error = (found - true) / np.abs(truth.oversampled).max(axis=0)
    return np.sqrt(np.nanmean(error[truth.core] ** 2))


class TestTruth:
    def test_light_in_half_pixels(self, slit, result):
        _, truth = slit
        assert relative(result.data, truth, truth.oversampled) < 0.012

    @pytest.mark.parametrize("options", [{}, {"psf_optimal": True}])
    def test_native_response(self, slit, options):
        image, truth = slit
        found = sm.TraceOversampling(native_response=True, **options)(image)
        assert relative(found.data, truth, truth.native_response) < 0.009
        linear = sm.TraceOversampling(fit_threshold=1e9)(image)
        assert relative(linear.data, truth, truth.native_response) > 0.05

    def test_core_flux(self, slit, result):
        _, truth = slit
        found = np.where(truth.core, result.data, 0).sum(axis=0)
        true = np.where(truth.core, truth.oversampled, 0).sum(axis=0)
        assert abs(np.median(found / true) - 1) < 2e-3

    def test_nothing_is_lost(self, result):
        assert np.isfinite(result.data).all()
        assert np.isfinite(result.error).all()

    def test_hits_are_not_carried_through(self, slit, result):
        image, truth = slit
        hit = np.repeat(truth.hits & ~image.mask, 2, axis=0)
        assert hit.any()
        assert result.estimated[hit].all()
        pulls = (result.data - truth.oversampled)[hit] / result.error[hit]
        assert np.abs(pulls).max() < 6

    @pytest.mark.parametrize("options", [{}, {"residual": sm.FullResidual()}])
    def test_errors_are_those_of_the_image(self, slit, options):
        _, truth = slit
        found = sm.TraceOversampling(native_response=True, **options)(slit[0])
        pulls = (found.data - truth.native_response) / found.error
        assert 0.9 < np.std(pulls) < 1.12
        assert 0.85 < np.std(pulls[truth.core]) < 1.3

    def test_filled_pixels_and_their_errors(self, slit, result):
        image, truth = slit
        filled = result.estimated
        assert filled.sum() == 2 * np.count_nonzero(image.mask | truth.hits)
        pulls = (result.data - truth.oversampled)[filled] / result.error[filled]
        assert np.std(pulls) < 1.4

    def test_sums_over_a_small_aperture_oscillate_ten_times_less(self, slit):
        """The light within half a pixel, in a tilted slit, by counting pixels or fine pixels."""
        image, truth = slit
        quiet = image.replace(data=truth.image, mask=np.zeros(image.shape, bool))

        def ripple(data, spatial, size, exact):
            inside = np.clip(0.5 - np.abs(spatial / 0.1 - 1.3) + size / 2, 0, size)
            ratio = (data * inside).sum(axis=0) / exact
            smooth = np.polyval(np.polyfit(image.x, ratio, 3), image.x)
            return np.std((ratio - smooth)[5:-5])

        exact = _aperture(truth, np.linspace(0.08, 0.18, 401))
        native = ripple(quiet.data, quiet.spatial, 1.0, exact)
        assert native > 0.05
        found = sm.TraceOversampling(factor=5)(quiet)
        assert ripple(found.data, found.spatial, 0.2, exact) < 0.1 * native
        found = sm.TraceOversampling(factor=2)(quiet)
        assert ripple(found.data, found.spatial, 0.5, exact) > 0.1 * native
        spectrum = found.aperture_spectrum("1", 0.1, 0.13).flux.value
        assert ripple(spectrum[None], np.full((1, exact.size), 0.13), 1.0, exact) < 0.1 * native
        assert abs(np.median(spectrum / exact) - 1) < 3e-3

    def test_structure_that_the_model_lacks_stays(self, slit):
        image, _truth = slit
        blob = np.zeros(image.shape)
        blob[18:21, 200:204] = 0.15
        found = sm.TraceOversampling()(image.replace(data=image.data + blob))
        plain = sm.TraceOversampling()(image)
        added = (found.data - plain.data)[30:48, 195:209].sum() / 2
        assert abs(added / blob.sum() - 1) < 0.03

    def test_variances_made_from_noisy_data_do_not_bias_the_light(self):
        image, truth = sm.datasets.make_undersampled_slit(
            seed=6, shape=(26, 600), snr=12, hit_fraction=0
        )
        floor = (0.1 * np.percentile(truth.image, 99.9) / 12) ** 2
        gain = np.median((image.variance - floor) / truth.image)
        poisson = gain * np.maximum(np.where(image.mask, 1, image.data), 0)
        read = np.full(image.shape, floor)
        noisy = image.replace(variance=None, components={"read": read, "poisson": poisson})
        good = np.repeat(~image.mask, 2, axis=0) & truth.core
        for options in ({}, {"residual": sm.FullResidual()}):
            found = sm.TraceOversampling(**options)(noisy)
            assert abs(found.data[good].sum() / truth.oversampled[good].sum() - 1) < 0.01

    def test_diffuse_light_is_not_altered(self):
        image, truth = sm.datasets.make_undersampled_slit(fluxes=(1e-6,), **SMALL)
        found = sm.TraceOversampling()(image)
        assert not found.fits
        assert "below" in found.reasons["1"]
        pulls = (found.data - truth.oversampled) / found.error
        quiet = ~np.repeat(truth.hits, 2, axis=0)
        quiet[1:] &= quiet[:-1]
        quiet[:-1] &= quiet[1:]
        assert abs(np.nanmean(pulls[quiet])) < 0.03
        assert 0.95 < np.nanstd(pulls[quiet]) < 1.05

    def test_several_sources_and_a_negative_nod(self):
        image, truth = sm.datasets.make_undersampled_slit(
            seed=2, shape=(34, 500), positions=(-0.7, 0.6, 0.05), fluxes=(1.0, -1.0, 0.15)
        )
        found = sm.TraceOversampling()(image)
        linear = sm.TraceOversampling(fit_threshold=1e9)(image)
        error = relative(found.data, truth, truth.oversampled)
        assert error < 0.1 * relative(linear.data, truth, truth.oversampled)
        assert np.isfinite(found.trace[np.abs(truth.image) > 0.3]).mean() > 0.98

    def test_source_on_the_edge_of_the_slit(self):
        image, truth = sm.datasets.make_undersampled_slit(
            seed=4, shape=(24, 400), positions=(1.15,), tilt=1.5
        )
        found = sm.TraceOversampling()(image)
        linear = sm.TraceOversampling(fit_threshold=1e9)(image)
        assert np.isfinite(found.data).all()
        error = relative(found.data, truth, truth.oversampled)
        assert error < 0.4 * relative(linear.data, truth, truth.oversampled)


def _aperture(truth, positions):
    """Light between positions in arcsec, from the fine truth, interpolated where it is smooth."""
    from specmodels.datasets.undersampled import FWHM_TO_SIGMA, _profile

    n_column = truth.flux.shape[1]
    fraction = np.linspace(0, 1, n_column)
    sigma = FWHM_TO_SIGMA * (1.0 + 0.5 * fraction)
    middle = 0.5 * (positions[1:] + positions[:-1]) / 0.1
    step = (positions[1] - positions[0]) / 0.1
    light = _profile(middle[:, None] - 1.3, step, sigma, 0.1) * truth.flux[0]
    diffuse = 0.02 * (1 + middle[:, None] / SMALL["shape"][0])
    return (light + diffuse).sum(axis=0) * step


def _with_true_shape(result):
    """The only slice of a result, whose profile is taken for true but for its own noise."""
    fit = result.fits["1"]
    assert fit.shape_errors.max() > 0
    fit.__dict__["shape_errors"] = np.zeros_like(fit.shape_errors)
    return result.parts["1"]


class TestResult:
    @pytest.mark.parametrize("factor", [1, 1.1, 1.5, 2, 3])
    def test_light_is_conserved(self, slit, factor):
        image, truth = slit
        found = sm.TraceOversampling(factor=factor)(image)
        assert found.data.shape == (round(26 * factor), 400)
        assert abs(found.data.mean() / truth.image.mean() - 1) < 2e-3

    @pytest.mark.parametrize(("factor", "n_fine"), [(1.1, 28), (1.7, 42), (2.5, 62)])
    def test_factor_without_a_whole_number_of_rows(self, factor, n_fine):
        """Fine rows cover the image exactly, so that no light is lost in the last one."""
        image = sm.SpectralImage(np.ones((25, 60)), variance=np.ones((25, 60)), unit="Jy")
        found = sm.TraceOversampling(factor=factor)(image)
        assert found.shape == (n_fine, 60)
        assert found.factor == n_fine / 25
        assert_allclose(found.data.sum(axis=0), 25)
        assert_allclose((found.rows.offset + found.rows.native)[[0, -1]],
                        [0.5 / found.factor - 0.5, 24.5 - 0.5 / found.factor])  # fmt: skip

    def test_light_per_pixel_is_shared(self, slit, result):
        image, _ = slit
        found = sm.TraceOversampling()(image.replace(unit="Jy"))
        assert_allclose(found.data, 0.5 * result.data)
        assert_allclose(found.error, 0.5 * result.error)
        kept = sm.TraceOversampling(flux_per_pixel=False)(image.replace(unit="Jy"))
        assert_allclose(kept.data, result.data)

    def test_factor_one_evaluates_the_trace(self, slit):
        found = sm.TraceOversampling(factor=1)(slit[0])
        assert_array_equal(np.isfinite(found.trace), np.isfinite(found.oversampled_trace))
        assert_allclose(found.trace, found.oversampled_trace, equal_nan=True, rtol=1e-6)

    def test_trace_is_where_the_source_is(self, slit, result):
        _, truth = slit
        known = np.isfinite(result.trace)
        assert known[truth.image > 0.1].all()
        assert 0.1 < known.mean() < 0.8

    def test_covariance_is_that_of_the_errors(self, slit, result):
        columns = np.arange(10, 390, 4)
        covariance = result.covariance("1", columns=columns)
        variance = np.diag(covariance.to_dense()).reshape(-1, columns.size)
        ratio = variance / result.variance[:, columns]
        assert_allclose(np.median(ratio), 1, atol=0.01)
        assert_allclose(ratio, 1, atol=0.5)
        some = result.covariance("1", columns=[100, 101]).to_dense()
        assert_allclose(some, some.T)
        assert np.linalg.eigvalsh(some).min() > -1e-12 * some.max()

    def test_covariance_predicts_the_errors_of_sums(self, slit, result):
        """Neighbouring pixels of the core err together; as independent ones they would not."""
        columns = np.arange(10, 390, 4)
        covariance = result.covariance("1", columns=columns).to_dense()
        core = slit[1].core[:, columns]
        error = np.where(core, (result.data - slit[1].oversampled)[:, columns], 0).sum(axis=0)
        each = np.eye(columns.size, dtype=bool)[:, None]
        weights = (core & each).reshape(columns.size, -1).astype(float)
        expected = np.einsum("kp,pq,kq->k", weights, covariance, weights)
        assert 0.8 < np.sqrt(np.mean(error**2 / expected)) < 1.2

    def test_components_add_up_to_the_variance_of_the_data(self):
        image, _ = sm.datasets.make_undersampled_slit(**SMALL)
        parts = {"read": 0.3 * image.variance, "poisson": 0.7 * image.variance}
        found = sm.TraceOversampling()(image.replace(components=parts))
        part = _with_true_shape(found)
        profile = part.fit.profile_variance(part.fine_positions, part.image.x, part.width)
        own = np.where(part.modelled, part.fit.scale**2 * profile, 0)
        kept = ~found.estimated
        total = sum(found.components.values()) + own
        assert_allclose(total[kept], found.variance[kept], rtol=1e-6)

    def test_factor_of_the_empirical_inflation(self, result):
        assert_allclose(result.inflation, 1.23)

    def test_inflated_errors(self, slit, result):
        found = sm.TraceOversampling(inflate_errors=True)(slit[0])
        assert_allclose(found.error, 1.23 * result.error)
        assert_allclose(found.data, result.data)

    def test_report_spectrum_and_repr(self, slit, result):
        _, truth = slit
        (row,) = result.report()
        assert row["status"] == "modelled"
        assert row["hits"] == np.count_nonzero(truth.hits & ~slit[0].mask)
        spectrum = result.spectra["1"]
        assert abs(np.median(spectrum.flux.value / truth.flux[0]) - 1) < 0.03
        assert "1 of 1 slices" in repr(result)

    def test_image_can_be_read_again(self, result):
        image = sm.read(result.image).single
        assert image.shape == result.data.shape
        again = sm.TraceOversampling()(image)
        assert again.fits

    def test_figure(self, result):
        figure = result.plot()
        assert sum(ax.get_label() != "<colorbar>" for ax in figure.axes) == 4

    def test_pickle_after_everything_was_looked_at(self, slit):
        for evaluator in (sm.TraceOversampling(), sm.PixelReplacement()):
            result = evaluator(slit[0])
            before = (result.spectra["1"].flux.value, result.data, result.variance, result.image)
            again = pickle.loads(pickle.dumps(result))
            assert_array_equal(again.spectra["1"].flux.value, before[0])
            assert_array_equal(again.data, before[1])
            assert_array_equal(again.variance, before[2])

    def test_tables(self, result):
        (table,) = result.tables().values()
        assert_array_equal(table["flux"], result.spectra["1"].flux)
        assert table["wavelength"].unit == "um"

    def test_covariance_of_what_there_is_not(self, result):
        with pytest.raises(KeyError, match="no slice '7'; there are"):
            result.covariance("7")
        for columns in ([6000], [-1], [1.5], ["1"]):
            with pytest.raises(ValueError, match="columns: expected whole numbers from 0 to 399"):
                result.covariance("1", columns)

    def test_input_is_untouched(self, slit):
        image, _ = slit
        before = {k: np.array(getattr(image, k)) for k in ("data", "variance", "mask", "spatial")}
        sm.TraceOversampling()(image)
        for key, value in before.items():
            assert_array_equal(getattr(image, key), value)


class TestSlices:
    def test_regions_are_modelled_one_by_one(self, slit):
        image, _truth = slit
        both = np.concatenate([image.data, image.data])
        regions = np.repeat([1, 7], 26)[:, None] * np.ones((1, 400), int)
        double = sm.SpectralImage(
            both, variance=np.concatenate([image.variance] * 2),
            mask=np.concatenate([image.mask] * 2), spatial=np.concatenate([image.spatial] * 2),
        )  # fmt: skip
        found = sm.TraceOversampling(regions=regions)(double)
        alone = sm.TraceOversampling()(image)
        assert list(found.parts) == ["1", "7"]
        assert_allclose(found.data[:52], alone.data, rtol=1e-6)
        assert_allclose(found.data[52:], alone.data, rtol=1e-6)
        assert_array_equal(np.unique(found.regions), [1, 7])

    def test_empty_slices_and_gaps_stay_empty(self, slit):
        image, _ = slit
        regions = np.ones(image.shape, int)
        regions[:4] = 0
        regions[-6:] = 2
        mask = np.array(image.mask)
        mask[-6:] = True
        mask[:, 150:160] = True
        found = sm.TraceOversampling(regions=regions)(image.replace(mask=mask))
        assert np.isnan(found.data[:8]).all()
        assert np.isnan(found.data[-12:]).all()
        assert np.isnan(found.data[:, 150:160]).all()
        assert np.isfinite(found.data[8:-12, :150]).all()

    def test_slice_with_one_usable_column_is_interpolated(self, slit):
        image, _ = slit
        mask = np.ones(image.shape, bool)
        mask[:, 100] = image.mask[:, 100]
        found = sm.TraceOversampling(fit_threshold=0)(image.replace(mask=mask))
        assert "do not determine" in found.reasons["1"]
        assert np.isfinite(found.data[:, 100]).sum() >= 48

    def test_without_positions_rows_are_positions(self):
        image, truth = sm.datasets.make_undersampled_slit(tilt=0, fwhm=(2.5, 3.0), **SMALL)
        found = sm.TraceOversampling()(image.replace(spatial=None))
        assert relative(found.data, truth, truth.oversampled) < 0.012


class TestBadInput:
    @pytest.mark.parametrize(
        "settings",
        [{"factor": 0.5}, {"factor": np.nan}, {"factor": np.inf}, {"slope_limit": -1}, {"pad": -1},
         {"fit_threshold": -1}],
    )  # fmt: skip
    def test_settings_out_of_range(self, settings):
        with pytest.raises(ValueError, match="expected"):
            sm.TraceOversampling(**settings)

    @pytest.mark.parametrize(
        "settings",
        [{"model": sm.GaussianProfile()}, {"fitter": sm.LinearFitter()}, {"residual": "full"},
         {"factor": "2"}, {"factor": None}, {"factor": [1, 2]}, {"pad": "3"},
         {"slope_limit": None}],
    )  # fmt: skip
    def test_settings_of_another_kind(self, settings):
        with pytest.raises(TypeError, match="expected"):
            sm.TraceOversampling(**settings)

    @pytest.mark.parametrize("name", ["regions", "spatial"])
    def test_map_of_another_shape(self, slit, name):
        with pytest.raises(ValueError, match=f"{name}: expected the shape"):
            sm.TraceOversampling(**{name: np.ones((3, 4))})(slit[0])

    # Extraction takes them as a time series.
    @pytest.mark.parametrize("evaluator", [sm.TraceOversampling(), sm.PixelReplacement()])
    def test_integrations_are_no_image(self, evaluator):
        model = datamodels.CubeModel(data=np.zeros((2, 8, 8), "f4"))
        with pytest.raises(TypeError, match=r"data: .*got integrations of shape \(2, 8, 8\)"):
            evaluator(model)

    def test_map_without_slices(self, slit):
        with pytest.raises(ValueError, match="above zero"):
            sm.TraceOversampling(regions=np.zeros(slit[0].shape))(slit[0])

    def test_image_without_good_pixels(self, slit):
        image = slit[0].replace(mask=np.ones(slit[0].shape, bool))
        found = sm.TraceOversampling()(image)
        assert np.isnan(found.data).all()
        assert found.reasons["1"]

    def test_image_without_variance(self, slit):
        image = sm.SpectralImage(slit[0].data, mask=slit[0].mask, spatial=slit[0].spatial)
        with pytest.warns(UserWarning, match="no variance is known"):
            found = sm.TraceOversampling()(image)
        assert np.isfinite(found.data).all()
        assert relative(found.data, slit[1], slit[1].oversampled) < 0.02

    def test_infinite_values_are_masked(self, slit):
        data = np.array(slit[0].data)
        data[5, 5], data[6, 6] = np.inf, -np.inf
        found = sm.TraceOversampling()(slit[0].replace(data=data))
        assert np.isfinite(found.data).all()


def test_signal_to_noise_does_not_see_a_gradient():
    rng = np.random.default_rng(0)
    ramp = 5 * np.arange(30.0)[:, None]
    image = sm.SpectralImage(ramp + rng.normal(size=(30, 300)), variance=np.ones((30, 300)))
    assert signal_to_noise(image) < 6
    source = np.zeros((30, 300))
    source[12] = 1.5
    assert signal_to_noise(image.replace(data=image.data + source)) > 15


@pytest.mark.parametrize(("column", "width"), [(150.28, 0.6), (220.3, 0.62), (90.72, 0.6)])
def test_a_line_beside_the_trace_is_no_hit(column, width):
    """It is hardly wider than a pixel along the dispersion, but a hit is sharper."""
    image, _ = sm.datasets.make_undersampled_slit(seed=8, shape=(32, 300), hit_fraction=0)
    rows, columns = np.indices(image.shape)
    line = np.exp(-0.5 * ((rows - 24.3) / 1.1) ** 2 - 0.5 * ((columns - column) / width) ** 2)
    line *= 0.4 * np.nanmax(image.data)
    hit = np.zeros(image.shape)
    hit[7, 60] = hit[8, 200] = line.max()
    data = image.data + line + hit
    result = sm.TraceOversampling()(image.replace(data=data))
    without = sm.TraceOversampling()(image)
    box = slice(38, 60), slice(int(column) - 4, int(column) + 6)
    found = 0.5 * np.nansum((result.data - without.data)[box])
    assert abs(found / line.sum() - 1) < 0.05
    (part,) = result.parts.values()
    assert part.hits[hit > 0].all()
    assert not part.hits[line > 0.1 * line.max()].any()
    assert "lines that the profile does not have" in result.report()["reason"][0]
