"""Squares of light moved along traces, against sums written out at every wavelength."""

import numpy as np
import pytest

from specmodels.numerics.dispersal import Squares, Steps, Traces, disperse
from specmodels.numerics.dispersal_planes import Frame, united

SHAPE = (40, 90)
LIMITS = (1.0, 2.0)


def moved(x, y, wavelength):
    t = wavelength - 1
    return x + 10 + 50 * t * (1 + 1e-3 * x), y + 3 * t + 0.5 * t**2 + 1e-3 * x * y


def squares(seed=0, half=0.5, n_band=1):
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(4, 9.0), np.arange(10, 14.0))
    x, y = np.tile(x.ravel(), 3), np.concatenate([y.ravel() + shift for shift in (0, 9, 18)])
    light = rng.uniform(0.5, 2, (n_band, x.size))
    return Squares(x, y, light, np.full(x.size, half), np.array([0, 20, 40, 60]))


def steps(n=150, n_terms=3, **settings):
    scaled = (2 * np.arange(n) + 1) / n - 1
    return Steps.of(scaled, np.vander(scaled, n_terms, increasing=True) + 0.1, **settings)


def traces(light):
    return Traces.through(moved, light.boxes(), LIMITS, n_wave_nodes=4)


def by_hand(light, table, shape=SHAPE, band=0):
    """The same, with the exact transform and areas of overlap, square by square."""
    columns = np.zeros((light.n_source, table.n_terms, *shape))
    row, column = np.arange(shape[0])[:, None], np.arange(shape[1])
    for s in range(light.n_source):
        for i in range(light.start[s], light.start[s + 1]):
            for m, scaled in enumerate(table.scaled):
                x, y = moved(light.x[i], light.y[i], 1.5 + scaled / 2)
                h = light.half[i]
                tall = np.clip(np.minimum(y + h, row + 0.5) - np.maximum(y - h, row - 0.5), 0, None)
                wide = np.clip(np.minimum(x + h, column + 0.5) - np.maximum(x - h, column - 0.5),
                               0, None)  # fmt: skip
                columns[s] += (light.light[band, i] / (4 * h * h) * tall * wide
                               * table.values[m][:, None, None])  # fmt: skip
    return columns.reshape(-1, shape[0] * shape[1]).T


@pytest.mark.parametrize("half", [0.5, 0.25])
def test_areas_of_overlap_are_exact(half):
    light, table = squares(half=half), steps(40)
    found = disperse(light, traces(light), table, SHAPE).toarray()
    np.testing.assert_allclose(found, by_hand(light, table), atol=1e-9)


def test_light_is_conserved():
    light, table = squares(), steps()
    found = disperse(light, traces(light), table, (60, 120))
    total = np.array([part.sum() for part in np.split(light.light[0], light.start[1:-1])])
    expected = np.outer(total, table.values.sum(axis=0)).ravel()
    np.testing.assert_allclose(found.sum(axis=0), expected, rtol=1e-12)


def test_result_depends_on_no_chunk_thread_or_band():
    light, table = squares(), steps(n_terms=7)
    reference = disperse(light, traces(light), table, SHAPE)
    for settings in ({"chunk": 1}, {"chunk": 5000}, {"n_jobs": 2, "chunk": 1}):
        found = disperse(light, traces(light), table, SHAPE, **settings)
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found, name), getattr(reference, name))


def test_terms_that_are_zero_for_most_wavelengths_are_dispersed_in_bands():
    light = squares()
    n = 120
    scaled = (2 * np.arange(n) + 1) / n - 1
    columns = np.clip(1 - np.abs(scaled[:, None] - np.linspace(-1, 1, 12)) * 5.5, 0, None)
    table = Steps.of(scaled, columns)
    assert table.values.shape[1] == 2
    whole = disperse(light, traces(light), table, SHAPE, band_size=12)
    parts = disperse(light, traces(light), table, SHAPE, band_size=4)
    np.testing.assert_allclose(parts.toarray(), whole.toarray(), atol=1e-13)


