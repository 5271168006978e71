"""Other orders, whose traces are not parallel to that of a source: found, and not taken for it."""

from dataclasses import replace

import numpy as np
import pytest

import specmodels as sm
from specmodels.evaluators.extraction.guess.automatic import SlitModelBuilder
from specmodels.evaluators.extraction.guess.leaves import leaves_of
from specmodels.models import GaussianProfile

N_ROW, N_COLUMN = 48, 320
X = np.arange(N_COLUMN)
Y = np.arange(N_ROW)[:, None]


def slit(part, seed, *, start=34.0, end=26.0, first=100, flux=3000.0, width=1.8, wing=0.05):
    """A source, and another order with a part of its flux that comes nearer from a column on."""
    rng = np.random.default_rng(seed)
    u = np.linspace(-1, 1, N_COLUMN)
    trace = 20 + 1.2 * u**2
    other = trace - 20 + start + (end - start) * X / N_COLUMN
    core, broad = (GaussianProfile().evaluate(Y, trace, s) for s in (1.5, 4.5))
    own = flux * (1 + 0.3 * u)
    light = own * ((1 - wing) * core + wing * broad)
    further = part * flux * (first <= X)
    light = light + further * GaussianProfile().evaluate(Y, other, width) + 30.0
    data = rng.poisson(light) + rng.normal(0, 3.0, light.shape)
    return sm.SpectralImage(data, variance=light + 9.0), own, other, further


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("part", [0.03, 0.3])
def test_order_that_comes_nearer_is_a_source_of_its_own(part, seed):
    image, flux, other, further = slit(part, seed)
    result = sm.OptimalExtraction()(image)
    assert list(result.sources) == ["source 1", "source 2"]
    lit = further > 0
    assert np.mean(np.abs(result.trace("source 2") - other)[lit]) < 0.3
    table = result.table("source 1")
    assert np.sum(table["flux"].value) == pytest.approx(np.sum(flux), rel=0.01)
    error = np.sqrt(np.sum(result.covariance("source 2")[np.ix_(lit, lit)]))
    found = np.sum(result.table("source 2")["flux"].value[lit])
    assert found == pytest.approx(np.sum(further), abs=4 * error + 0.03 * np.sum(further))
    assert result.report()["status"][0] == "ok"


def test_order_that_crosses_is_not_taken_for_a_parallel_source():
    """Where it starts far away and the light along the trace shows a second peak."""
    image, flux, other, _ = slit(0.2, 5, start=44.0, end=25.0, first=0)
    result = sm.OptimalExtraction()(image)
    assert len(result.sources) == 2
    assert np.max(np.abs(result.trace("source 2") - other)) < 1.0
    assert np.sum(result.table("source 1")["flux"].value) == pytest.approx(np.sum(flux), rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_without_another_order_nothing_is_added(seed):
    image, _, _, _ = slit(0.0, seed)
    assert list(sm.OptimalExtraction()(image).sources) == ["source"]


def test_parallel_wings_are_no_order():
    """A source that is wider than its profile on one side has light beside it all along."""
    image, _, _, _ = slit(0.03, 1, start=26.0, end=26.0, first=0, width=2.5)
    sources = sm.OptimalExtraction()(image).sources
    rows = [float(leaf.trace_c2.value) for leaf, _ in sources.values()]
    assert np.ptp(rows) < 0.2


@pytest.mark.parametrize("settings", [{"n_sources": 1}, {"trace_degree": 1}])
def test_what_the_user_says_of_sources_and_traces_is_kept(settings):
    image, _, _, _ = slit(0.3, 0)
    result = sm.OptimalExtraction(**settings)(image)
    assert "source 2" not in result.sources or "trace_degree" in settings
    assert all(leaf.trace.degree <= settings.get("trace_degree", 4)
               for leaf, _ in result.sources.values())  # fmt: skip


def test_profile_ends_where_another_order_comes_nearest():
    """As at the next parallel source, whose light it could take."""
    y, near = np.arange(90)[:, None], 16.0
    other = 40.0 + near + 8.0 * (1 - X / X[-1])
    light = 9000 * GaussianProfile().evaluate(y, np.full(N_COLUMN, 40.0), 1.5) + 30.0
    light += 900 * GaussianProfile().evaluate(y, other, 1.5)
    image = sm.SpectralImage(np.random.default_rng(8).poisson(light), variance=light)
    builder = SlitModelBuilder()
    guess = builder.guess(image)
    guess = replace(guess, centers=guess.centers[:1], snr=guess.snr[:1], extent=0.0)
    assert guess.least_distance == np.inf
    guess = replace(guess, further=(other,))
    assert guess.least_distance == pytest.approx(near, abs=0.5)
    sources = [leaf for leaf in leaves_of(builder.build(image, guess)) if leaf.name != "sky"]
    assert len(sources) == 2
    for source in sources:
        reach = source.profile.knots[-1] * np.mean(source.part("width")(X))
        assert reach == pytest.approx(near, rel=0.1)
