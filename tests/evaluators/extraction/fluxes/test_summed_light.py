"""What sums of pixels have in excess over many columns may not be the source's."""

import numpy as np

from specmodels.evaluators.extraction.fluxes.summed_light import doubtful_excess


def test_excess_over_many_columns_is_doubtful_and_that_of_a_line_is_not():
    flux, excess = np.full(320, 100.0), np.zeros(320)
    excess[160:] = 5.0
    excess[40:46] = 50.0
    error = doubtful_excess(excess, flux, np.r_[40:46, 160:320])
    assert not error[:160].any()
    np.testing.assert_allclose(error[160:], 2.0)
