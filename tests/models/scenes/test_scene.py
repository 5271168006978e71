"""Scenes of dispersed sources: what is dispersed, what is left out and why, and bad input."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism, moved

SHAPE = (60, 170)


def field(labels=(1, 2, 5)):
    """Three sources, the last one of a single pixel, labels with a gap."""
    image, segments = np.zeros(SHAPE), np.zeros(SHAPE, int)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for label, (x0, y0, peak) in zip(labels, [(20, 20, 5.0), (30, 40, 1.0)], strict=False):
        light = peak * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / 1.5**2)
        image += light
        segments[light > 0.05] = label
    image[10, 12], segments[10, 12] = 0.5, labels[-1]
    return image, segments


def scene(*, grism=None, spectrum=None, direct=None, **settings):
    direct = sm.DirectImage(*field(), error=0.01) if direct is None else direct
    grism = analytic_grism(SHAPE) if grism is None else grism
    spectrum = sm.LegendreSpectrum(2) if spectrum is None else spectrum
    return sm.GrismScene.from_direct_image(direct, grism=grism, spectrum=spectrum, **settings)


def reasons(one):
    return {(int(row["label"]), int(row["order"])): str(row["reason"]) for row in one.decisions}


def test_scene_is_a_mapping_of_fittable_models():
    one = scene()
    assert list(one) == [(1, 1), (2, 1), (5, 1)]
    source = one["2"]
    np.testing.assert_allclose(source.image, one.image((2, 1)))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    np.testing.assert_allclose(source(x, y), one.image(2), atol=1e-15)
    np.testing.assert_allclose(sum(m.image for m in one.values()), one.simulated_image, atol=1e-12)
    assert 1 in one
    assert 3 not in one
    assert "GrismScene" in repr(one)


def test_window_shows_the_part_of_the_image():
    one = scene()
    window = slice(15, 30), slice(60, 100)
    np.testing.assert_array_equal(one.image(1, window), one.image(1)[window])


def test_light_is_conserved():
    one = scene(spectrum=sm.LegendreSpectrum(0), shapes=sm.SegmentShapes())
    grism = analytic_grism(SHAPE)
    wavelength = np.linspace(1, 2, 20001)
    counts = np.trapezoid(grism.sensitivity[1](wavelength), wavelength)
    light = one.entry(1).light
    assert one.image(1).sum() == pytest.approx(light * counts, rel=1e-4)


def test_result_depends_neither_on_chunk_nor_on_threads():
    reference = scene()
    for settings in ({"chunk": 1}, {"chunk": 300, "n_jobs": 2}):
        np.testing.assert_array_equal(scene(**settings).columns.data, reference.columns.data)


def test_orders_are_kept_apart_or_share_their_spectrum():
    grism = analytic_grism(SHAPE, orders=(1, 2))
    apart, shared = scene(grism=grism), scene(grism=grism, share_orders=True)
    assert len(apart) == len(shared)
    assert len({key[0] for key in apart}) < len(apart)
    assert apart.n_parameters == 3 * len(apart)
    assert shared.n_parameters == 3 * 3
    np.testing.assert_allclose(shared.simulated_image, apart.simulated_image, atol=1e-12)


def test_bands_give_the_sources_their_colour():
    image, segments = field()
    cube = np.stack([image, np.where(segments == 1, 3 * image, image)])
    direct = sm.DirectImage(cube, segments, error=0.01, wavelength=[1.0, 2.0] * u.um)
    one = scene(direct=direct, shapes=sm.SegmentShapes(), spectrum=sm.LegendreSpectrum(0))
    flat = scene(shapes=sm.SegmentShapes(), spectrum=sm.LegendreSpectrum(0))
    ratio = one.image(1).sum(axis=0) / np.maximum(flat.image(1).sum(axis=0), 1e-9)
    lit = flat.image(1).sum(axis=0) > 1
    columns = np.flatnonzero(lit)
    assert ratio[columns[3]] < 1.3
    assert ratio[columns[-3]] > 2.7
    np.testing.assert_allclose(one.image(2), flat.image(2), rtol=1e-6, atol=1e-9)


def test_bands_of_equal_images_are_the_image():
    image, segments = field()
    direct = sm.DirectImage(np.stack([image] * 3), segments, error=0.01, wavelength=[1, 1.4, 2])
    np.testing.assert_allclose(scene(direct=direct).simulated_image, scene().simulated_image,
                               atol=1e-9)  # fmt: skip


def test_sources_may_have_spectra_of_their_own():
    known = sm.TabulatedSpectrum([1, 2], [0.5, 1.5])
    one = scene(spectrum={2: known, None: sm.LegendreSpectrum(1)})
    assert [entry.stop - entry.first for entry in one.entries if entry.label == 2] == [1]
    assert one.columns.shape[1] == 2 + 2 + 1
    image = one.image(2).sum(axis=0)
    flat = scene().image(2).sum(axis=0)
    lit = np.flatnonzero(flat > 1)
    assert image[lit[4]] < 0.7 * flat[lit[4]]
    assert image[lit[-4]] > 1.3 * flat[lit[-4]]


@pytest.mark.parametrize(
    ("selection", "left", "reason"),
    [
        (sm.SourceSelection(n_brightest=1), [1], "not among the 1 brightest"),
        (sm.SourceSelection(labels=[2]), [2], "not among the labels"),
        (sm.SourceSelection(min_snr=150), [1, 2], "signal-to-noise ratio"),
        (sm.SourceSelection(magnitude_limit=0), [1, 2], "magnitude"),
        (sm.SourceSelection(magnitude_limit=20, magnitudes={1: 18, 2: 22}), [1], "no magnitude"),
    ],
)
def test_sources_left_out_have_a_reason(selection, left, reason):
    one = scene(selection=selection)
    assert [label for label, _ in one] == left
    assert any(reason in text for text in reasons(one).values())
    with pytest.raises(KeyError, match=reason):
        one[5]


def test_limit_is_brighter_in_a_fainter_order():
    grism = analytic_grism((60, 400), orders=(1, 2))
    image, segments = (np.pad(a, ((0, 0), (0, 230))) for a in field())
    selection = sm.SourceSelection(magnitude_limit=10.0, magnitudes={1: 5, 2: 9.5, 5: 11})
    one = sm.GrismScene.from_direct_image(image, segments, grism, selection=selection)
    assert list(one) == [(1, 1), (2, 1), (1, 2)]


def test_magnitudes_come_from_a_table():
    table = Table({"label": [1, 2, 5], "isophotal_abmag": [20.0, 21, 25]})
    one = scene(selection=sm.SourceSelection(magnitude_limit=22, magnitudes=table))
    assert [label for label, _ in one] == [1, 2]
    with pytest.raises(ValueError, match="'label'"):
        sm.SourceSelection(magnitudes=Table({"isophotal_abmag": [1.0]}))


def test_sources_off_the_detector_are_dropped():
    def away(x, y, wavelength, order):
        new = moved(x, y, wavelength, order)
        return np.where(y < 31, new[0] + 1000, new[0]), new[1]

    grism = sm.Grism(away, {1: (1, 2)}, {1: lambda w: np.ones_like(w)}, SHAPE)
    one = scene(grism=grism)
    assert list(one) == [(2, 1)]
    assert reasons(one)[1, 1] == reasons(one)[5, 1] == "off the detector"


def test_order_without_sensitivity_is_left_out():
    ranges = {1: (1, 2), 2: (1, 2)}
    grism = sm.Grism(moved, ranges, {1: ([1, 2], [1, 1])}, SHAPE)
    one = scene(grism=grism)
    assert {order for _, order in one} == {1}
    assert reasons(one)[1, 2] == "no sensitivity in order 2"


def test_zero_sensitivity_at_the_edges_gives_no_light_there():
    wavelength = np.linspace(1, 2, 101)
    response = np.where(np.abs(wavelength - 1.5) < 0.2, 1.0, 0.0)
    grism = sm.Grism(moved, {1: (1, 2)}, {1: (wavelength, response)}, SHAPE)
    inverse = sm.Sensitivity(wavelength, response, inverse=True)
    same = scene(grism=sm.Grism(moved, {1: (1, 2)}, {1: inverse}, SHAPE))
    one = scene(grism=grism)
    assert np.isfinite(one.columns.data).all()
    lit = np.flatnonzero(one.image(1).sum(axis=0))
    assert lit[-1] - lit[0] < 60
    assert np.isfinite(same.columns.data).all()


def test_missing_pixels_of_the_direct_image_are_modelled():
    image, segments = field()
    holed = image.copy()
    holed[20, 20] = np.nan
    one = scene(direct=sm.DirectImage(holed, segments, error=0.01))
    whole = scene()
    assert one.image(1).sum() == pytest.approx(whole.image(1).sum(), rel=0.02)
    plain = scene(direct=sm.DirectImage(holed, segments, error=0.01), shapes=sm.SegmentShapes())
    assert np.isfinite(plain.columns.data).all()


def test_source_without_light_is_left_out():
    image, segments = field()
    image[10, 12] = -1.0
    one = scene(direct=sm.DirectImage(image, segments, error=0.01))
    assert reasons(one)[5, 1] == "no light in its segment"


def test_field_without_sources_gives_an_empty_scene():
    one = scene(direct=sm.DirectImage(np.ones(SHAPE), np.zeros(SHAPE, int), error=1))
    assert len(one) == 0
    assert not one.simulated_image.any()


def test_nothing_given_is_changed_and_the_table_cannot_be():
    image, segments = field()
    kept = image.copy(), segments.copy()
    one = scene(direct=sm.DirectImage(image, segments, error=0.01))
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(segments, kept[1])
    with pytest.raises(ValueError, match="read-only"):
        one[1].values[0] = 1.0


def test_scene_can_be_pickled():
    one = scene()
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.simulated_image, one.simulated_image)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sm.DirectImage(np.ones(SHAPE), np.ones((3, 3), int)), ValueError, "segmentation"),
        (lambda: sm.DirectImage(np.ones(SHAPE), np.full(SHAPE, 0.5)), TypeError, "segmentation"),
        (lambda: sm.DirectImage(np.ones(SHAPE), np.full(SHAPE, -1)), ValueError, "negative"),
        (lambda: sm.DirectImage(np.ones(SHAPE, bool), np.ones(SHAPE, int)), TypeError, "data"),
        (lambda: sm.DirectImage(np.full(SHAPE, np.nan), np.ones(SHAPE, int)), ValueError, "finite"),
        (lambda: sm.DirectImage(np.ones((2, *SHAPE)), np.ones(SHAPE, int)), ValueError, "bands"),
        (lambda: sm.Grism(None, {1: (1, 2)}, {}), TypeError, "transform"),
        (lambda: sm.Grism(moved, {}, {}), ValueError, "at least one order"),
        (lambda: sm.Grism(moved, {1: (2, 1)}, {}), ValueError, "increasing"),
        (lambda: sm.Grism(moved, {1: (1, 2)}, {1: 3}), TypeError, "sensitivity"),
        (lambda: scene(selection=sm.SourceSelection(orders=[1, 7])), ValueError, "orders"),
        (lambda: scene(spectrum="flat"), TypeError, "spectrum"),
        (lambda: scene(shapes=3), TypeError, "shapes"),
        (lambda: sm.GrismScene.from_direct_image(*field()), TypeError, "grism"),
        (lambda: sm.GrownShapes(subpixels=0), ValueError, "subpixels"),
        (lambda: sm.SourceSelection(n_brightest=0), ValueError, "n_brightest"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_background_of_a_direct_image_is_subtracted():
    _, truth = sm.datasets.make_slitless(seed=2)
    direct = truth.observed_direct
    y, x = np.indices(direct.segmentation.shape)
    sky = 0.5 + 0.002 * x + 0.001 * y
    spoiled = sm.DirectImage(direct.data[0] + sky, direct.segmentation, direct.error)
    found = spoiled.without_background(32)
    left = found.data[0] - direct.data[0]
    assert np.abs(np.median(left)) < 0.1 * np.ptp(sky)
    assert np.std(left) < 0.15 * np.std(sky)
    np.testing.assert_array_equal(found.error, spoiled.error)
    np.testing.assert_array_equal(spoiled.data[0], direct.data[0] + sky)


@pytest.mark.parametrize("seen", [(0.95, 9.0), (0.0, 1.2), (0.9, 1.3)])
def test_path_that_is_defined_for_a_part_of_the_range_keeps_the_light_there(seen):
    y, x = np.mgrid[:40, :300]
    light = np.exp(-0.5 * ((y - 20) ** 2 + (x - 30) ** 2) / 4)
    direct = sm.DirectImage(light, (light > 0.02).astype(int))

    def image(low, high):
        def path(x, y, wavelength, order):
            along = x + 160 * (wavelength - 0.8) / 0.7 + 10 * (wavelength - 0.8) ** 2
            inside = (wavelength > low) & (wavelength < high)
            return np.where(inside, along, np.nan), y + 0 * wavelength

        grism = sm.Grism(path, {1: (0.8, 1.5)}, {1: ([0.7, 1.8], [1e3, 1e3])}, shape=(40, 300))
        scene = sm.GrismScene.from_direct_image(direct, grism=grism)
        return scene.simulated_image

    whole, part = image(0.0, 9.0), image(*seen)
    ends = np.clip(seen, 0.8, 1.5)
    first, last = (30 + 160 * (ends - 0.8) / 0.7 + 10 * (ends - 0.8) ** 2).round().astype(int)
    inner = slice(first + 12, last - 12)
    np.testing.assert_allclose(part[:, inner], whole[:, inner], atol=2e-3 * whole.max())
    assert part.sum() / whole.sum() == pytest.approx((ends[1] - ends[0]) / 0.7, abs=0.02)


def test_path_that_ends_elsewhere_for_each_place_keeps_the_light_up_to_there():
    """The wavelength at which the path ends changes over a source, and none is lost for it."""
    _, truth = sm.datasets.make_slitless(seed=4, n_sources=5)
    whole, responses = truth.grism.transform, dict(truth.grism.sensitivity)

    def part(x, y, wavelength, order):
        inside = wavelength < 1.2 + x / 200
        return [np.where(inside, value, np.nan) for value in whole(x, y, wavelength, order)]

    def scene(path):
        grism = sm.Grism(path, {1: (1.0, 2.0)}, responses, truth.grism.shape)
        return sm.GrismScene.from_direct_image(truth.direct, grism=grism)

    cut, full = scene(part), scene(whole)
    assert set(cut) == set(full)
    wavelength = np.linspace(1, 2, 4000)
    for entry in full.entries:
        center = np.mean(np.nonzero(truth.direct.segmentation == entry.label)[1])
        response = responses[1](wavelength)
        share = response[wavelength < 1.2 + center / 200].sum() / response.sum()
        found = cut.image(entry.key).sum() / full.image(entry.key).sum()
        assert found == pytest.approx(share, abs=0.01)
