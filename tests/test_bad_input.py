"""Whatever comes in: a result whose bad columns are masked, or an error that names the argument.

Never another exception, never a warning (the configuration of pytest makes them errors), and never
a change of what was given.
"""

import re

import numpy as np
import pytest
from astropy import units as u
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm

N_ROW, N_COLUMN = 18, 40
SLIT, TRUTH = sm.datasets.make_slit(
    seed=5, shape=(N_ROW, N_COLUMN), curvature=1.0, hit_fraction=0, bad_fraction=0
)
SLIT = SLIT.replace(components={}, name="image")
ARGUMENTS = "obj|data|variance|mask|image|model|wavelength|unit|name|dispersion_axis|components"
NAMES_AN_ARGUMENT = re.compile(rf"\b({ARGUMENTS})\b[^:]*:")


# Without shrinking, which takes minutes where it finds something; the examples are small.
SEARCH = settings(max_examples=25, phases=[Phase.explicit, Phase.generate])


def user_model(row=9.0):
    trace = sm.PolynomialTrace(1, limits=(0, N_COLUMN - 1), c0=row, c1=0.1)
    source = sm.Source(sm.GaussianProfile(stddev=1.3), trace, name="mine")
    return source + sm.ColumnPolynomial(0, limits=(0, N_ROW - 1), name="sky")


MODELS = {"automatic": None, "user's": user_model()}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def check_extraction(obj, model=None, **options):
    """The result, checked; None where the input was refused by name."""
    given_arrays = [a for a in (obj, *options.values()) if isinstance(a, np.ndarray)]
    kept = [np.array(a, copy=True, subok=True) for a in given_arrays]
    try:
        result = sm.OptimalExtraction(model)(sm.read(obj, **options))
    except (TypeError, ValueError) as error:
        assert_clear(error)
        result = None
    else:
        assert_sound(result)
    for array, before in zip(given_arrays, kept, strict=True):
        assert_array_equal(array, before)
    return result


def assert_clear(error):
    """No subclass, such as LinAlgError, which comes from the inside."""
    assert type(error) in (TypeError, ValueError), repr(error)
    assert NAMES_AN_ARGUMENT.search(str(error)), str(error)


def assert_sound(result):
    report = result.report()
    assert len(report) == len(result.sources)
    for row, (name, table) in zip(report, result.tables().items(), strict=True):
        good = ~table["mask"]
        assert row["source"] == name
        assert np.isfinite(table["flux"][good]).all()
        assert np.isfinite(table["flux_error"][good]).all()
        assert (table["flux_error"][good] > 0).all()
        assert np.isfinite(table["trace"]).all()
        assert np.isfinite(result.model[:, good]).all()
        seen = ~(result.fit.image.mask & ~result.fit.rejected).all(axis=0)
        assert row["lost"] == (np.mean(table["mask"][seen]) if seen.any() else 1)
        assert row["status"] in ("ok", "check")
        assert bool(row["reason"]) == (row["status"] == "check")
        assert row["status"] == "check" or row["lost"] <= 0.2
    spectra = result.spectra
    assert list(spectra) == list(result.sources)
    repr(result)


def spoilt(base, blows):
    """Copy of an array in which rectangles hold other values."""
    array = np.array(base)
    for (first_row, n_row, first_column, n_column), value in blows:
        array[first_row : first_row + n_row, first_column : first_column + n_column] = value
    return array


def rectangles(values):
    area = st.tuples(
        st.integers(0, N_ROW - 1), st.integers(1, N_ROW),
        st.integers(0, N_COLUMN - 1), st.integers(1, N_COLUMN),
    )  # fmt: skip
    return st.lists(st.tuples(area, st.sampled_from(values)), max_size=4)


ALL = (0, N_ROW, 0, N_COLUMN)
BAD_DATA = [np.nan, np.inf, -np.inf, 0.0, -1e4, 1e5, 1e12]
BAD_VARIANCE = [np.nan, np.inf, 0.0, -1.0, 1e-12, 1e12]


