"""Figures of flicker-noise subtractions."""

import pytest

import specmodels as sm


def test_mask_is_drawn_without_reading_the_ramp(monkeypatch):
    result = sm.FlickerNoiseSubtraction()(sm.datasets.make_flicker(shape=(32, 64))[0])
    monkeypatch.delattr(sm.FlickerResult, "draft_rates")
    assert result.plot(panel="mask").axes[0].images
    with pytest.raises(AttributeError, match="draft_rates"):
        result.plot(panel="before")
