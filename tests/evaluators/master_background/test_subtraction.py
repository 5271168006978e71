"""Master backgrounds of simulated slitlets, against the sky that was put in."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.evaluators.master_background.lit_rows import lit_rows


@pytest.fixture(scope="module")
def scene():
    return sm.datasets.make_slitlets(seed=7, contaminated=1)


def subtraction(truth, **settings):
    return sm.MasterBackgroundSubtraction(throughput=truth.throughputs, **settings)


@pytest.fixture(scope="module")
def result(scene):
    exposure, truth = scene
    return subtraction(truth)(exposure)


def relative_errors(result, truth, names):
    return np.concatenate([
        (result.background(n) / truth.backgrounds[n] - 1)[np.isfinite(result.background(n))]
        for n in names
    ])  # fmt: skip


TARGETS = ["target_1", "target_2", "target_3"]


class TestAgainstTruth:
    def test_sky_of_science_slits_is_right_within_its_errors(self, scene, result):
        _, truth = scene
        error = relative_errors(result, truth, TARGETS)
        assert abs(np.median(error)) < 0.005
        assert np.std(error) < 0.02
        pulls = np.concatenate([
            ((result.background(n) - truth.backgrounds[n])
             / np.sqrt(result.background_variance(n))).ravel() for n in TARGETS
        ])  # fmt: skip
        assert 0.6 < np.sqrt(np.nanmean(pulls**2)) < 1.5

    def test_levels_of_science_slits_are_better_than_a_guess(self):
        exposure, truth = sm.datasets.make_slitlets(seed=1, snr=60, level_scatter=0.03)
        fitted = subtraction(truth)(exposure)
        guessed = subtraction(truth, fit_levels=False)(exposure)
        unit = np.mean([truth.levels[name] for name in fitted.fit.used])
        off = [[r.skies[n].level - truth.levels[n] / unit for n in TARGETS]
               for r in (fitted, guessed)]  # fmt: skip
        assert np.std(off[0]) < 0.5 * np.std(off[1])
        assert guessed.skies["target_1"].error > 0.01

    def test_scatter_of_levels_may_be_known(self, scene):
        exposure, truth = scene
        levels = [subtraction(truth, level_scatter=scatter)(exposure).skies["target_1"].level
                  for scatter in (1e-4, 0.5)]  # fmt: skip
        learnt = subtraction(truth)(exposure).skies["target_1"].level
        assert min(levels) <= learnt <= max(levels)
        equal = subtraction(truth, level_scatter=1e-4)(exposure)
        assert np.ptp([equal.skies[name].level for name in TARGETS]) < 1e-3
        fixed = subtraction(truth, level_scatter=0.02, fit_levels=False)(exposure)
        assert fixed.skies["target_1"].error == 0.02
        with pytest.raises(ValueError, match="level_scatter"):
            subtraction(truth, level_scatter=2)

    def test_free_rows_of_science_slits_lower_the_noise(self, scene, result):
        exposure, truth = scene
        masks = {n: truth.sources[n] > 1e-3 * truth.backgrounds[n] for n in TARGETS}
        pixels = sm.SkyPixelSelection(source_mask=masks)
        helped = subtraction(truth, pixels=pixels)(exposure)
        ratio = [np.nanmedian(r.background_variance("target_1")) for r in (helped, result)]
        assert ratio[0] < 0.95 * ratio[1]
        for name in TARGETS:
            assert helped.skies[name].error < 1.1 * result.skies[name].error
            error = helped.skies[name].level / result.skies[name].level - 1
            assert abs(error) < 3 * result.skies[name].error

    def test_contaminated_slit_is_left_out_and_in_the_report(self, result):
        assert list(result.left_out) == ["BKG_1"]
        report = result.report()
        row = report[report["slit"] == "BKG_1"][0]
        assert row["role"] == "left out"
        assert "source" in row["reason"]
        assert list(report["role"]).count("background") == 4
        assert list(report["role"]).count("science") == 3

    def test_residuals_are_like_noise(self, result):
        table = result.residuals
        assert list(table["slit"]) == ["BKG_2", "BKG_3", "BKG_4", "BKG_5", "all"]
        assert_allclose(table["gaussian_width"], 1, atol=0.06)
        assert_allclose(table["width"], 1, atol=0.06)
        assert abs(table["mean"][-1]) < 0.05
        assert table["tail_excess"][-1] < 1.5
        assert table["n_pixels"][-1] == sum(table["n_pixels"][:-1])

    def test_nodded_subtraction_is_noisier_by_its_predicted_ratio(self):
        first, truth = sm.datasets.make_slitlets(seed=1, n_background=10, hit_fraction=0)
        rng = np.random.default_rng(3)
        nod = first.map(lambda image: image.replace(
            data=truth.backgrounds[image.name] + np.sqrt(image.variance) * rng.normal(
                size=image.shape)))  # fmt: skip
        table = subtraction(truth)(first).compare_nods(nod)
        assert len(table) == 10
        assert np.all(table["ratio"] > 2)
        assert_allclose(table["nodded"], np.sqrt(2), rtol=0.05)
        assert_allclose(table["master"], 1, rtol=0.05)

    def test_polynomial_is_the_method_of_the_study(self):
        exposure, truth = sm.datasets.make_slitlets(seed=7, n_lines=0)
        result = subtraction(truth, fitter=sm.LogPolynomialSkyFitter(max_degree=8))(exposure)
        assert abs(np.median(relative_errors(result, truth, TARGETS))) < 0.02
        degrees = result.degrees()
        assert list(degrees["degree"]) == list(range(9))
        assert np.all(np.isfinite(degrees["chi2"]))

    def test_judged_by_the_scenes(self, shared_tools):
        scene = shared_tools.scenes.mos_background_scene(snr=5, seed=0)
        result = sm.MasterBackgroundSubtraction()(scene.model)
        assert list(result.left_out) == ["21"]
        backgrounds = [np.nan_to_num(result.background(name)) for name in result.exposure]
        figures = shared_tools.judge.background(scene, backgrounds)
        # The noise of levels and spectrum alone leaves a bias of 0.2 % in one exposure.
        assert abs(figures["bias"]) < 4e-3
        assert figures["scatter"] < 0.022
        assert figures["slit_to_slit"] < 6e-3
        assert figures["features"] < 0.04
        pulls = [
            (result.background(n) - b) / np.sqrt(result.background_variance(n))
            for n, b in zip(result.exposure, scene.truth["backgrounds"], strict=True)
        ][:20]
        assert 0.8 < np.sqrt(np.nanmean(np.concatenate(pulls) ** 2)) < 1.25


class TestProducts:
    def test_input_is_not_changed(self, scene, result):
        exposure, _ = scene
        again, _ = sm.datasets.make_slitlets(seed=7, contaminated=1)
        assert result.exposure is exposure
        for name, image in exposure.items():
            assert np.array_equal(image.data, again[name].data, equal_nan=True)

    def test_subtracted_carries_the_error_of_the_sky(self, scene, result):
        exposure, _ = scene
        for name, image in result.subtracted.items():
            before = exposure[name]
            assert_allclose(image.data, before.data - result.background(name))
            known = ~image.mask
            expected = before.variance + result.background_variance(name)
            assert_allclose(image.variance[known], expected[known])
            assert np.all(image.components["background"][known] > 0)

    def test_spectrum_has_its_covariance(self, scene, result):
        _, truth = scene
        spectrum, covariance = result.spectrum, result.covariance
        assert spectrum.flux.unit == u.MJy / u.sr
        assert spectrum.spectral_axis.unit == u.um
        assert covariance.shape == (spectrum.flux.size,) * 2
        assert_allclose(np.sqrt(np.diagonal(covariance)), spectrum.uncertainty.array, rtol=0.03)
        assert 230 < spectrum.flux.size < 270
        assert list(result.spectra) == ["sky"]
        inner = slice(5, -5)
        ratio = spectrum.flux.value[inner] / truth.sky(spectrum.spectral_axis.value[inner])
        assert abs(np.median(ratio) - 1) < 0.02

    def test_rectified_grid_conserves_flux(self, result):
        edges = np.linspace(1.2, 4.8, 100)
        background, variance = result.rectified("target_1", edges)
        assert background.shape == variance.shape == (17, 99)
        fine, _ = result.rectified("target_1", np.linspace(1.2, 4.8, 991))
        assert_allclose(background, fine.reshape(17, 99, 10).mean(axis=2), rtol=2e-3)
        half, _ = result.rectified("target_1", edges, rows=[3.5])
        assert_allclose(half[0], 0.5 * (background[3] + background[4]), rtol=1e-6)

    def test_figures_are_drawn(self, result):
        assert len(result.plot().axes) == 5
        assert len(result.plot_slit("target_1").axes) >= 5

    def test_pickle(self, result):
        again = pickle.loads(pickle.dumps(result))
        assert_allclose(again.background("BKG_2"), result.background("BKG_2"))

    def test_of_an_exposure_is_an_exposure(self, result):
        assert isinstance(result.to_source(), sm.Exposure)

    def test_settings_are_said_without_arrays(self, scene):
        said = repr(subtraction(scene[1], slits="BKG_*"))
        assert "throughput=<of 8 slits>" in said
        assert "NamedSlits(names=('BKG_*',))" in said

    def test_says_what_it_is(self, result):
        assert "8 slits" in repr(result)
        assert "1 left out" in repr(result)
        assert "SkyFitter" in repr(sm.MasterBackgroundSubtraction())


class TestOtherSpectrographs:
    @pytest.mark.parametrize("n_row", [1, 2])
    def test_fibres(self, n_row):
        exposure, truth = sm.datasets.make_slitlets(seed=5, n_background=9, shape=(11, 300))
        middle = slice(5, 5 + n_row)
        throughputs = {name: value[middle] for name, value in truth.throughputs.items()}
        fibres = exposure.map(lambda image: image.cutout(rows=middle))
        result = sm.MasterBackgroundSubtraction(throughput=throughputs)(fibres)
        assert not result.left_out
        sky = truth.backgrounds["target_1"][middle]
        assert abs(np.nanmedian(result.background("target_1") / sky) - 1) < 0.03
        assert result.skies["target_1"].error > 0.003

    def test_two_ends_of_a_long_slit(self):
        exposure, truth = sm.datasets.make_slitlets(seed=5, shape=(17, 300), n_background=1)
        image = exposure["target_1"]
        ends = np.abs(np.arange(17) - 8) > 5
        mask = np.broadcast_to(~ends[:, None], image.shape)
        result = sm.MasterBackgroundSubtraction(
            slits=["target_1"], throughput=truth.throughputs,
            pixels=sm.SkyPixelSelection(source_mask={"target_1": mask}),
        )(image)  # fmt: skip
        error = result.background("target_1") / truth.backgrounds["target_1"]
        assert abs(np.nanmedian(error) - 1) < 0.02
        assert np.nanstd(error) < 0.03


class TestSelection:
    @pytest.mark.parametrize(
        "slits", [["BKG_2", "BKG_3"], "BKG_[23]", lambda image: image.name in ("BKG_2", "BKG_3")]
    )
    def test_slits_by_name_or_function(self, scene, slits):
        exposure, truth = scene
        assert subtraction(truth, slits=slits)(exposure).fit.used == ["BKG_2", "BKG_3"]

    def test_slits_by_flag_source_and_number(self, scene):
        exposure, _ = scene
        metas = [{"is_background": True}, {"source_name": "bkg 7"}, {"source_id": -3}]
        images = [image.replace(name=f"slit{k}", meta=metas[k] if k < 3 else {})
                  for k, image in enumerate(list(exposure.values())[1:])]  # fmt: skip
        other = sm.Exposure(images)
        assert sm.FlaggedSlits()(other) == ["slit0", "slit1"]
        assert sm.NamedSlits([-3])(other) == ["slit2"]

    def test_windows_leave_out_the_bars(self, scene):
        exposure, truth = scene
        windows = [(-1.2, -0.8), (-0.2, 0.2), (0.8, 1.2)]
        result = subtraction(truth, pixels=sm.SkyPixelSelection(windows=windows))(exposure)
        position = np.abs(exposure["BKG_2"].spatial)
        use = result.sky_pixels("BKG_2")
        assert use.any()
        assert np.all((position[use] <= 0.2) | ((position[use] >= 0.8) & (position[use] <= 1.2)))
        assert abs(np.median(relative_errors(result, truth, TARGETS))) < 0.01

    def test_source_mask_lets_science_slits_help(self, scene):
        exposure, truth = scene
        masks = {n: truth.sources[n] > 1e-3 * truth.backgrounds[n] for n in TARGETS}
        pixels = sm.SkyPixelSelection(source_mask=masks)
        result = subtraction(truth, pixels=pixels)(exposure)
        assert set(TARGETS) <= set(result.fit.used)
        chosen = subtraction(truth, slits=["BKG_2", "target_2"], pixels=pixels)(exposure)
        assert chosen.fit.used == ["BKG_2", "target_2"]
        assert not np.any(result.sky_pixels("target_1") & masks["target_1"])

    def test_deep_shadows_can_be_left_out(self, scene):
        exposure, truth = scene
        pixels = sm.SkyPixelSelection(least_throughput=0.5)
        result = subtraction(truth, pixels=pixels)(exposure)
        seen = truth.throughputs["BKG_2"]
        assert np.all(seen[result.sky_pixels("BKG_2")] >= 0.5 * seen.max())

    def test_median_filter_runs_over_the_data(self, scene):
        exposure, truth = scene
        pixels = sm.SkyPixelSelection(median_filter=(3, 1))
        result = subtraction(truth, pixels=pixels, fit_levels=False)(exposure)
        plain = subtraction(truth, fit_levels=False)(exposure)
        assert result.fit.chi2 < 0.8 * plain.fit.chi2
        assert result.fit.used == plain.fit.used

    def test_median_filter_of_several_columns_is_warned_of(self, scene, caplog):
        exposure, truth = scene
        subtraction(truth, pixels=sm.SkyPixelSelection(median_filter=(1, 5)))(exposure)
        assert "takes narrow lines out of the sky" in caplog.text

    def test_median_filter_of_rows_keeps_the_level(self, scene):
        exposure, truth = scene
        pixels = sm.SkyPixelSelection(median_filter=(3, 1))
        result = subtraction(truth, pixels=pixels, fit_levels=False)(exposure)
        assert abs(np.median(relative_errors(result, truth, TARGETS))) < 0.01

    def test_throughput_may_be_a_model_or_a_function(self, scene):
        exposure, truth = scene
        shadow = sm.BarShadow(3, height=0.9, sigma=0.12)
        arrays = subtraction(truth)(exposure).background("target_1")
        settings = (shadow, lambda image: shadow(image.spatial))
        for throughput in settings:
            result = sm.MasterBackgroundSubtraction(throughput=throughput)(exposure)
            assert_allclose(result.background("target_1"), arrays, rtol=1e-6)
        grey = sm.SlitThroughput(limits=(1, 5))
        flat = sm.MasterBackgroundSubtraction(
            fitter=sm.SkyFitter(disagreement=None), throughput=grey
        )(exposure)
        assert np.all(flat.skies["BKG_2"].throughput == 1)

    def test_a_clipped_linear_fit_stands_for_the_fit_of_the_sky(self, scene):
        exposure, truth = scene
        clipped = sm.SigmaClipFitter(sm.LinearFitter(), sigma=3)
        model = sm.MasterBackgroundSpectrum(n_knots=200)
        result = subtraction(truth, model=model, fitter=clipped)(exposure)
        assert result.fit.model.n_terms == 202
        used = result.normalised_residual("BKG_2")[result.sky_pixels("BKG_2")]
        assert 2.5 < np.max(np.abs(used)) < 3.05
        assert abs(np.median(relative_errors(result, truth, TARGETS))) < 0.01

    def test_slits_of_other_shapes_units_and_without_variance(self, scene):
        exposure, truth = scene
        images = list(exposure.values())
        images[2] = images[2].cutout(rows=slice(2, 14), columns=slice(20, 200))
        image = images[5]
        images[5] = image.replace(data=image.data * 1e6, variance=image.variance * 1e12,
                                  components={}, unit=u.Jy / u.sr)  # fmt: skip
        images[6] = images[6].replace(variance=None, components={})
        throughputs = {**truth.throughputs, "BKG_3": truth.throughputs["BKG_3"][2:14, 20:200]}
        result = sm.MasterBackgroundSubtraction(throughput=throughputs)(sm.Exposure(images))
        assert result.background("BKG_3").shape == (12, 180)
        for name, factor in (("target_1", 1e6), ("target_2", 1.0)):
            ratio = np.nanmedian(result.background(name) / truth.backgrounds[name])
            assert_allclose(ratio, factor, rtol=0.05)


class TestUnits:
    """Results are the same in all units."""

    def test_without_variances_the_noise_is_the_scatter(self, scene, result):
        exposure, truth = scene
        for factor in (1.0, 1e6):
            bare = exposure.map(lambda image, factor=factor: image.replace(
                data=image.data * factor, variance=None, components={}))  # fmt: skip
            found = subtraction(truth)(bare)
            errors = found.background("target_1") / factor / truth.backgrounds["target_1"] - 1
            known = result.background("target_1") / truth.backgrounds["target_1"] - 1
            assert found.fit.success
            assert 0.7 < found.fit.reduced_chi2 < 1.5
            assert np.nanstd(errors) < 1.3 * np.nanstd(known)

    @pytest.mark.parametrize("factor", [1e-2, 1e4, 1e8])
    def test_wrong_variances_do_not_take_the_level(self, scene, factor):
        exposure, truth = scene
        spoilt = exposure.map(lambda image: image.replace(
            variance=image.variance * factor, components={}))  # fmt: skip
        found = subtraction(truth)(spoilt).background("target_1")
        # The contaminated slit cannot be told from the others by such errors.
        assert abs(np.nanmedian(found / truth.backgrounds["target_1"]) - 1) < 0.05

    @pytest.mark.parametrize("name", ["BKG_1", "BKG_3", "target_1"])
    def test_wavelengths_of_one_slit_in_another_unit(self, scene, result, name):
        exposure, truth = scene
        image = exposure[name].replace(wavelength=exposure[name].wavelength * 1e3,
                                       wavelength_unit=u.nm)  # fmt: skip
        other = subtraction(truth)(
            sm.Exposure([image if one == name else exposure[one] for one in exposure])
        )
        expected = result.spectrum.spectral_axis.to_value(u.um)
        assert_allclose(other.spectrum.spectral_axis.to_value(u.um), expected)
        assert_allclose(other.background("target_2"), result.background("target_2"), rtol=1e-6)
        assert other.plot().axes

    def test_edges_of_a_grid_may_have_a_unit(self, result):
        edges = np.linspace(1.5, 4.5, 30)
        plain, with_unit = (result.rectified("target_2", e) for e in (edges, 1e3 * edges * u.nm))
        assert_allclose(with_unit, plain)
        beyond = result.rectified("target_2", edges, rows=[-3, 5, 100])[0]
        assert np.array_equal(np.isfinite(beyond).any(axis=1), [False, True, False])

    def test_nods_are_compared_in_one_unit(self, result):
        nod = sm.datasets.make_slitlets(seed=6)[0]
        other = nod.map(lambda image: image.replace(
            data=image.data * 1e3, variance=image.variance * 1e6, components={},
            unit=u.kJy / u.sr))  # fmt: skip
        assert_allclose(result.compare_nods(other)["ratio"], result.compare_nods(nod)["ratio"])
        with pytest.raises(ValueError, match="has m, expected MJy / sr"):
            result.compare_nods(nod.map(lambda image: image.replace(unit=u.m)))

    def test_is_written_to_asdf(self, result, tmp_path):
        asdf = pytest.importorskip("asdf")
        sm.write(result, tmp_path / "sky.asdf")
        with asdf.open(tmp_path / "sky.asdf") as file:
            table = file["spectra"]["sky"]
            assert_allclose(table["flux"].value, result.spectrum.flux.value)


class TestBadInput:
    def test_no_background_slit(self, scene):
        exposure, truth = scene
        with pytest.raises(ValueError, match="no background slit among"):
            subtraction(truth, slits=lambda image: False)(exposure)

    def test_unknown_name(self, scene):
        exposure, truth = scene
        with pytest.raises(ValueError, match="no slit is called 'nowhere'"):
            subtraction(truth, slits=["nowhere"])(exposure)

    def test_one_background_slit(self, scene):
        exposure, truth = scene
        result = subtraction(truth, slits=["BKG_2"])(exposure)
        assert result.fit.used == ["BKG_2"]
        assert abs(np.median(relative_errors(result, truth, TARGETS))) < 0.05

    def test_all_contaminated(self):
        exposure, truth = sm.datasets.make_slitlets(seed=2, contaminated=3, n_background=3)
        with pytest.raises(ValueError, match="no background slit is left"):
            subtraction(truth)(exposure)

    def test_wavelengths_that_do_not_overlap(self, scene):
        exposure, truth = scene
        far = exposure.map(lambda image: image.replace(wavelength=image.wavelength + 10)
                           if image.name == "target_1" else image)  # fmt: skip
        result = subtraction(truth)(far)
        assert np.isnan(result.background("target_1")).all()
        assert result.subtracted["target_1"].mask.all()
        row = result.report()[list(result.report()["slit"]).index("target_1")]
        assert "not known" in row["reason"]
        assert row["n_unknown"] > 4000
        assert "not known" in result.subtracted["target_1"].notes[-1]

    def test_nan_wavelengths(self, scene):
        exposure, truth = scene

        def holed(image):
            wavelength = np.array(image.wavelength)
            wavelength[:, :20] = np.nan
            return image.replace(wavelength=wavelength)

        result = subtraction(truth)(exposure.map(holed))
        assert np.isnan(result.background("target_1")[:, :20]).all()
        assert np.isfinite(result.background("target_1")[:, 30:-2]).all()
        assert result.subtracted["target_1"].mask[:, :20].all()

    def test_no_wavelengths(self, scene):
        exposure, truth = scene
        bare = exposure.map(lambda image: image.replace(wavelength=None, wavelength_unit=None))
        with pytest.raises(ValueError, match="expected wavelengths"):
            subtraction(truth)(bare)

    def test_one_slit_without_wavelengths_is_left_out(self, scene):
        exposure, truth = scene
        images = [image.replace(wavelength=None, wavelength_unit=None) if name == "BKG_3" else image
                  for name, image in exposure.items()]  # fmt: skip
        result = subtraction(truth)(sm.Exposure(images))
        assert result.left_out["BKG_3"] == "no usable pixel"
        with pytest.raises(ValueError, match="expected wavelengths"):
            result.rectified("BKG_3", [2.0, 3.0])

    def test_throughput_of_no_slit(self, scene):
        with pytest.raises(ValueError, match="throughput: no slit is called \\['nowhere'\\]"):
            sm.MasterBackgroundSubtraction(throughput={"nowhere": np.ones((17, 256))})(scene[0])

    def test_breakpoints_elsewhere(self, scene):
        exposure, truth = scene
        with pytest.raises(ValueError, match="expected breakpoints within"):
            subtraction(truth, model=sm.MasterBackgroundSpectrum([10, 11, 12]))(exposure)

    def test_name_of_no_slit(self, result):
        with pytest.raises(KeyError, match="no slit is called 'nowhere'"):
            result.background("nowhere")

    def test_everything_masked(self, scene):
        exposure, truth = scene
        dark = exposure.map(lambda image: image.replace(mask=np.ones(image.shape, dtype=bool)))
        with pytest.raises(ValueError, match="no background slit has a usable pixel"):
            subtraction(truth)(dark)

    @pytest.mark.parametrize("unit", [None, u.s])
    def test_units_that_differ(self, scene, unit):
        exposure, truth = scene
        mixed = exposure.map(lambda image: image if image.name != "target_2" else sm.SpectralImage(
            image.data, wavelength=image.wavelength, name=image.name, unit=unit))  # fmt: skip
        with pytest.raises(ValueError, match="unit: slit 'target_2'"):
            subtraction(truth)(mixed)

    def test_throughput_of_another_shape(self, scene):
        exposure, truth = scene
        wrong = {**truth.throughputs, "BKG_2": np.ones((3, 3))}
        with pytest.raises(ValueError, match=r"throughput of 'BKG_2': expected shape \(17, 256\)"):
            sm.MasterBackgroundSubtraction(throughput=wrong)(exposure)

    def test_windows_without_positions(self, scene):
        exposure, truth = scene
        bare = exposure.map(lambda image: image.replace(spatial=None))
        pixels = sm.SkyPixelSelection(windows=[(-0.2, 0.2)])
        with pytest.raises(ValueError, match="no position along the slit"):
            subtraction(truth, pixels=pixels)(bare)

    def test_source_mask_of_another_shape_or_slit(self, scene):
        exposure, truth = scene
        for mask, words in (({"BKG_2": np.ones(3)}, "expected shape"), ({"x": 1}, "no slit is")):
            with pytest.raises(ValueError, match=words):
                subtraction(truth, pixels=sm.SkyPixelSelection(source_mask=mask))(exposure)

    @pytest.mark.parametrize(
        ("settings", "error", "words"),
        [
            ({"fitter": sm.LinearFitter()}, TypeError, "fitter"),
            ({"slits": 1.5}, TypeError, "slits"),
            ({"pixels": 3}, TypeError, "pixels"),
            ({"throughput": 3}, TypeError, "throughput"),
            ({"model": 3}, TypeError, "model"),
        ],
    )
    def test_settings_of_another_kind(self, settings, error, words):
        with pytest.raises(error, match=words):
            sm.MasterBackgroundSubtraction(**settings)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"windows": [(1, 0)]}, "windows"),
            ({"least_throughput": 2}, "least_throughput"),
            ({"median_filter": (0, 3)}, "median_filter"),
            ({"median_filter": 3}, "median_filter"),
            ({"median_filter": (2.5, 3)}, "median_filter"),
            ({"windows": "all"}, "windows"),
        ],
    )
    def test_selections_out_of_range(self, settings, words):
        with pytest.raises(ValueError, match=words):
            sm.SkyPixelSelection(**settings)

    def test_nods_must_fit(self, result):
        with pytest.raises(ValueError, match="at least one"):
            result.compare_nods()
        other, _ = sm.datasets.make_slitlets(n_background=1, shape=(11, 100))
        with pytest.raises(ValueError, match="same shape"):
            result.compare_nods(other)

    def test_edges_must_increase(self, result):
        with pytest.raises(ValueError, match="edges"):
            result.rectified("BKG_2", [2, 1])


def test_a_slit_of_zeros_is_left_out_with_a_reason():
    exposure, truth = sm.datasets.make_slitlets(seed=2, shape=(9, 64))
    first, *others = exposure.values()
    spoilt = sm.Exposure([first.replace(data=0 * first.data), *others])
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(spoilt)
    assert result.left_out == {first.name: "no usable pixel"}
    assert np.isfinite(result.backgrounds[others[0].name]).any()


@pytest.mark.parametrize(
    ("factor", "words"),
    [(-1.0, r"slits: expected the light of the sky.*below zero by"),
     (1e30, r"slits: no pixel of .* within its error.*data up to")],
)  # fmt: skip
def test_slits_that_are_no_sky_are_refused(factor, words):
    exposure, truth = sm.datasets.make_slitlets(seed=2, shape=(9, 64))
    spoilt = exposure.map(lambda image: image.replace(data=factor * np.asarray(image.data, float)))
    with pytest.raises(ValueError, match=words):
        sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(spoilt)


@pytest.mark.parametrize("seed", [1, 2])
def test_dark_ends_of_background_slits_do_not_count(seed):
    exposure, truth = sm.datasets.make_slitlets(seed=seed, shape=(24, 200))
    shade = np.ones((24, 1))
    shade[:2], shade[-2:] = 0.1, 0.3
    dark = sm.Exposure([image.replace(data=image.data * shade) for image in exposure.values()])
    plain, shaded = (
        sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(one)
        for one in (exposure, dark)
    )
    assert shaded.left_out == plain.left_out
    wave = np.linspace(*plain.fit.curve.limits, 52)[1:-1]
    ratio = shaded.fit.curve(wave)[0] / plain.fit.curve(wave)[0]
    np.testing.assert_allclose(ratio / np.median(ratio), 1, atol=0.02)


def test_dark_ends_of_oblique_slits_are_followed_and_measured_where_there_is_no_source():
    rng = np.random.default_rng(8)
    row, column = np.mgrid[:24, :192]
    dark = row < 1 + column // 64  # one row at first, three in the end
    images = []
    for number in range(4):
        source = 40 * (number == 3) * np.exp(-0.5 * ((row - 14) / 1.5) ** 2)
        light = np.where(dark, 0.1, 1.0) * (100 + 10 * np.sin(column / 9) + source)
        data = light + rng.normal(0, 5, light.shape)
        images.append(sm.SpectralImage(data, variance=np.full(light.shape, 25.0), name=f"{number}",
                                       wavelength=1 + column / 192 + row / 1000
                                       + 1e-4 * (number == 3)))  # fmt: skip
    subtract = sm.MasterBackgroundSubtraction(slits=["0", "1", "2"])
    result = subtract(sm.Exposure(images))
    shade = np.where(dark, 0.1, 1.0) * (100 + 10 * np.sin(column / 9))
    for name, sky in result.skies.items():
        assert abs(sky.level - 1) < 3 * max(sky.error, 0.002)
        error = np.sqrt(sky.variance)
        assert np.nanmedian((error / sky.background)[~dark]) < 0.02
        if name == "3":  # where its source ends is not known
            assert np.nanmin((error / sky.background)[dark]) > 0.9
        else:
            assert np.nanmax(error[row < 1]) < 2
            assert np.nanstd((sky.background - shade)[dark] / error[dark]) < 1.5
    first, last = (result.rectified(name, np.linspace(1.1, 1.9, 60)) for name in "03")
    assert np.nanmax(first[0][0]) < 15
    assert np.nanmax(np.sqrt(first[1][0])) < 2
    assert np.nanmin(np.sqrt(last[1][0]) / last[0][0]) > 0.9
    for background, variance in (first, last):
        assert np.nanmedian((np.sqrt(variance) / background)[5:]) < 0.02


def nods_with_dark_ends(seed, shape, ends, *, seen=0.0, slant=0.0):
    """Two nods of a slit, the number of dark rows at either end, and the truth."""
    rng, (n_row, n_column) = np.random.default_rng(seed), shape
    y, x = np.mgrid[:n_row, :n_column]
    wave = 1 + 0.004 * (x + 0.2 * y)
    along = y - slant * (x - n_column / 2)
    dark = (along < ends[0]) | (along > n_row - 1 - ends[1])
    sky = 20 + 5 * np.sin(3 * wave) + 60 * np.exp(-0.5 * ((wave - 1.4) / 0.006) ** 2)
    truth, middle, images = np.where(dark, seen, 1.0) * sky, (ends[0] + n_row - ends[1]) / 2, []
    for number, center in enumerate((middle - 4, middle + 4)):
        source = 15 * np.exp(-0.5 * ((y - center) / 1.2) ** 2) * ~dark
        variance = 4 + 0.05 * (truth + source)
        data = truth + source + rng.normal(size=shape) * np.sqrt(variance)
        image = sm.SpectralImage(data, variance=variance, wavelength=wave, name=f"{number}")
        images.append(image.replace(mask=np.abs(y - center) < 4.5))
    return images, truth, dark


@pytest.mark.parametrize(
    ("shape", "ends", "seen"),
    [((40, 200), (10, 10), 0.0), ((40, 200), (0, 14), 0.1), ((60, 150), (20, 19), 0.05),
     ((34, 300), (5, 4), 0.3)],
)  # fmt: skip
def test_any_number_of_dark_rows_is_found_and_what_they_see(shape, ends, seen):
    images, truth, dark = nods_with_dark_ends(41, shape, ends, seen=seen)
    hidden = np.random.default_rng(42).random(shape) < 0.2
    first = images[0].replace(mask=images[0].mask | hidden)
    result = sm.MasterBackgroundSubtraction(slits=["0", "1"])(sm.Exposure([first, images[1]]))
    assert result.left_out == {}
    background, variance = result.background("0"), result.background_variance("0")
    assert abs(np.nanmean(background[~dark] / truth[~dark]) - 1) < 0.01
    left = ((background - truth) / np.sqrt(variance))[np.isfinite(background)]
    assert np.sqrt(np.mean(left**2)) < 1.5
    use = hidden & ~images[0].mask & ~images[1].mask & np.isfinite(background)
    assert np.std((background - images[0].data)[use]) < np.std(
        (images[1].data - images[0].data)[use]
    )


def test_dark_rows_that_a_source_hides_are_those_of_the_other_nod():
    images, truth, _ = nods_with_dark_ends(43, (30, 200), (6, 5))
    hidden = np.array(images[0].mask)
    hidden[:6] = True
    first = images[0].replace(mask=hidden)
    result = sm.MasterBackgroundSubtraction(slits=["0", "1"])(sm.Exposure([first, images[1]]))
    off = (result.background("0") - truth)[:6]
    assert np.nanmax(np.abs(off)) < 2
    assert np.nanstd(off / np.sqrt(result.background_variance("0")[:6])) < 1.5


def test_dark_ends_that_move_by_rows_are_within_their_errors():
    images, truth, _ = nods_with_dark_ends(44, (40, 300), (9, 9), slant=0.01)
    result = sm.MasterBackgroundSubtraction(slits=["0", "1"])(sm.Exposure(images))
    assert result.left_out == {}
    left = (result.background("0") - truth) / np.sqrt(result.background_variance("0"))
    assert 0.4 < np.nanstd(left) < 1.3


@pytest.mark.parametrize("width", [1.0, 3.0, 8.0])
def test_sources_are_not_taken_for_light_between_dark_ends(width):
    y = np.arange(40)[:, None]
    source = 300 * np.exp(-0.5 * ((y - 19) / width) ** 2) * np.ones(200)
    assert lit_rows(source + 20, np.ones((40, 200))).all()


def test_slits_that_are_not_judged_can_be_drawn():
    exposure, truth = sm.datasets.make_slitlets(seed=3)
    fitter = sm.SkyFitter(disagreement=None)
    subtract = sm.MasterBackgroundSubtraction(fitter=fitter, throughput=truth.throughputs)
    assert len(subtract(exposure).plot().axes) == 5


def test_throughputs_that_are_wrong_are_in_the_error_of_the_sky():
    exposure, truth = sm.datasets.make_slitlets(seed=5, n_background=6, level_scatter=0.0)
    rng = np.random.default_rng(5)
    wrong = {name: np.repeat(rng.normal(1, 0.08, (17, 8)), 32, axis=1)
             for name in exposure}  # fmt: skip
    spoilt = exposure.map(lambda i: i.replace(data=i.data * wrong[i.name]))
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(spoilt)
    assert 0.05 < result.fit.throughput_error < 0.11
    names = [name for name in exposure if name not in result.fit.slits]
    pulls = [(result.background(n) - truth.backgrounds[n] * wrong[n])
             / np.sqrt(result.background_variance(n)) for n in names]  # fmt: skip
    assert 0.7 < np.nanstd(pulls) < 1.3


@pytest.mark.parametrize("degree", [3, 15])
def test_errors_of_a_polynomial_hold_what_it_does_not_follow(degree):
    exposure, truth = sm.datasets.make_slitlets(seed=4)
    fitter = sm.LogPolynomialSkyFitter(max_degree=degree)
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs, fitter=fitter)(exposure)
    wave = np.linspace(*result.fit.curve.limits, 402)[10:-10]
    value, variance = result.fit.curve(wave)
    pull = (value - truth.sky(wave)) / np.sqrt(variance)
    assert 0.4 < np.sqrt(np.mean(pull**2)) < 2.5
