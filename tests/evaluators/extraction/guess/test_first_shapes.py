"""The first fit of shapes is near the one that is fitted to the end, in fewer passes."""

import numpy as np

import specmodels as sm
from specmodels.evaluators.extraction.guess.first_shapes import FirstShapeFitter
from specmodels.fitters.columns.problem import Problem


def test_shapes_are_within_their_errors_and_hits_are_found_in_fewer_passes(monkeypatch):
    passes, linearise = [], Problem.linearise
    monkeypatch.setattr(
        Problem, "linearise", lambda self, *rest: passes.append(0) or linearise(self, *rest)
    )
    slit, truth = sm.datasets.make_slit()
    model = sm.Source(
        sm.GaussianProfile(),
        sm.PolynomialTrace(2, limits=(0, slit.shape[1] - 1)),
        name="star",
        trace_c0=float(np.mean(truth.trace)) + 0.5,
        stddev=2.5,
    ) + sm.ColumnPolynomial(0, name="sky")
    first = FirstShapeFitter()(model, slit)
    n_first = len(passes)
    whole = sm.SigmaClipFitter(sm.VarProFitter())(model, slit)
    assert n_first < len(passes) - n_first
    for name in ("trace_c0_0", "trace_c1_0", "stddev_0"):
        assert abs(first[name] - whole[name]) < whole.error(name)
    assert np.mean(first.rejected[truth.hits]) > 0.9 * np.mean(whole.rejected[truth.hits])
