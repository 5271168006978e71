"""Figures of results: what is drawn is what the result holds."""

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
