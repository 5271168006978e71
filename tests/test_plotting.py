"""Figures of results: what is drawn is what the result holds."""

from functools import cache, partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.plotting import plot_extraction, plot_results


@pytest.fixture(scope="module")
def result():
    slit, _ = sm.datasets.make_slit(seed=2, n_sources=2, shape=(40, 120))
    return sm.OptimalExtraction(n_sources=2)(slit)


def images(figure):
    return [ax.images[0] for ax in figure.axes if ax.images]


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def axis_of_spectra(figure):
    return next(ax for ax in figure.axes if ax.get_ylabel().startswith("flux"))


def test_data_model_and_residual_are_drawn(result):
    data, model, residual = images(result.plot())
    shown = np.ma.filled(data.get_array(), np.nan)
    unused = result.fit.image.mask & ~result.fit.rejected
    assert_array_equal(shown, np.where(unused, np.nan, result.image.data))
    assert_allclose(np.ma.filled(model.get_array(), np.nan), result.model)
    expected = result.residual / np.sqrt(result.variance)
    drawn = np.ma.filled(residual.get_array(), np.nan)
    good = np.isfinite(drawn)
    assert_allclose(drawn[good], expected[good])
    assert good[result.fit.rejected & ~result.image.mask].all()
    assert_array_equal(good, ~unused)


def test_pixels_lie_where_they_are_numbered(result):
    """Centre of the first pixel at (0, 0): traces lie on the light."""
    figure = result.plot()
    image = images(figure)[0]
    ny, nx = result.image.shape
    assert_allclose(image.get_extent(), (-0.5, nx - 0.5, -0.5, ny - 0.5))
    for line, name in zip(image.axes.lines, result.sources, strict=True):
        assert_allclose(line.get_ydata(), result.trace(name))


def test_spectra_are_drawn_with_their_names_and_units(result):
    ax = axis_of_spectra(result.plot())
    drawn = lines(ax)
    for name in result.sources:
        table = result.table(name)
        flux = np.where(table["mask"], np.nan, table["flux"].value)
        assert_allclose(drawn[name].get_ydata(), flux)
        assert_allclose(drawn[name].get_xdata(), table["wavelength"].value)
    assert "wavelength" in ax.get_xlabel()
    assert "ct" in ax.get_ylabel()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(result.sources) <= set(labels)


def test_rejected_pixels_are_ringed(result):
    residual = images(result.plot())[2]
    (rings,) = residual.axes.lines
    rows, columns = np.nonzero(result.fit.rejected)
    assert len(rows) > 0
    assert_array_equal(rings.get_xdata(), columns)
    assert_array_equal(rings.get_ydata(), result.image.y[rows])


def test_spectra_fill_the_axis(result):
    ax = axis_of_spectra(result.plot())
    low, high = ax.get_ylim()
    flux = np.concatenate([t["flux"].value[~t["mask"]] for t in result.tables().values()])
    assert high > np.percentile(flux, 99)
    assert high - low < 3 * np.ptp(flux)


def test_title_says_how_it_went(result):
    title = result.plot().get_suptitle()
    assert "slit" in title
    assert f"{result.fit.reduced_chi2:.3g}" in title
    assert f"{int(result.fit.rejected.sum())} pixels rejected" in title


def test_failed_fit_says_so_in_the_title(result):
    from dataclasses import replace

    failed = replace(result, fit=result.fit.replace(success=False, message="not converged"))
    assert "not converged" in failed.plot().get_suptitle()


def test_figure_given_is_drawn_on(result):
    from matplotlib import pyplot as plt

    figure = plt.figure()
    assert plot_extraction(result, figure) is figure
    assert result.plot(figure) is figure


def test_columns_without_a_flux_leave_gaps():
    slit, _ = sm.datasets.make_slit(seed=3, shape=(30, 100))
    mask = slit.mask.copy()
    mask[:, 40:50] = True
    result = sm.OptimalExtraction()(slit.replace(mask=mask))
    drawn = lines(axis_of_spectra(result.plot()))["source"].get_ydata()
    assert_array_equal(np.isnan(drawn), mask.all(axis=0))