@models
@given(
    data=rectangles(BAD_DATA), variance=rectangles(BAD_VARIANCE), mask=rectangles([True]),
    known=st.booleans(),
)  # fmt: skip
@SEARCH
@example(data=[(ALL, np.nan)], variance=[], mask=[], known=True)
@example(data=[(ALL, 0.0)], variance=[], mask=[], known=True)
@example(data=[(ALL, 0.0)], variance=[], mask=[], known=False)
@example(data=[(ALL, 1e5)], variance=[], mask=[], known=False)
@example(data=[], variance=[(ALL, 0.0)], mask=[], known=True)
@example(data=[], variance=[(ALL, -1.0)], mask=[], known=True)
@example(data=[], variance=[], mask=[(ALL, True)], known=True)
@example(data=[], variance=[], mask=[((0, N_ROW, 3, 5), True)], known=True)
@example(data=[], variance=[], mask=[((0, N_ROW, 1, N_COLUMN), True)], known=False)
@example(data=[], variance=[], mask=[((1, N_ROW, 0, N_COLUMN), True)], known=True)
@example(data=[], variance=[], mask=[((2, N_ROW, 0, N_COLUMN), True)], known=False)
def test_spoilt_pixels(model, data, variance, mask, known):
    check_extraction(
        spoilt(SLIT.data, data), model,
        variance=spoilt(SLIT.variance, variance) if known else None,
        mask=spoilt(np.zeros(SLIT.shape, dtype=bool), mask),
    )  # fmt: skip


@models
@pytest.mark.parametrize("known", [True, False], ids=["variance", "none"])
@pytest.mark.parametrize("value", [0.0, 3.0, -7.0, 65535.0, 1e-30, 1e30, np.nan, np.inf])
@pytest.mark.parametrize("shape", [SLIT.shape, (1, 30), (30, 1), (1, 1), (4, 4)], ids=str)
def test_constant_images(model, shape, value, known):
    check_extraction(np.full(shape, value), model, variance=np.ones(shape) if known else None)


