"""Figures of oversampled slits, and their panels alone."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.oversampling.plot import plot_slits

KEYS = ("data", "trace", "profile")


@pytest.fixture(scope="module")
def replaced():
    image, _ = sm.datasets.make_undersampled_slit(seed=5, shape=(26, 120), bad_fraction=0.03)
    return sm.PixelReplacement()(image)


@pytest.mark.parametrize("kind", ["replaced", "oversampled"])
def test_panel_alone_is_that_of_the_figure(replaced, kind):
    result = replaced if kind == "replaced" else replaced.trace_result
    results = {"S{1}": result}
    whole = plot_slits(results).axes
    for key in ("data", kind):
        ax = plot_slits(results, panel=f"S{{1}}: {key}").axes[0]
        title = ax.get_title(loc="left")
        assert title == f"S{{1}}: {key}"
        (same,) = (one for one in whole if one.get_title(loc="left") == title)
        np.testing.assert_array_equal(ax.images[0].get_array(), same.images[0].get_array())
        assert ax.images[0].get_clim() == same.images[0].get_clim()


def test_other_slits_are_not_worked_out_for_a_panel(replaced):
    results = {"S1": replaced, "S2": object()}
    for key in ("replaced", *KEYS):
        assert plot_slits(results, panel=f"S1: {key}").axes
    with pytest.raises(ValueError, match=r"S1: replaced.*S2: oversampled.*got 'S1: oversampled'"):
        plot_slits(results, panel="S1: oversampled")
