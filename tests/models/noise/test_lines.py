"""Noise models of lines as models: settings, values and what a plan makes of them."""

import pickle
import tracemalloc

import numpy as np
import pytest
from astropy.modeling import fitting
from numpy.testing import assert_allclose

from specmodels.models import CorrelatedNoise, FlickerSpectrum, FourierNoise, LineMedian, LineOffset
from specmodels.numerics.readout import Readout

ORDER = Readout(fast_axis=-1, line_overhead=4)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def test_plan_without_prior_is_the_fit_of_the_model(rng):
    model = FourierNoise(1e9, n_harmonics=3, period=64.0)
    data = rng.normal(size=(2, 64))
    data -= data.mean()
    noise = model.plan(ORDER, np.ones(data.shape, dtype=bool))(data)
    for line, found in zip(data, noise, strict=True):
        fit = fitting.LinearLSQFitter()(model, np.arange(64.0), line)
        assert_allclose(found, fit(np.arange(64.0)), atol=1e-4)


def test_low_cutoff_leaves_the_offset_alone(rng):
    data = rng.normal(size=(3, 64)) + np.array([[1.0], [-3], [2]])
    use = np.ones(data.shape, dtype=bool)
    faded = FourierNoise(1e-6).plan(ORDER, use)(data)
    assert_allclose(faded, LineOffset().plan(ORDER, use)(data), atol=1e-3)


def test_pixels_bad_in_one_frame_do_not_count(rng):
    data = rng.normal(size=(4, 128)).astype("f4")
    use = rng.random(data.shape) > 0.2
    bad = np.zeros(data.shape, dtype=bool)
    bad[1, 20:24] = True
    spoilt = np.where(bad, 1000, data)
    for model in (FourierNoise(), LineMedian(), LineOffset()):
        noise = model.plan(ORDER, use)(spoilt, bad)
        expected = model.plan(ORDER, use & ~bad)(data)
        assert_allclose(noise, expected, atol=0.05)


def test_correlated_noise_takes_six_frames_of_memory(rng):
    data = (rng.normal(size=(512, 1024)) + rng.normal(size=(512, 1))).astype("f4")
    use = rng.random(data.shape) > 0.1

    def clean():
        return CorrelatedNoise().plan(ORDER, use, sample=data)(data)

    clean()
    tracemalloc.start()
    clean()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6.5 * data.nbytes


@pytest.mark.parametrize(
    ("model", "error", "name"),
    [
        (lambda: FourierNoise(cutoff=0), ValueError, "cutoff"),
        (lambda: FourierNoise(n_harmonics=1.5), ValueError, "n_harmonics"),
        (lambda: FourierNoise(section=0), ValueError, "section"),
        (lambda: FourierNoise(period=-1), ValueError, "period"),
        (lambda: FourierNoise()(np.arange(4.0)), ValueError, "period"),
        (lambda: CorrelatedNoise(common=1.0), TypeError, "common"),
        (lambda: CorrelatedNoise(white=-1), ValueError, "white"),
        (lambda: CorrelatedNoise(tolerance=0), ValueError, "tolerance"),
    ],
)
def test_bad_settings_are_named(model, error, name):
    with pytest.raises(error, match=f"{name}: expected"):
        model()


class TestFlickerSpectrum:
    def test_derivatives_are_those_of_differences(self):
        frequency = np.array([1e-4, 0.01, 0.2, 0.5])
        model = FlickerSpectrum(0.3, 1.2)
        own = model.fit_deriv(frequency, 0.3, 1.2)
        for k, step in enumerate(((1e-6, 0), (0, 1e-6))):
            ends = [model.evaluate(frequency, 0.3 + s * step[0], 1.2 + s * step[1])
                    for s in (1, -1)]  # fmt: skip
            assert_allclose(own[k], (ends[0] - ends[1]) / 2e-6, rtol=1e-5)

    def test_can_be_fitted_to_a_spectrum(self, rng):
        frequency = np.linspace(0.001, 0.5, 400)
        power = FlickerSpectrum(0.3, 1.2)(frequency) * rng.gamma(50, 1 / 50, 400)
        weights = 1 / FlickerSpectrum(0.3, 1.2)(frequency)
        fit = fitting.TRFLSQFitter()(FlickerSpectrum(), frequency, power, weights=weights)
        assert_allclose(fit.parameters, [0.3, 1.2], rtol=0.05)

    def test_settings_of_the_noise_survive_a_pickle(self):
        noise = CorrelatedNoise(common=FlickerSpectrum(0.2, 1.0), white=2.0)
        again = pickle.loads(pickle.dumps(noise))
        assert again.white == 2.0
        assert_allclose(again.common.parameters, noise.common.parameters)


class TestCutoff:
    shape = (200, 256)

    def lines(self, power, rng):
        """Lines with 1/f amplitudes of the power that a cutoff stands for, and white noise."""
        k = np.arange(1, 5)
        terms = np.exp(2j * np.pi * np.outer(np.arange(256), k) / 256)
        spread = np.sqrt(2 * power / k)
        values = (rng.normal(size=(200, 4)) + 1j * rng.normal(size=(200, 4))) * spread
        return (values @ terms.T).real + rng.normal(size=self.shape)

    @pytest.mark.parametrize("cutoff", [1 / 16, 1 / 100, 1 / 400])
    def test_is_estimated_where_it_is_not_given(self, cutoff):
        rng = np.random.default_rng(9)
        use = rng.random(self.shape) < 0.8
        data = np.where(use, self.lines(cutoff, rng), 0).astype("f4")
        plan = FourierNoise().plan(ORDER, use, white=1.0, sample=data)
        assert_allclose(plan.cutoff, cutoff, rtol=0.3)

    def test_without_flicker_noise_only_offsets_are_left(self):
        rng = np.random.default_rng(9)
        data = rng.normal(size=self.shape).astype("f4")
        use = np.ones(self.shape, dtype=bool)
        noise = FourierNoise().plan(ORDER, use, white=1.0, sample=data)(data)
        assert np.std(noise - noise.mean(axis=1, keepdims=True)) < 0.03

    def test_given_one_is_kept(self):
        data = np.zeros(self.shape, "f4")
        plan = FourierNoise(1 / 50).plan(ORDER, data == 0, white=1.0, sample=data)
        assert plan.cutoff == 1 / 50