@models
@pytest.mark.parametrize("known", [True, False], ids=["variance", "none"])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 2), (2, 1), (1, 40), (40, 1), (2, 40), (3, 40), (4, 40), (5, 40), (6, 40),
              (8, 40), (40, 2), (40, 3), (18, 7), (3, 3), (2, 2)],
    ids=str,
)  # fmt: skip
def test_small_images(model, shape, known):
    """Cut from the middle of a good slit, so that the source is in them."""
    y, x = (max(0, (full - n) // 2) for full, n in zip(SLIT.shape, shape, strict=True))
    data = np.resize(SLIT.data[y : y + shape[0], x : x + shape[1]], shape)
    variance = np.resize(SLIT.variance[y : y + shape[0], x : x + shape[1]], shape)
    check_extraction(data, model, variance=variance if known else None)


def any_array(dtype):
    """Arrays of up to 24 x 24; floats up to 1e35 and some that are none."""
    dtype = np.dtype(dtype)
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)
    if dtype.kind != "f":
        return hnp.arrays(dtype, shapes)
    numbers = st.floats(-(2.0**116), 2.0**116, width=8 * dtype.itemsize) | st.sampled_from(
        BAD_DATA[:3]
    )
    return hnp.arrays(dtype, shapes, elements=numbers)


# Images that are zero but for some pixels, of which fits once overflowed.
FEW_COUNTS, MORE_COUNTS = np.zeros((2, 16, 11), dtype=np.int16)
FEW_COUNTS[[6, 9, 12, 13, 14], [2, 8, 6, 7, 7]] = [1, 1, 1, 3, 46]
MORE_COUNTS[[6, 9, 12, 13, 14], [0, 8, 6, 7, 6]] = [1, 1, 1, 1, 83]


@given(
    data=st.sampled_from([np.float64, np.float32, np.int16, np.uint8, ">f4", bool]).flatmap(
        any_array
    ),
    axis=st.sampled_from([-1, -2]),
)
@SEARCH
@example(data=np.array([[0.0, np.nan]]), axis=-1)
@example(data=np.array([[0.0, 1, 0], [1, 1, 1]]), axis=-1)
@example(data=np.array([[1e-6, 0, np.nan, np.nan], [1.0, np.nan, np.nan, np.nan]]), axis=-1)
@example(data=FEW_COUNTS, axis=-1)
@example(data=MORE_COUNTS, axis=-1)
def test_any_numbers(data, axis):
    check_extraction(data, dispersion_axis=axis)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
class TestSameFluxes:
    """What does not change the data must not change the result."""

    @pytest.fixture
    def expected(self, model):
        return check_extraction(SLIT, model).table("source" if model is None else "mine")

    def fluxes(self, obj, model, **options):
        result = check_extraction(obj, model, **options)
        return next(iter(result.tables().values()))

    @pytest.mark.parametrize("dtype", [np.float32, ">f8", ">f4", "<f8", np.float128])
    def test_floats_of_any_kind(self, model, expected, dtype):
        data, variance = SLIT.data.astype(dtype), SLIT.variance.astype(dtype)
        table = self.fluxes(data, model, variance=variance)
        assert_allclose(table["flux"].value, expected["flux"].value, rtol=1e-4)
        assert_allclose(table["flux_error"].value, expected["flux_error"].value, rtol=1e-4)

    @pytest.mark.parametrize("dtype", [np.int32, np.uint16, ">i4", np.int64])
    def test_integers(self, model, dtype):
        whole = np.round(SLIT.data)
        expected = self.fluxes(whole, model, variance=SLIT.variance)
        table = self.fluxes(whole.astype(dtype), model, variance=SLIT.variance)
        assert_array_equal(table["flux"].value, expected["flux"].value)

    def test_read_only_and_strided_arrays(self, model, expected):
        data = np.asfortranarray(np.repeat(SLIT.data, 2, axis=1))[:, ::2]
        data.flags.writeable = False
        variance = SLIT.variance[::-1][::-1]
        table = self.fluxes(data, model, variance=variance)
        assert_allclose(table["flux"].value, expected["flux"].value, rtol=1e-9)

    def test_transposed_images(self, model, expected):
        table = self.fluxes(SLIT.data.T, model, variance=SLIT.variance.T, dispersion_axis=-2)
        assert_allclose(table["flux"].value, expected["flux"].value, rtol=1e-9)

    @pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e-3, 1e6, 1e30])
    def test_scale_of_the_data(self, model, expected, scale):
        table = self.fluxes(scale * SLIT.data, model, variance=scale**2 * SLIT.variance)
        assert_allclose(table["flux"].value, scale * expected["flux"].value, rtol=1e-6)
        assert_allclose(table["flux_error"].value, scale * expected["flux_error"].value, rtol=1e-6)
        assert_array_equal(table["mask"], expected["mask"])
        assert_array_equal(table["n_rejected"], expected["n_rejected"])

    @pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e6, 1e30])
    def test_scale_of_data_without_variance(self, model, scale):
        one, other = (self.fluxes(k * SLIT.data, model) for k in (1.0, scale))
        assert_allclose(other["flux"].value, scale * one["flux"].value, rtol=1e-6)
        assert_allclose(other["flux_error"].value, scale * one["flux_error"].value, rtol=1e-6)

    def test_light_in_other_units(self, model, expected):
        data = (SLIT.data * 1e-3) << u.Jy
        variance = (SLIT.variance) << u.mJy**2
        table = self.fluxes(data, model, variance=variance)
        assert table["flux"].unit == u.Jy
        assert_allclose(table["flux"].to_value(u.mJy), expected["flux"].value, rtol=1e-6)


