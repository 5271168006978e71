"""Time series: sequences of images, made when they are asked for."""

import numpy as np
import pytest

import specmodels as sm
from specmodels.time_series import LazyImages


def image(shape=(4, 6), **options):
    return sm.SpectralImage(np.ones(shape), **options)


class TestSequence:
    def test_integrations_are_made_when_they_are_asked_for(self):
        made = []
        series = sm.TimeSeries(LazyImages(5, lambda i: made.append(i) or image()))
        assert made == []
        series[3]
        assert made == [3, 0]  # the first, which the others are compared with

    def test_slices_keep_their_times(self):
        series = sm.TimeSeries([image() for _ in range(5)], times=np.arange(5) + 0.5)
        part = series[1:4]
        assert len(part) == 3
        assert list(part.times) == [1.5, 2.5, 3.5]
        assert part.shape == (3, 4, 6)

    def test_iteration_and_negative_numbers(self):
        images = [image(name=f"{i}") for i in range(3)]
        series = sm.TimeSeries(images)
        assert [one.name for one in series] == ["0", "1", "2"]
        assert series[-1] is images[2]


class TestRefused:
    def test_no_integration(self):
        with pytest.raises(ValueError, match=r"images.*at least one"):
            sm.TimeSeries([])

    def test_other_things(self):
        with pytest.raises(TypeError, match=r"images.*SpectralImage.*ndarray"):
            sm.TimeSeries([np.ones((4, 6))])[0]

    def test_integrations_of_another_shape(self):
        with pytest.raises(ValueError, match=r"images.*\(4, 6\).*integration 1 has \(4, 7\)"):
            sm.TimeSeries([image(), image((4, 7))])[1]

    @pytest.mark.parametrize("times", [[1.0], [1.0, np.nan]])
    def test_times_that_do_not_fit(self, times):
        with pytest.raises(ValueError, match="times"):
            sm.TimeSeries([image(), image()], times=times)


@pytest.mark.parametrize("known", [(True, False), (False, True)])
def test_variances_in_some_integrations_only_are_refused(known):
    images = [sm.SpectralImage(np.ones((4, 9)), variance=np.ones((4, 9)) if one else None)
              for one in known]  # fmt: skip
    with pytest.raises(ValueError, match="variances in all integrations or in none, integration 1"):
        sm.TimeSeries(images)[1]
