"""Traces along the stripes: their light is modelled, so that the noise under them can be seen.

The lines under a long trace show no dark pixel, and noise interpolated from the lines beside it is
off by as much as noise changes over the width of the mask. But the light of a trace has a profile
that is the same along its length, and the noise has not: both are fitted together.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg, ndimage

from ...models.noise.lit_lines import (
    LitFit,
    LitLines,
    binned,
    column_changes,
    variance_of_changes,
)
from ...numerics.trace_terms import TraceShape

__all__ = ["beside_traces", "lit_traces"]

# Lines beside traces that tell of the noise, lines of one fit, and lines that see faint light.
BESIDE, MOST_LINES, NEAR = 48, 240, 10
# A trace hides so much of the line of an output, and is not wider than so many lines, on average;
# with more traces than this, dark lines are left out instead.
LEAST_LENGTH, LEAST_WIDTH, MOST_WIDTH, MOST_TRACES = 0.5, 3, 48, 8
MOST_BLENDED, N_STEPS, BEND, LOOSE, TIGHT = 3, 8, 2, 1e3, 1e-9
# Steps of a fit: centres by so many pixels, widths by a part of themselves.
LONGEST_STEP, WIDEST_STEP = 1.0, 0.3
# Mean light of what a trace hides, in standard deviations of white noise, below which it
# is left out; chi-square per bin, beyond which the light is another than that of traces.
LEAST_LIGHT, WORST = 1.5, 1.5
# Light that is so many times the noise hides it: single precision holds seven digits.
MOST_LIGHT = 1e6


def lit_traces(scene):
    """Light of traces along the stripes of a scene whose noise is known by its spectra.

    Parameters
    ----------
    scene : FlickerScene

    Returns
    -------
    tuple of `~specmodels.models.noise.lit_lines.LitLines`
        For the lines around each group of traces.
    """
    plan, readout, hidden = scene.plan, scene.ramp.readout, scene.mask.hidden
    if getattr(plan, "system", None) is None or readout.stripes != "fast":
        return ()
    traces = _traces(hidden, readout)
    if not traces:
        return ()
    # Faint light near traces is in their model.
    near = beside_traces(np.any(traces, axis=0))
    data = scene.rate - scene.background - np.where(readout.image(near), 0, scene.wings)
    good = np.isfinite(data) & (scene.use | hidden)
    frame = _Frame(
        readout.frames(np.where(good, data, 0)), readout.frames(scene.noise),
        readout.frames(good), *_places(readout, hidden.shape),
    )  # fmt: skip
    found = (_told(frame.of(lines), plan, own, lines)
             for own, lines in _groups(traces, frame.data.shape[1]))  # fmt: skip
    return tuple(one for one in found if one is not None)


def beside_traces(lit):
    """Pixels of frames in lines on or near modelled light (n_output, n_line, width)."""
    return ndimage.maximum_filter(lit, (1, 2 * NEAR + 1, 1))


@dataclass(frozen=True, eq=False)
class _Frame:
    """Data, noise, which pixels are good, and places along the line and across, as frames."""

    data: np.ndarray
    noise: np.ndarray
    good: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def of(self, lines):
        return _Frame(*(a[:, lines] for a in vars(self).values()))


def _places(readout, shape):
    """Index along the line and line of each pixel, as frames."""
    along = readout.frames(np.indices(shape, dtype="f4")[readout.fast_axis])
    lines = np.arange(along.shape[1], dtype="f4")[None, :, None]
    return along, np.broadcast_to(lines, along.shape)


def _traces(hidden, readout):
    """Groups of pixels that hide much of the lines of an output, as frames of bool."""
    least, found = LEAST_LENGTH * readout.frame_shape(hidden.shape)[2], []
    if np.count_nonzero(readout.lines(hidden), axis=1).max() < least:
        return found
    labels, _ = ndimage.label(hidden, np.ones((3, 3)))
    lines = readout.lines(labels)
    for k, part in enumerate(ndimage.find_objects(lines), 1):
        own = lines[part] == k
        width = own.sum() / max(own.any(axis=0).sum(), 1)
        if own.sum(axis=1).max() >= least and LEAST_WIDTH <= width <= MOST_WIDTH:
            found.append(readout.frames(labels == k))
    return found if len(found) <= MOST_TRACES else []


def _groups(traces, n_line):
    """Traces that lie near each other, with the lines from which their noise is known."""
    spans = [np.flatnonzero(one.any(axis=(0, 2)))[[0, -1]] for one in traces]
    groups = []
    for k in np.argsort([span[0] for span in spans]):
        low, high = max(spans[k][0] - BESIDE, 0), min(spans[k][1] + 1 + BESIDE, n_line)
        own = [traces[k]]
        if groups and low < groups[-1][1].stop - BESIDE:
            before, lines = groups[-1]
            if high - lines.start < MOST_LINES:
                groups.pop()
                own, low, high = [*before, *own], lines.start, max(lines.stop, high)
        groups.append((own, slice(int(low), int(high))))
    return groups


def _told(frame, plan, traces, lines):
    """`_fitted`, None where the equations have no solution: light far beyond the noise's range."""
    try:
        return _fitted(frame, plan, traces, lines)
    except linalg.LinAlgError:
        return None