class TestRefused:
    """Errors say which argument, what came and what was expected."""

    def check_refused(self, error, match, obj, **options):
        with pytest.raises(error, match=match):
            sm.OptimalExtraction()(sm.read(obj, **options))

    @pytest.mark.parametrize("unit", [u.Jy, u.m, u.Jy * u.s])
    def test_variance_with_a_wrong_unit(self, unit):
        variance = SLIT.variance << unit
        self.check_refused(
            ValueError, "variance.*expected a unit", SLIT.data << u.Jy, variance=variance
        )

    def test_wavelengths_with_a_wrong_unit(self):
        self.check_refused((TypeError, ValueError), "wavelength", SLIT.data,
                    wavelength=np.arange(N_COLUMN) * u.Jy)  # fmt: skip

    @pytest.mark.parametrize("shape", [(), (40,), (2, 18, 40)])
    def test_other_than_two_dimensions(self, shape):
        self.check_refused(ValueError, "data", np.ones(shape))

    @pytest.mark.parametrize("shape", [(0, 10), (10, 0)])
    def test_no_pixels(self, shape):
        self.check_refused(ValueError, "data", np.ones(shape))

    @pytest.mark.parametrize("name", ["variance", "mask", "wavelength"])
    def test_planes_of_another_shape(self, name):
        self.check_refused(ValueError, name, SLIT.data, **{name: np.ones((3, 4), dtype=bool)})

    @pytest.mark.parametrize(
        "array", [SLIT.data * 1j, SLIT.data.astype(str)], ids=["complex", "text"]
    )
    def test_what_are_no_numbers(self, array):
        self.check_refused(TypeError, "data", array)

    @pytest.mark.parametrize("obj", [None, 3, object(), b"x"])
    def test_what_is_no_image(self, obj):
        self.check_refused(TypeError, "obj", obj)

    def test_every_pixel_masked_is_said_with_its_reasons(self):
        data = SLIT.data.copy()
        data[:5] = np.nan
        self.check_refused(ValueError, r"image 'image': no usable pixel: .*not finite", data,
                    mask=np.indices(data.shape)[0] >= 5)  # fmt: skip

    def test_model_without_a_source(self):
        with pytest.raises(ValueError, match="model: expected at least one Source"):
            sm.OptimalExtraction(sm.ColumnPolynomial(0))(SLIT)

    @pytest.mark.parametrize("model", ["gaussian", 3, sm.GaussianProfile])
    def test_what_is_no_model(self, model):
        with pytest.raises(TypeError, match="model: expected"):
            sm.OptimalExtraction(model)(SLIT)

    @pytest.mark.parametrize("fitter", ["lsq", sm.VarProFitter])
    def test_what_is_no_fitter(self, fitter):
        with pytest.raises(TypeError, match="fitter: expected"):
            sm.OptimalExtraction(fitter=fitter)(SLIT)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("n_sources", 0), ("n_sources", 1.5), ("n_sources", "two"), ("trace_degree", -1),
         ("trace_degree", 0.5), ("width_degree", -1), ("profile", "gaussian"), ("sky", 0.5),
         ("aperture", 0), ("aperture", np.nan)],
    )  # fmt: skip
    def test_settings_that_mean_nothing(self, name, value):
        with pytest.raises((TypeError, ValueError), match=f"{name}: expected"):
            sm.OptimalExtraction(**{name: value})


class TestHopelessFits:
    @pytest.mark.parametrize("row", [-200.0, -3.0, N_ROW + 2.0, 1e6])
    def test_trace_outside_the_image(self, row):
        model = user_model(row)
        for name in ("trace_c0_0", "trace_c1_0"):
            getattr(model, name).fixed = True
        result = check_extraction(SLIT, model)
        assert result.mask("mine").all()
        assert "no column determines the flux" in result.report()["reason"][0]

    def test_trace_that_leaves_the_image(self):
        model = user_model(N_ROW - 1.0)
        model.trace_c1_0 = 8.0
        for name in ("trace_c0_0", "trace_c1_0"):
            getattr(model, name).fixed = True
        result = check_extraction(SLIT, model)
        trace = result.trace("mine")
        assert_array_equal(result.mask("mine")[trace > N_ROW], True)
        assert not result.mask("mine")[trace < N_ROW - 2].any()
        assert "columns lost" in result.report()["reason"][0]

    def test_two_identical_sources(self):
        one = user_model()[0]
        for n in ("trace_c0", "trace_c1", "stddev"):
            getattr(one, n).fixed = True
        twin = one.copy()
        twin.name = "twin"
        result = check_extraction(SLIT, one + twin + user_model()[1])
        for row in result.report():
            assert row["lost"] == 1
            assert "cannot be told apart" in row["reason"]

    def test_column_in_which_the_source_is_masked(self):
        mask = np.zeros(SLIT.shape, dtype=bool)
        mask[2:, 7] = True
        result = check_extraction(SLIT, mask=mask)
        assert result.mask("source")[7]
        assert result.mask("source").sum() == 1

    def test_saturated_core(self):
        """Clipped at a level that the source exceeds in all columns: a reason, not a surprise."""
        data = np.minimum(SLIT.data, 0.3 * np.max(SLIT.data))
        result = check_extraction(data, variance=SLIT.variance)
        assert result.report()["status"][0] == "check"