@pytest.mark.parametrize("shape", [(5, 40), (30, 2), (12, 1)])
def test_small_images_are_drawn(shape):
    slit, _ = sm.datasets.make_slit(seed=3, shape=(30, 60), hit_fraction=0, curvature=0)
    rows = slice(15 - (shape[0] + 1) // 2, 15 + shape[0] // 2)
    small = slit.cutout(rows=rows, columns=slice(0, shape[1]))
    figure = sm.OptimalExtraction(n_sources=1)(small).plot()
    figure.draw_without_rendering()
    assert images(figure)[0].get_array().shape == shape


def test_several_results_are_drawn_beneath_each_other(result):
    results = sm.ResultSet({"a": result, "b": result})
    figure = results.plot()
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a", "b"]
    for ax in figure.axes:
        assert set(result.sources) <= set(lines(ax))


def test_only_the_first_of_many_are_drawn_and_that_is_said(result):
    many = sm.ResultSet({f"slit {k}": result for k in range(4)})
    figure = plot_results(many, n_most=3)
    assert len(figure.axes) == 3
    assert figure.get_suptitle() == "first 3 of 4"


def test_result_set_without_results_is_an_empty_figure():
    figure = sm.ResultSet({}, {"a": "no light"}).plot()
    assert not any(ax.lines for ax in figure.axes)


def slit_of(data, variance, **settings):
    image = sm.SpectralImage(data, variance=np.full(data.shape, variance))
    return sm.OptimalExtraction(n_sources=1, **settings)(image)


def star(shape, flux, row=15.0):
    y = np.arange(shape[0])[:, None]
    return flux * np.exp(-0.5 * ((y - row) / 1.5) ** 2) / (1.5 * np.sqrt(2 * np.pi))


def test_spike_of_one_column_does_not_rule_the_axis_and_a_line_is_not_cut():
    rng, x = np.random.default_rng(4), np.arange(200)
    flux = 1000 + 5000 * np.exp(-0.5 * ((x - 60) / 1.2) ** 2)
    flux[150] = 90_000  # in all rows, so that no pixel is rejected
    result = slit_of(star((30, 200), flux) + rng.normal(0, 3, (30, 200)), 9.0)
    low, high = axis_of_spectra(result.plot()).get_ylim()
    found = result.table("source")["flux"].value
    assert found[150] > 50_000
    assert found[60] < high < 20_000
    assert low <= 0


def test_continuum_is_seen_beneath_lines_that_are_far_brighter():
    rng, x = np.random.default_rng(4), np.arange(200)
    flux = 100 + 20_000 * np.exp(-0.5 * ((x - 60) / 1.5) ** 2)
    ax = axis_of_spectra(slit_of(star((30, 200), flux) + rng.normal(0, 1, (30, 200)), 1.0).plot())
    low, mean, high = ax.transData.transform([(0, v) for v in (0.0, 100.0, 20_000.0)])[:, 1]
    assert mean - low > 0.04 * (high - low)
    assert ax.get_ylim()[1] > 20_000


def test_more_columns_than_the_eye_can_tell_are_drawn_as_means_with_their_errors():
    rng = np.random.default_rng(5)
    shape = (30, 2500)
    result = slit_of(star(shape, np.full(2500, 300.0)) + rng.normal(0, 3, shape), 9.0)
    ax = axis_of_spectra(result.plot())
    drawn = lines(ax)["source"]
    assert len(drawn.get_xdata()) == 834
    table = result.table("source")
    assert_allclose(drawn.get_ydata()[10], np.mean(table["flux"].value[30:33]))
    assert "means of 3 columns" in ax.get_xlabel()
    (band,) = ax.collections
    heights = np.ptp(band.get_paths()[0].vertices[:, 1])
    assert heights > 0


def test_aperture_is_drawn_with_the_light_outside_of_it():
    rng = np.random.default_rng(6)
    shape = (30, 200)
    result = slit_of(star(shape, np.full(200, 3000.0)) + rng.normal(0, 1, shape), 1.0, aperture=0.5)
    drawn = lines(axis_of_spectra(result.plot()))["aperture, corrected"].get_ydata()
    assert_allclose(np.mean(drawn), 3000, rtol=0.01)
    assert np.mean(result.table("source")["aperture_flux"].value) < 2500


def test_rejected_pixels_are_counted_and_masked_ones_explained(result):
    data, _, residual = (image.axes for image in images(result.plot()))
    number = int(result.fit.rejected.sum())
    assert f"{number} rejected" in residual.get_title(loc="left")
    (rings,) = residual.lines
    assert rings.get_markerfacecolor() == "none"
    assert "masked" in data.get_title(loc="left")


def test_legends_are_outside_of_the_axes(result):
    figure = result.plot()
    figure.draw_without_rendering()
    for ax in figure.axes:
        if (legend := ax.get_legend()) is not None:
            assert legend.get_window_extent().y0 >= ax.get_window_extent().y1 - 1


def test_spectrum_without_any_flux_says_so(result):
    from specmodels.plotting.spectra import draw_spectra

    class Nothing:
        sources = result.sources
        weighted_sums = result.weighted_sums

        def table(self, name):
            table = result.table(name).copy()
            table["mask"] = True
            return table

    from matplotlib import pyplot as plt

    ax = plt.figure().add_subplot()
    draw_spectra(Nothing(), ax)
    assert any("no flux" in text.get_text() for text in ax.texts)


@cache
def drawn(job):
    """What draws a small result of each job."""
    if job == "extraction":
        return sm.OptimalExtraction(n_sources=1)(sm.datasets.make_slit(shape=(24, 60))[0]).plot
    if job == "fit":
        return sm.OptimalExtraction(n_sources=1)(sm.datasets.make_slit(shape=(24, 60))[0]).fit.plot
    if job == "nods":
        return sm.OptimalExtraction(n_sources=1)(sm.datasets.make_nods(seed=1)[0]).plot
    if job == "time series":
        series, _ = sm.datasets.make_time_series(seed=3, n_integrations=12, snr=300)
        return sm.OptimalExtraction()(series).plot
    if job == "injection":
        slit, _ = sm.datasets.make_slit(shape=(40, 60))
        model = sm.OptimalExtraction(n_sources=1)
        return sm.injection_recovery(model, slit, n=4, rng=1, progress_bar=False).plot
    if job == "flicker":
        return sm.FlickerNoiseSubtraction()(sm.datasets.make_flicker(shape=(64, 128))[0]).plot
    if job == "contamination":
        exposure, truth = sm.datasets.make_slitless(seed=7, n_sources=4)
        scene = sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
        return sm.ContaminationSubtraction(scene)(exposure).plot
    if job == "oversampling":
        slit = sm.datasets.make_undersampled_slit(seed=1, shape=(26, 120))[0]
        return sm.TraceOversampling()(slit).plot
    exposure, truth = sm.datasets.make_slitlets(seed=7, n_science=2)
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(exposure)
    return result.plot if job == "master background" else partial(result.plot_slit, "target_1")


@pytest.mark.parametrize(
    "job",
    ["extraction", "flicker", "contamination", "oversampling", "master background", "one slit"],
)
def test_panels_say_what_they_show(job):
    panels = drawn(job)().axes
    for ax in panels:
        bar = ax.get_label() == "<colorbar>"
        shared = [other for other in panels if other.get_position().x0 == ax.get_position().x0]
        lowest = min(shared, key=lambda other: other.get_position().y0)
        assert ax.get_ylabel() or (ax.images and ax.get_subplotspec().colspan.start)
        assert bar or ax.get_xlabel() or lowest.get_xlabel()
        for label in (ax.get_xlabel(), ax.get_ylabel()):
            assert "(um)" not in label
        if ax.get_legend() is not None:  # beside the data
            assert ax.get_legend().get_bbox_to_anchor().y0 >= ax.bbox.y1 - 1


PANELS = {
    "extraction": ["data", "model", "residual", "profile", "spectra"],
    "fit": ["data", "model", "residual"],
    "nods": ["nod 1: data", "nod 3: residual", "spectra"],
    "time series": ["dynamic", "mean", "white", "shift", "stretch", "background"],
    "flicker": ["before", "after", "noise", "mask", "power"],
    "contamination": ["before", "contamination", "after", "spectrum"],
    "oversampling": ["data", "oversampled", "trace", "profile"],
    "master background": ["sky", "error", "levels", "residuals", "misfits"],
    "one slit": ["data", "sky", "subtracted", "residual", "distribution"],
    "injection": ["completeness", "ratios", "pulls"],
}


@pytest.mark.parametrize(
    ("job", "panel"), [(job, panel) for job, panels in PANELS.items() for panel in panels]
)
def test_each_panel_is_drawn_alone_with_all_of_its_labels(job, panel):
    from matplotlib import pyplot as plt

    plot = drawn(job)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    assert plot(panel=panel, ax=axes[1]) is figure
    figure.draw_without_rendering()
    ax = axes[1]
    assert not axes[0].has_data()
    assert ax.has_data() or ax.images
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    others = [one for one in figure.axes if one not in axes]
    assert all(one.get_label() == "<colorbar>" and one.get_ylabel() for one in others)
    inside = figure.bbox.padded(1.0)
    for one in (ax, *others):  # nothing is cut
        box = one.get_tightbbox()
        assert inside.contains(*box.min)
        assert inside.contains(*box.max)
    plt.close(figure)


def test_panel_makes_a_figure_of_its_own_and_names_the_others():
    plot = drawn("extraction")
    assert len(plot(panel="spectra").axes) == 1
    with pytest.raises(
        ValueError, match=r"panel: expected one of \['data', .*'spectra'\], got 'x'"
    ):
        plot(panel="x")
    with pytest.raises(ValueError, match="panel: expected one of"):
        plot(ax=plot(panel="spectra").axes[0])


def test_results_of_several_slits_are_panels_by_their_names():
    slits = [sm.datasets.make_slit(seed=n, shape=(24, 60))[0].replace(name=f"S{n}") for n in (1, 2)]
    results = sm.OptimalExtraction(n_sources=1)(sm.Exposure(slits))
    (ax,) = results.plot(panel="S2").axes
    assert ax.get_title(loc="left") == "S2"


def overflowing(figure):
    """Texts of a figure that do not lie within it."""
    from matplotlib.text import Text

    figure.canvas.draw()
    inside = figure.bbox.padded(1)
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    return [text for text, box in boxes if box.width and text.strip() and not (
        inside.contains(*box.min) and inside.contains(*box.max))]  # fmt: skip


def test_titles_of_long_names_stay_within_figures(result):
    name = "transposed_det_image_seq5_MIRIMAGE_P750Lexp1_and_so_on_" * 3 + "s2d"
    image = result.image.replace(name=name)
    figure = sm.OptimalExtraction(n_sources=2)(image).plot()
    assert name[:30] in figure.get_suptitle().replace("\n", "")
    titles = {figure.get_suptitle(), *(ax.get_title(loc="left") for ax in figure.axes)}
    assert not titles.intersection(overflowing(figure))
    drawn = plot_results({name: result, f"{name}_2": result})
    assert not {ax.get_title(loc="left") for ax in drawn.axes}.intersection(overflowing(drawn))


def test_labels_of_fluxes_behind_grisms_stay_within_figures():
    exposure, truth = sm.datasets.make_slitless(seed=4)
    scene = sm.GrismScene.from_direct_image(truth.observed_direct, grism=truth.grism)
    result = sm.ContaminationSubtraction(scene)(exposure)
    figure = result.plot([result.slits[0].cutout.key])
    (axis,) = [ax for ax in figure.axes if ax.get_ylabel().startswith("flux")]
    axis.set_ylabel(axis.get_ylabel() + "\n(1 × 10⁻¹⁷ erg / (Å s cm²))")
    assert not {axis.get_ylabel()}.intersection(overflowing(figure))