def _fitted(frame, plan, traces, lines):
    """`LitLines` of a group of traces; None where the light is another than theirs."""
    traces = [trace[:, lines] & frame.good for trace in traces]
    light, least = frame.data - frame.noise, LEAST_LIGHT * plan.system.white**0.5
    traces = [trace for trace in traces if trace.any() and abs(light[trace].mean()) > least]
    if not traces:
        return None
    lit = np.any(traces, axis=0)
    if not np.abs(light[lit]).max() < MOST_LIGHT * plan.system.white**0.5:
        return None
    ratio = np.maximum(_white(frame.data, lit) / plan.system.white, 1)
    ratio = np.where(lit, ratio, np.inf).astype("f4")
    bins, covariance = binned(plan, lines, ratio)
    data, light, shapes = bins.mean(frame.data), np.float32(0), []
    fit = _Fit(bins, covariance.factor(bins), data)
    for _ in range(MOST_BLENDED):
        shapes += [_first_shape(frame, trace, light) for trace in traces]
        if any(shape is None for shape in shapes):
            return None
        for _ in range(N_STEPS):
            shapes = fit.step(shapes)
        terms = [fit.terms(*own) for own in zip(shapes, fit.heights(shapes), strict=True)]
        found = LitLines(lines, ratio, np.concatenate(terms).astype("f4"), None, None)
        known = LitFit(plan, found)
        values, noise, chi2 = known.solved(data)
        lights = np.array([np.tensordot(value, own, 1) for value, own in
                           zip(np.split(values, len(terms)), terms, strict=True)])  # fmt: skip
        light = lights.sum(axis=0)
        if chi2 < WORST:
            left, weights = frame.data - noise - light, known.lit_weights
            changes = [min(variance_of_changes(own, left, weights), 1.0) for own in lights]
            lights = [own * (1 + column_changes(own, left, weights, change))
                      for own, change in zip(lights, changes, strict=True)]  # fmt: skip
            return replace(found, lights=np.array(lights, "f4"), changes=np.array(changes))
    return None


def _white(data, lit):
    """Variance of the white noise of lit pixels by line, from how much neighbours differ."""
    both = lit[..., 1:] & lit[..., :-1]
    change = np.where(both, np.diff(data, axis=-1) ** 2, 0).sum(axis=(0, 2))
    return (0.5 * change / np.maximum(both.sum(axis=(0, 2)), 1))[:, None]