def test_source_does_not_depend_on_the_others():
    light, table = squares(), steps()
    alone = Squares(light.x[20:40], light.y[20:40], light.light[:, 20:40], light.half[20:40],
                    np.array([0, 20]))  # fmt: skip
    all_three = disperse(light, traces(light), table, SHAPE)[:, 3:6]
    np.testing.assert_array_equal(disperse(alone, traces(alone), table, SHAPE).toarray(),
                                  all_three.toarray())  # fmt: skip


def test_light_is_interpolated_between_bands():
    light = squares(n_band=2)
    n = 40
    table = steps(n, band=np.zeros(n, int), fraction=np.full(n, 0.25))
    found = disperse(light, traces(light), table, SHAPE).toarray()
    plain = steps(n)
    expected = 0.75 * by_hand(light, plain) + 0.25 * by_hand(light, plain, band=1)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_light_off_the_detector_is_lost_only_there():
    light, table = squares(), steps(40)
    whole = disperse(light, traces(light), table, (60, 120)).toarray().reshape(60, 120, -1)
    small = disperse(light, traces(light), table, (25, 30)).toarray().reshape(25, 30, -1)
    np.testing.assert_allclose(small, whole[:25, :30], atol=1e-14)


def test_transform_without_a_value_gives_no_light():
    light = squares()
    paths = Traces.through(lambda x, y, w: (x * np.nan, y), light.boxes(), LIMITS)
    assert disperse(light, paths, steps(), SHAPE).nnz == 0


def test_interpolated_traces_reach_the_transform():
    light = squares()
    paths = traces(light)
    ends = moved(light.boxes()[:, 0], light.boxes()[:, 1], np.full(3, 2.0))
    found = paths.coefficients.sum(axis=2)[:, :, 0, 0].T + light.boxes()[:, :2].T
    np.testing.assert_allclose(found, ends, atol=1e-10)


def test_light_without_steps_gives_empty_columns():
    table = Steps.of(np.zeros(3), np.zeros((3, 4)))
    light = squares()
    assert disperse(light, traces(light), table, SHAPE).nnz == 0


def galaxy(center, sigma, reach=6, parts=3):
    """Squares of a round source, divided into parts."""
    near = np.arange(-reach, reach + 1.0)
    x, y = (grid.ravel() for grid in np.meshgrid(np.rint(center[0]) + near,
                                                 np.rint(center[1]) + near))  # fmt: skip
    offset = (np.arange(parts) + 0.5) / parts - 0.5
    far = ((x[:, None, None] + offset - center[0]) ** 2
           + (y[:, None, None] + offset[:, None] - center[1]) ** 2)  # fmt: skip
    light = np.exp(-0.5 * far / sigma**2)[None] / parts**2
    return Squares(x, y, light, np.full(x.size, 0.5), np.array([0, x.size]))


