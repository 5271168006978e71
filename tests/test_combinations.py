"""Parts of several jobs fitted together: unit pulls, and less noise than jobs in sequence."""

import numpy as np
import pytest

import specmodels as sm
from tests.combined_scenes import COMBINATIONS
from tests.fitters.simulated import assert_unit_pulls

FRAMES = {  # by default ten
    "scene in two orientations + skies + stripes": 6,
    "sources of slits + one sky + stripes": 2,
}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_parts_of_several_jobs_are_fitted_together(name):
    pulls, squares = [], np.zeros(2)
    for seed in range(700, 700 + FRAMES.get(name, 10)):
        scene = COMBINATIONS[name](seed)
        fit = sm.VarProFitter()(scene.model, scene.images)
        assert fit.success, fit.message
        used = sum(one.data.size for one in np.atleast_1d(np.array(scene.images, dtype=object)))
        assert fit.reduced_chi2 == pytest.approx(1, abs=5 * np.sqrt(2 / used))
        values, errors = scene.measured(fit)
        steps, own = scene.in_steps()
        known = np.isfinite(errors) & np.isfinite(own)
        pulls.append(((values - scene.truth) / errors)[known])
        weights = errors[known] ** -2
        squares += [np.sum(weights * (v - scene.truth)[known] ** 2) for v in (values, steps)]
    assert_unit_pulls(np.concatenate(pulls))
    assert squares[0] < squares[1]
