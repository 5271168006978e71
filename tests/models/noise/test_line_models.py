"""Linear models of the time within a line, fitted to lines as noise models are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import specmodels as sm
from specmodels.models.noise.line_models import LineModel, as_noise_model


class Transient(sm.BasisModel):
    """An offset, and what decays from the start of a line."""

    coordinates = ("time",)
    over = ("line",)

    def __init__(self, pixels=20.0, **parameters):
        self.pixels = float(pixels)
        super().__init__(2, **parameters)

    def basis(self, t):
        return np.stack([np.ones(np.shape(t)), np.exp(-t / self.pixels)], axis=-1)


def frames(seed, shape=(200, 128)):
    rng = np.random.default_rng(seed)
    offset, amplitude = rng.normal(0, 2, (shape[0], 1)), rng.normal(0, 6, (shape[0], 1))
    noise = offset + amplitude * np.exp(-np.arange(shape[1]) / 20)
    return (noise + rng.normal(size=shape)).astype("f4"), noise - noise.mean()


def plan_of(use, sample=None, **settings):
    return LineModel(Transient()).plan(sm.Readout(**settings), use, white=1.0, sample=sample)


def test_noise_is_found_with_the_error_it_states():
    use = np.ones((200, 128), dtype=bool)
    use[:, 40:70] = False
    frame, truth = frames(1)
    plan = plan_of(use, np.where(use, frame, 0))
    off = plan(np.where(use, frame, 0)) - truth
    off -= off[use].mean()
    assert np.mean(off**2 / plan.variance) == pytest.approx(1, abs=0.25)


def test_lines_along_the_other_axis_and_backwards_are_the_same():
    frame, _ = frames(2)
    use = np.ones(frame.shape, dtype=bool)
    one = plan_of(use, frame)(frame)
    two = plan_of(use.T, frame.T, fast_axis=-2)(frame.T)
    assert_allclose(two.T, one, atol=1e-5)
    back = plan_of(use[:, ::-1], frame[:, ::-1], fast_direction=-1)(frame[:, ::-1])
    assert_allclose(back[:, ::-1], one, atol=1e-5)


def test_what_a_line_does_not_show_is_not_extrapolated():
    """Where the start of a line is masked its transient is unknown: the mean of all is given."""
    frame, _ = frames(3)
    use = np.ones(frame.shape, dtype=bool)
    use[::4, :100] = False
    given = np.where(use, frame, 0)
    found = plan_of(use, given)(given)
    assert np.abs(found[::4]).max() < np.abs(found[1::4]).max()
    assert plan_of(use, given).n_empty == 0


def test_pixels_that_are_bad_in_one_frame_do_not_count():
    frame, truth = frames(4)
    use, bad = np.ones(frame.shape, dtype=bool), np.zeros(frame.shape, dtype=bool)
    bad[5, 10:20] = True
    hit = np.where(bad, 1e4, frame)
    off = plan_of(use, frame)(hit, bad) - truth
    assert np.abs(off[5]).max() < 3


def test_empty_lines_have_no_noise():
    frame, _ = frames(5)
    use = np.ones(frame.shape, dtype=bool)
    use[7] = False
    plan = plan_of(use, np.where(use, frame, 0))
    assert (plan(np.where(use, frame, 0))[7] == 0).all()
    assert plan.n_empty == 1


def test_the_flicker_job_takes_the_model_itself():
    frame, _ = frames(6)
    dark = np.zeros(frame.shape, dtype=bool)
    result = sm.FlickerNoiseSubtraction(Transient(), mask=dark)(frame + 5)
    assert np.std(result.cleaned) < 1.02
    assert np.std(frame) > 1.5


def test_the_same_model_is_a_term_of_a_sum():
    frame, _ = frames(7)
    image = sm.SpectralImage(frame, variance=np.ones(frame.shape), readout=sm.Readout())
    fit = sm.LinearFitter()(Transient(name="transient"), image)
    assert fit["transient.c1"].shape == (200,)
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("wrong", [Transient, "median", sm.ColumnPolynomial(1), None])
def test_other_models_are_refused(wrong):
    with pytest.raises(TypeError, match="noise_model: expected"):
        as_noise_model(wrong)