def turned(angle, bend=1.5):
    """Paths of some 60 pixels at an angle, bent, and longer on one side than on the other."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))

    def path(x, y, wavelength):
        t = wavelength - 1
        along = 55 * t * (1 + 3e-4 * (x - 80)) + 4 * t**2
        across = bend * t**2 + 2e-3 * (y - 80) * t
        return x + cosine * along - sine * across, y + sine * along + cosine * across

    return path


def dispersed(path, light, n, *, per_pixel=None, shape=(160, 160)):
    """Columns of n steps, joined and moved, or each of a single wavelength."""
    scaled = (2 * np.arange(n) + 1) / n - 1
    narrow = np.exp(-0.5 * ((scaled - 0.11) / 0.05) ** 2)
    edges = np.clip((0.9 - np.abs(scaled)) / 0.05, 0, 1)
    columns = np.stack([edges, edges * scaled, edges * narrow], axis=1) * 60 / n
    moving = {} if per_pixel is None else {"width": 2 / n, "per_pixel": per_pixel}
    paths = Traces.through(path, light.boxes(), LIMITS, n_wave_nodes=5)
    return disperse(light, paths, Steps.of(scaled, columns, **moving), shape).toarray()


def error(found, truth):
    """Largest error of each column relative to its peak."""
    return np.abs(found - truth).max(axis=0) / np.abs(truth).max(axis=0)


@pytest.mark.parametrize("angle", [0, 1, 6, 45, 90, 181, 269])
@pytest.mark.parametrize("sigma", [0.5, 1.3])
def test_moving_squares_are_closer_to_the_truth_than_three_wavelengths_a_pixel(angle, sigma):
    rng = np.random.default_rng(angle)
    light, path = galaxy(80 + rng.uniform(-0.5, 0.5, 2), sigma), turned(angle)
    truth = dispersed(path, light, 20 * 60)
    moving = error(dispersed(path, light, 4 * 60, per_pixel=2), truth)
    sampled = error(dispersed(path, light, 3 * 60), truth)
    assert np.all(moving < np.maximum(sampled, 3e-3))
    assert moving.max() < 8e-3


def test_moving_squares_conserve_light_and_place_it_as_the_truth_does():
    light, path = galaxy((80.2, 79.7), 0.8), turned(2)
    truth = dispersed(path, light, 20 * 60)
    moving = dispersed(path, light, 4 * 60, per_pixel=2)
    np.testing.assert_allclose(moving.sum(axis=0)[[0, 2]], truth.sum(axis=0)[[0, 2]], rtol=1e-4)
    for axis in np.indices((160, 160)).reshape(2, -1):
        place = [axis @ one[:, 2] / one[:, 2].sum() for one in (moving, truth)]
        assert place[0] == pytest.approx(place[1], abs=1e-3)


def test_parts_of_squares_are_squares():
    light, offset = galaxy((80.2, 79.7), 0.8), (np.arange(3) - 1) / 3

    def path(x, y, wavelength):
        return x + 50 * (wavelength - 1), y + 3 * (wavelength - 1)

    x = light.x[:, None, None] + offset + np.zeros((3, 1))
    y = light.y[:, None, None] + offset[:, None] + np.zeros(3)
    apart = Squares(x.ravel(), y.ravel(), light.light.reshape(1, -1), np.full(x.size, 0.5 / 3),
                    light.start * 9)  # fmt: skip
    paths = Traces.through(path, light.boxes(), LIMITS)
    table = steps(60)
    found = disperse(light, paths, table, (160, 160)).toarray()
    expected = disperse(apart, paths, table, (160, 160)).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_moved_light_does_not_depend_on_bands_of_terms_chunks_or_threads():
    light = galaxy((60.3, 70.2), 1.0)
    n = 240
    scaled = (2 * np.arange(n) + 1) / n - 1
    columns = np.clip(1 - np.abs(scaled[:, None] - np.linspace(-1, 1, 24)) * 11.5, 0, None)
    table = Steps.of(scaled, columns, width=2 / n, per_pixel=2)
    paths = Traces.through(turned(1), light.boxes(), LIMITS)
    whole = disperse(light, paths, table, (160, 160), band_size=24)
    for settings in ({"band_size": 4}, {"band_size": 4, "chunk": 1, "n_jobs": 2}):
        found = disperse(light, paths, table, (160, 160), **settings)
        np.testing.assert_allclose(found.toarray(), whole.toarray(), atol=1e-13)


def test_light_that_hardly_moves_is_kept():
    light = galaxy((60.3, 70.2), 1.0)
    table = Steps.of(np.linspace(-0.99, 0.99, 100), np.ones((100, 1)), width=0.02, per_pixel=2)
    for way in (0.0, 1e-9, 0.3, 5.0):

        def path(x, y, wavelength, way=way):
            return x + way * (wavelength - 1), y + 0 * wavelength

        paths = Traces.through(path, light.boxes(), LIMITS)
        found = disperse(light, paths, table, (160, 160))
        assert found.sum() == pytest.approx(100 * light.light.sum(), rel=1e-12)
        x = found.toarray().reshape(160, 160).sum(axis=0) @ np.arange(160) / found.sum()
        assert x == pytest.approx(60.3 + way / 2, abs=2e-3)


def test_frames_of_two_places_hold_all_that_squares_of_either_reach():
    one, other = Frame(3, 5, 9, 4, 2), Frame(2, 6, 8, 4, 3)
    both = united(one, other)
    last = max(one.pixel + one.wide - one.reached, other.pixel + other.wide - other.reached)
    assert both.pixel + both.wide == last + both.reached
    assert (both.pixel, both.row, both.tall, both.reached) == (2, 5, 5, 3)