def _first_shape(frame, lit, known):
    """Centre and width of a trace from the light besides what is known, or None without any."""
    light, along, across = (frame.data - frame.noise - known)[lit], frame.along, frame.across
    light = np.maximum(np.sign(light.sum()) * light, 0)
    ends = along[lit].min(), along[lit].max()
    along = 2 * (along - ends[0]) / max(ends[1] - ends[0], 1) - 1
    if not light.sum() > 0:
        return None
    light = light / light.max()
    bend, across_lit = np.polynomial.legendre.legvander(along[lit], BEND), across[lit]
    near = light**2
    for _ in range(5):
        if not near.sum() > 0:
            return None
        matrix = bend.T @ (near[:, None] * bend) + TIGHT * near.sum() * np.eye(BEND + 1)
        centre = linalg.solve(matrix, bend.T @ (near * across_lit), assume_a="pos")
        distance = across_lit - bend @ centre
        square = max(np.sum(near * distance**2) / near.sum(), 0.3)
        near = light * np.exp(-0.5 * distance**2 / (4 * square))
    return TraceShape(np.append(centre, [0.5 * np.log(square), 0.1]), along, across)


class _Fit:
    """Shapes of traces and their heights in each part of a line, with noise of a covariance."""

    def __init__(self, bins, factor, data):
        self.bins, self.factor = bins, factor
        self.data = self._whitened(data)
        n_output, _, width = bins.weights.shape
        part = np.searchsorted(bins.starts, np.arange(width), side="right") - 1
        self.part = np.arange(n_output)[:, None, None] * bins.n_bin + part
        self.parts = np.arange(n_output * bins.n_bin)

    def _whitened(self, values):
        return linalg.solve_triangular(self.factor, values.T, lower=True, check_finite=False)

    def _by_part(self, shape):
        """Light of each part of a line, shape (n_part, n)."""
        light = self.bins.mean(shape.light)
        return np.where(self.bins.number == self.parts[:, None], light, 0)

    def heights(self, shapes):
        """Heights of all traces in each part of a line."""
        design = self._whitened(np.concatenate([self._by_part(shape) for shape in shapes]))
        return np.split(self._solved(design, self.data, 0, 0), len(shapes))

    @staticmethod
    def _solved(design, data, prior, pull):
        matrix = design.T @ design
        diagonal = np.diag(matrix)
        matrix.flat[:: len(matrix) + 1] += prior + TIGHT * (diagonal + diagonal.max()) + 1e-30
        return linalg.solve(matrix, design.T @ data + pull, assume_a="pos")

    def step(self, shapes):
        """Shapes after a step of Gauss and Newton."""
        heights, design, prior, pull = self.heights(shapes), [], [], []
        for shape, own in zip(shapes, heights, strict=True):
            own = own[self.bins.number]
            design += [self._by_part(shape), own * self.bins.mean(shape.derivatives)]
            spread, expected = shape.prior()
            n_part = len(self.parts)
            prior += [np.zeros(n_part), spread**-2]
            pull += [np.zeros(n_part), (expected - shape.values) * spread**-2]
        light = self._whitened(sum(h @ d for h, d in zip(heights, design[::2], strict=True)))
        step = self._solved(self._whitened(np.concatenate(design)), self.data - light,
                            np.concatenate(prior), np.concatenate(pull))  # fmt: skip
        steps = [one[len(self.parts) :] for one in np.split(step, len(shapes))]
        return [s.moved(_short(d)) for s, d in zip(shapes, steps, strict=True)]

    def terms(self, shape, heights):
        """What the light of a trace may be besides its shape, (n_term, n_output, n_line, width)."""
        light, own = shape.light, heights[self.part]
        scale = LOOSE * np.abs(heights).max()
        by_part = np.where(self.part == self.parts[:, None, None, None], scale * light, 0)
        return np.concatenate([by_part, LOOSE * own * shape.derivatives, own * shape.differences])


def _short(step):
    """A step that moves and widens a profile by no more than a part of it."""
    return step / max(1.0, np.abs(step[:-2]).max() / LONGEST_STEP, np.abs(step[-2]) / WIDEST_STEP)
