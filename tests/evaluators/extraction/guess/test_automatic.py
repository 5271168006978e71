"""Automatic models: what the user set stays, what is left open is found in the data."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.modeling import Fittable1DModel, Parameter
from numpy.testing import assert_allclose, assert_array_equal

import specmodels as sm
from specmodels.datasets import make_slit
from specmodels.evaluators.extraction.guess.automatic import SlitModelBuilder
from specmodels.evaluators.extraction.guess.initial_values import (
    project,
    width_guess,
    with_initial_values,
)
from specmodels.evaluators.extraction.guess.leaves import leaves_of, replace_leaf

LIMITS = (0.0, 399.0)


@pytest.fixture(scope="module")
def slit():
    return make_slit(seed=4)


def sources_of(model):
    return [leaf for leaf in leaves_of(model) if isinstance(leaf, sm.Source)]


class TestBuilder:
    @pytest.mark.parametrize("n_sources", [1, 2, 3])
    def test_sources_lie_on_the_light(self, n_sources):
        image, truth = make_slit(seed=5, n_sources=n_sources, separation=7.0)
        model = SlitModelBuilder(n_sources=n_sources).build(image)
        rows = np.array([s.trace_position(image.x) for s in sources_of(model)])
        assert len(rows) == n_sources
        rows = rows[np.argsort(rows.mean(axis=1))]
        assert_allclose(rows, truth.trace, atol=0.3)

    def test_profile_given_is_used_with_its_fixed_values(self, slit):
        profile = sm.MoffatProfile(gamma=1.7, alpha=2.5, fixed={"alpha": True})
        (source,) = sources_of(SlitModelBuilder(profile=profile).build(slit[0]))
        assert isinstance(source.profile, sm.MoffatProfile)
        assert source.alpha.value == 2.5
        assert source.fixed["alpha"]

    def test_fixed_width_is_not_modelled(self, slit):
        profile = sm.GaussianProfile(stddev=1.11, fixed={"stddev": True})
        result = sm.OptimalExtraction(profile=profile)(slit[0])
        (source,) = sources_of(result.fit.template)
        assert source.width is None
        assert source.stddev.value == 1.11

    @pytest.mark.parametrize("n_bright", [2, 12])
    def test_trace_goes_on_from_a_few_lines_as_those_of_instruments_do(self, slit, n_bright):
        """A cubic through the light of one end would leave the slit at the other."""
        builder = SlitModelBuilder()
        guess = replace(builder.guess(slit[0]), n_bright=n_bright, trace_degree=3)
        (source,) = sources_of(builder.build(slit[0], guess))
        priors = [getattr(source, f"trace_c{k}").prior for k in (1, 2, 3)]
        assert [prior is None for prior in priors] == 3 * [n_bright == 12]

    def test_sky_given_is_used(self, slit):
        sky = sm.ColumnPolynomial(2, limits=(0, 39), name="mine")
        model = SlitModelBuilder(sky=sky).build(slit[0])
        assert [leaf.name for leaf in leaves_of(model)] == ["source", "mine"]
        assert leaves_of(model)[-1].degree == 2

    @pytest.mark.parametrize("degree", [0, 1, 3])
    def test_degrees_given_are_used(self, slit, degree):
        settings = {"trace_degree": degree, "width_degree": degree}
        (source,) = sources_of(SlitModelBuilder(**settings).build(slit[0]))
        assert source.trace.degree == degree
        assert source.width.degree == degree

    def test_faint_sources_get_simple_models(self):
        counts = []
        for snr in (0.4, 3.0, 100.0):
            image, _ = make_slit(seed=6, snr=snr)
            counts.append(len(SlitModelBuilder(n_sources=1).build(image).param_names))
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]

    def test_neighbours_share_the_shape(self):
        image, _ = make_slit(seed=7, n_sources=2)
        result = sm.OptimalExtraction(n_sources=2)(image)
        first, second = result.sources
        assert_allclose(result.fwhm(first), result.fwhm(second), rtol=1e-9)
        separation = result.trace(first) - result.trace(second)
        assert np.ptp(separation) < 1e-9

    def test_slope_of_the_sky_is_seen(self):
        image, _ = make_slit(seed=8, hit_fraction=0)
        tilted = image.replace(data=image.data + np.linspace(-15, 15, 40)[:, None])
        flat, slope = (leaves_of(SlitModelBuilder().build(i))[-1] for i in (image, tilted))
        assert flat.degree == 0
        assert slope.degree >= 1

    def test_image_without_sky_rows_gets_no_sky(self):
        image, _ = make_slit(seed=9)
        model = SlitModelBuilder(n_sources=1).build(image.cutout(rows=slice(18, 22)))
        assert len(leaves_of(model)) == 1


class TestInitialValues:
    """Of a model that the user brought."""

    def test_what_is_left_open_is_guessed(self, slit):
        image, truth = slit
        model = sm.Source(
            sm.GaussianProfile(), sm.PolynomialTrace(2, limits=LIMITS), name="a"
        ) + sm.ColumnPolynomial(0)
        start = with_initial_values(model, image)
        assert_allclose(start["a"].trace_position(image.x), truth.trace[0], atol=0.7)
        assert_allclose(start["a"].fwhm(image.x), 2.6, rtol=0.4)

    def test_model_of_the_width_is_guessed_too(self, slit):
        width = sm.PolynomialTrace(1, limits=LIMITS)
        source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(2, limits=LIMITS), width=width)
        start = with_initial_values(source, slit[0])
        assert_allclose(start.fwhm(slit[0].x), 2.6, rtol=0.4)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("trace_c0", 17.0), ("trace_c1", 0.01), ("stddev", 2.2), ("flux", 5.0)],
    )
    def test_what_the_user_set_stays(self, slit, name, value):
        trace = sm.PolynomialTrace(2, limits=LIMITS)
        source = sm.Source(sm.GaussianProfile(), trace, **{name: value})
        start = with_initial_values(source, slit[0])
        assert getattr(start, name).value == value
        if name.startswith("trace"):
            assert start.trace_c2.value == 0

    @pytest.mark.parametrize("name", ["trace_c0", "stddev"])
    @pytest.mark.parametrize("constraint", ["fixed", "tied"])
    def test_constrained_parameters_are_not_guessed(self, slit, name, constraint):
        source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(0, limits=LIMITS))
        default = getattr(source, name).value
        value = True if constraint == "fixed" else (lambda model: default)
        setattr(getattr(source, name), constraint, value)
        assert getattr(with_initial_values(source, slit[0]), name).value == default

    def test_constraints_survive_the_whole_extraction(self, slit):
        source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(2, limits=LIMITS), name="a")
        source.stddev.bounds = (0.5, 1.05)
        source.trace_c2 = 0.9
        source.trace_c2.fixed = True
        result = sm.OptimalExtraction(source + sm.ColumnPolynomial(0))(slit[0])
        assert result.fit["trace_c2_0"] == 0.9
        assert 0.5 <= result.fit["stddev_0"] <= 1.05

    def test_box_profiles_are_guessed_under_their_own_name(self, slit):
        source = sm.Source(sm.BoxProfile(), sm.PolynomialTrace(0, limits=LIMITS))
        start = with_initial_values(source, slit[0])
        assert start.profile_width.value != 3.0
        assert 1.5 < start.profile_width.value < 5

    def test_model_given_is_not_changed(self, slit):
        source = sm.Source(sm.GaussianProfile(), sm.PolynomialTrace(1, limits=LIMITS))
        values = source.parameters.copy()
        with_initial_values(source, slit[0])
        assert_array_equal(source.parameters, values)

    def test_several_open_sources_share_those_found(self):
        image, truth = make_slit(seed=10, n_sources=2, separation=8.0)
        trace = sm.PolynomialTrace(2, limits=LIMITS)
        model = sm.Source(sm.GaussianProfile(), trace) + sm.Source(sm.GaussianProfile(), trace)
        start = with_initial_values(model, image)
        rows = sorted(np.mean(s.trace_position(image.x)) for s in sources_of(start))
        assert_allclose(rows, truth.trace.mean(axis=1), atol=0.7)


@pytest.mark.parametrize(
    "profile", [sm.GaussianProfile(), sm.MoffatProfile(), sm.LorentzProfile(), sm.BoxProfile()],
    ids=lambda profile: type(profile).__name__,
)  # fmt: skip
def test_width_guess_gives_the_full_width_asked_for(profile):
    profile = profile.copy()
    setattr(profile, profile.width_parameter, width_guess(profile, 6.0))
    shape = [getattr(profile, n).value for n in profile.param_names if n != "center"]
    # Less the pixel, which is added again when the profile is integrated over it.
    assert_allclose(float(np.squeeze(profile.fwhm(*shape))), np.sqrt(36 - 0.81), rtol=1e-3)


def test_projection_is_the_nearest_model():
    x = np.linspace(0, 399, 400)
    values = 12 + 0.01 * x
    found = project(sm.PolynomialTrace(2, limits=LIMITS), x, values)
    assert_allclose(found(x), values)
    table = sm.TabulatedTrace([0, 399], [1.0, 2.0], fixed={"c0": False})
    assert_allclose(project(table, x, np.interp(x, [0, 399], [4.0, 5.0]))(x)[[0, -1]], [4, 5])


def test_leaf_is_replaced_wherever_it_stands():
    parts = [sm.ColumnPolynomial(0, name=n) for n in "abc"]
    model = parts[0] + (parts[1] + parts[2])
    new = replace_leaf(model, "b", sm.ColumnPolynomial(1, name="new"))
    assert [leaf.name for leaf in leaves_of(new)] == ["a", "new", "c"]
    assert [leaf.name for leaf in leaves_of(model)] == ["a", "b", "c"]


class Arc(Fittable1DModel):
    """A trace that is a parabola about a column which is not known."""

    row, middle, curvature = Parameter(default=0.0), Parameter(default=80.0), Parameter(default=0.0)

    @staticmethod
    def evaluate(x, row, middle, curvature):
        return row + curvature * (x - middle) ** 2


@pytest.mark.parametrize("profile", [None, sm.GaussianProfile()])
def test_traces_of_ones_own_are_found_and_differ_from_source_to_source(profile):
    y, x = np.arange(40)[:, None], np.arange(200)
    rows = [12 + 2e-4 * (x - 60) ** 2, 26 + 2e-4 * (x - 60) ** 2]
    light = sum(f * sm.GaussianProfile(stddev=1.5)(y - row)
                for f, row in zip((900, 500), rows, strict=True))  # fmt: skip
    data = np.random.default_rng(4).normal(light + 20, 2.0)
    image = sm.SpectralImage(data, variance=np.full(data.shape, 4.0))
    result = sm.OptimalExtraction(trace=Arc(), n_sources=2, profile=profile)(image)
    for name, row, flux in zip(result.sources, rows, (900, 500), strict=True):
        assert np.abs(result.trace(name) - row).max() < 0.1
        table = result.table(name)
        pulls = (table["flux"].value - flux) / table["flux_error"].value
        assert abs(pulls.mean()) < 0.5
        assert 0.8 < pulls.std() < 1.2


def test_a_trace_and_its_degree_are_not_given_together():
    with pytest.raises(ValueError, match="trace_degree"):
        sm.OptimalExtraction(trace=Arc(), trace_degree=2)
    with pytest.raises(TypeError, match="trace: expected a Model"):
        sm.OptimalExtraction(trace="arc")


@pytest.mark.parametrize(("n_column", "n_fitted"), [(400, 400), (600, 300)])
def test_fit_of_columns_comes_with_the_model(n_column, n_fitted):
    """Of few columns all were fitted for the model already; of many, some only."""
    model, fit = SlitModelBuilder().begun(make_slit(seed=4, shape=(30, n_column))[0])
    assert fit.success
    assert fit.template is model
    assert fit.image.shape[1] == n_fitted


def test_small_slit_is_not_fitted_twice(monkeypatch, slit):
    found = []
    monkeypatch.setattr(sm.OptimalExtraction, "_fitted", lambda *arguments: found.append(arguments))
    result = sm.OptimalExtraction()(slit[0])
    assert not found
    assert result.report()["status"][0] == "ok"
