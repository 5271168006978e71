"""Spatial profiles from windows of neighbouring columns: the fitter of the adaptive trace model."""

from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from ...models.bspline_trace import BSplineTrace
from ...numerics.fine_pixels import look_up
from ...numerics.windows import ORDER
from ..base import Fitter
from ..columns.first_scales import LOW_PERCENTILE, first_scales
from .checks import check_layout, check_size, layout_of
from .passes import LEAST_GAIN, WindowPass, better_pass
from .pixels import WindowPixels

__all__ = ["WindowedFitter"]

# Knots closer than any core needs, and as wide as a resolved one allows.
FINE_SPACING, RESOLVED_SPACING = 0.3, 0.75
# A profile is resolved if even ripples between fine knots are penalised by more than the mean
# weight of the data.
RESOLVED_SMOOTHING = (FINE_SPACING / 2) ** (2 * ORDER)
# Structure is expected to grow with this power of the light within so many pixels relative to the
# peak, from a least value on: wings are both fainter and smoother than cores.
POWER, REACH, LEAST_ROUGHNESS = 1.5, 2.0, 0.02
# The first pass finds scales, the second the layout, and the third how rough the profile is where.
LEAST_PASSES = 3
# Further passes are made as long as chi-square falls by this part.
MOST_PASSES, SETTLED = 12, 0.01
MOST_INTERVALS = 16
LEAST_WINDOW = 24
# Pixels that positions have to drift in a window, so that it sees the slit at most phases.
LEAST_DRIFT = 2 / 3
# Part of the squared profile that pixels near a node have to see.
LEAST_SEEN = 0.8
# A profile of windows too short to see all phases must be so much smoother to be preferred.
MUCH_SMOOTHER = 10.0
FIRST_PROFILE_ERROR = 0.1


class WindowedFitter(Fitter):
    r"""Fit one spatial profile to windows of columns, with scale, level and slope of each column.

    .. math::
        d_{ix} = s_x \sum_k c_k(x)\,\overline{B_k}(\alpha_{ix}) + b_x + g_x\,u(\alpha_{ix})

    :math:`\overline{B_k}` is the mean of a cubic B-spline over the pixel at the position
    :math:`\alpha` along the slit, which :math:`u` maps to -1 … 1. Diffuse light, whose spectrum is
    another one than that of the source, goes to the level :math:`b` and the slope :math:`g`.

    The coefficients :math:`c_k` run linearly from the middle of one window to that of the next, so
    that neighbouring windows share their pixels, and drifts within them do not blur the profile.
    All windows are solved as one banded system, weighted by inverse variances; what belongs to
    columns, and rejected pixels, are found in turn with it.

    Parameters
    ----------
    window : float, optional
        Distance of the middles of windows, in columns. Default: of divisions by powers of two, the
        one with the least generalised cross-validation (Craven & Wahba 1979).
    knot_spacing : float, optional
        Distance of knots, in pixels along the slit. Default: 0.75 where the penalty allows of no
        finer structure, else 0.3.
    smoothing : float, optional
        Penalty on the square of the third derivative of the profile over the light around, in
        pixels to the sixth power and relative to the mean weight of the data. It settles what the
        positions of the pixels leave open. Default: the one with the greatest restricted likelihood
        (Wood 2011), so that structure within pixels is as fine as the data show it, and no finer.
    sigma : float
        Pixels farther from the model than this many standard deviations are rejected.
    profile_error : float
        Least relative error of the model, added to the noise when pixels are judged; a larger one
        is used where bright pixels show it.
    n_rounds : int
        Number of times that pixels are judged.

    Raises
    ------
    ValueError
        If a setting is out of range or, in a call, the image has too few good pixels.
    """

    def __init__(
        self, *, window=None, knot_spacing=None, smoothing=None, sigma=4.5, profile_error=0.02,
        n_rounds=3,
    ):  # fmt: skip
        for name, value in (("window", window), ("knot_spacing", knot_spacing)):
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected a positive number, got {value!r}")
        if smoothing is not None and not 0 <= smoothing < np.inf:
            raise ValueError(f"smoothing: expected a number from 0, got {smoothing!r}")
        if not (sigma > 0 and profile_error >= 0 and n_rounds >= 1):
            raise ValueError(
                "expected sigma > 0, profile_error >= 0 and n_rounds >= 1, got "
                f"{sigma!r}, {profile_error!r}, {n_rounds!r}"
            )
        self.window, self.knot_spacing, self.smoothing = window, knot_spacing, smoothing
        self.sigma, self.profile_error, self.n_rounds = sigma, profile_error, n_rounds

    def __call__(self, model, image, *, batch="columns"):
        """Fit an image.

        Parameters
        ----------
        model : `~specmodels.models.BSplineTrace` or None
            Its knots and nodes are used; with None they are chosen by the data.
        image : `~specmodels.SpectralImage`
            With ``spatial``, the position along the slit; else rows are the positions.
        batch : {"columns"}
            Scales, levels and slopes are of columns.

        Returns
        -------
        WindowedFit
        """
        if model is not None and not isinstance(model, BSplineTrace):
            raise TypeError(f"model: expected a BSplineTrace or None, got {type(model).__name__}")
        if batch != "columns":
            raise ValueError(f"batch: expected 'columns', got {batch!r}")
        pixels = WindowPixels.of(image)
        check_size(pixels, image)
        values, kept = first_scales(pixels)
        check_layout(self._one_layout(pixels), pixels, image)
        layout, smoothing = self._first(pixels, values, kept)
        layout = layout if model is None else layout_of(model, pixels)
        first = WindowPass(image, pixels, layout, pixels.covered(layout), smoothing, values, kept)
        first = self._next(first, 0)
        if model is not None:
            return self._completed(first).fit
        wide_only = first.smoothing >= RESOLVED_SMOOTHING
        both = (RESOLVED_SPACING,) if wide_only else (FINE_SPACING, RESOLVED_SPACING)
        found = self._completed(
            self._chosen(first, (self.knot_spacing,) if self.knot_spacing else both)
        )
        if self.knot_spacing is None and found.layout.grid.spacing < RESOLVED_SPACING:
            # Fine structure has to be seen again, with scales and roughness as they are found.
            wide = self._completed(self._chosen(found, (RESOLVED_SPACING,)))
            found = better_pass(wide, found)
        return found.fit

    def _completed(self, last):
        """The last of all passes that follow the first one.

        There are more than there have to be where scales and profile have not settled, as where
        the profile hardly differs from a level.
        """
        before = np.inf
        for number in range(1, max(self._least_passes, MOST_PASSES)):
            last = self._next(last, number)
            chi2 = last.chi2
            if number >= self._least_passes - 1 and not chi2 < (1 - SETTLED) * before:
                break
            before = chi2
        return last

    def _next(self, last, number):
        """One more pass: the profile by the scales, then scales by the profile, then hits."""
        pixels, layout, smoothing = last.pixels, last.layout, last.smoothing
        system = pixels.moments(layout, last.values, last.kept).system(layout.grid, 1.0)
        if system.n_data == 0:
            raise ValueError(f"{last.image.name}: no column shows light that differs from a line")
        roughness, near = last.roughness, last.near
        if number == LEAST_PASSES - 1 or number >= self._least_passes:
            roughness = _roughness(last.coefficients, layout.grid)
            # Not far from the first one, or what wrong scales leave passes for structure.
            near, smoothing = smoothing if near is None else near, self.smoothing
        system = replace(system, roughness=roughness)
        if smoothing is None:
            smoothing = system.best_smoothing(3 * pixels.n_columns, near)
        coefficients, factor = _normalised(system.solve(smoothing), layout, last.covered)
        shape = look_up(layout.table(coefficients, pixels.x), pixels.positions, pixels.columns)
        values, covariance = pixels.scales(shape, last.kept)
        kept = last.kept
        if number < self.n_rounds:
            error = FIRST_PROFILE_ERROR if number == 0 else self.profile_error
            kept = pixels.judged(shape, values, covariance, self.sigma, error)
        return replace(
            last, smoothing=smoothing, values=values, kept=kept, covariance=covariance,
            shape=shape, coefficients=coefficients, factor=factor, system=system,
            roughness=roughness, near=near,
        )  # fmt: skip

    @property
    def _least_passes(self):
        return max(self.n_rounds + 1, LEAST_PASSES)

    def _one_layout(self, pixels, spacing=None):
        """What the settings say, or one window with fine knots."""
        n_windows = 1 if self.window is None else max(1, round(pixels.span / self.window))
        return pixels.layout(n_windows, spacing or self.knot_spacing or FINE_SPACING)

    def _first(self, pixels, values, kept):
        """A layout with fine knots and a penalty, or what the settings say.

        Of one or two windows, those of the smoother profile.
        """
        if self.window is not None:
            return self._one_layout(pixels), self.smoothing
        spacing = self.knot_spacing or FINE_SPACING
        layouts = [pixels.layout(n, spacing) for n in (1, 2)]
        moments = pixels.moments(layouts[1], values, kept)
        if pixels.span < 2 * LEAST_WINDOW or moments.n_data == 0:
            return layouts[0], self.smoothing
        systems = [own.system(layouts[0].grid, 1.0) for own in (moments.halved(), moments)]
        found = [system.best_smoothing(3 * pixels.n_columns) for system in systems]
        short = _most_intervals(pixels, resolved=False) < 2
        first = int(found[1] > found[0] * (MUCH_SMOOTHER if short else 1))
        return layouts[first], found[first] if self.smoothing is None else self.smoothing

    def _chosen(self, last, spacings):
        """The best of some distances of knots, the fewest windows, and the penalty they have.

        Wide knots allow of more windows than fine ones do where a slit moves by little: a profile
        that changes along the slit is not to be taken for one with structure within pixels. Pixels
        near each node have to see most of the light that the slit has there.

        Parameters
        ----------
        last : WindowPass
            With scales, and a profile that tells where the light is.
        spacings : tuple of float

        Returns
        -------
        WindowPass
            With the scales of the last one.
        """
        pixels, grid, smoothing = last.pixels, last.layout.grid, last.smoothing
        if self.window is not None:
            return last.on(self._one_layout(pixels, spacings[0]), smoothing)
        light = np.abs(grid.profiles(last.coefficients, 1.0)).mean(axis=0)
        # Beyond what pixels see a spline is an extrapolation, not light.
        light *= last.covered.any(axis=0)

        def sees(n_windows, spacing):
            layout = pixels.layout(n_windows, spacing)
            square = np.interp(layout.grid.centers, grid.centers, light**2)
            # Knots wider than the step from pixel to pixel need not see what lies between.
            resolved = spacing >= RESOLVED_SPACING
            covered = pixels.covered(layout, closed=resolved) @ square
            there = pixels.spanned(layout) @ square
            return np.all(covered >= LEAST_SEEN * there)

        found = [self._divided(last, spacing, sees) for spacing in spacings]
        best = min(range(len(found)), key=lambda k: found[k][0])
        _, n_windows, smoothing = found[best]
        return last.on(pixels.layout(n_windows, spacings[best]), smoothing)

    def _divided(self, last, spacing, sees):
        """Least cross-validation with a spacing of knots, and the windows and penalty it has."""
        pixels, smoothing = last.pixels, last.smoothing
        n_other, resolved = 3 * pixels.n_columns, spacing >= RESOLVED_SPACING
        finest = pixels.layout(_most_intervals(pixels, resolved), spacing)
        divided = [pixels.moments(finest, last.values, last.kept)]
        while divided[0].matrix.shape[1] > 1:
            divided.insert(0, divided[0].halved())
        scores, penalties = [], []
        for n_windows, moments in ((m.matrix.shape[1], m) for m in divided):
            # Fine structure wants all phases, which so few windows see unless rows are missing.
            asked = resolved or n_windows <= pixels.drift
            if n_windows > 1 and asked and not sees(n_windows, spacing):
                break
            system = moments.system(finest.grid, 1.0)
            own = smoothing
            if resolved and smoothing < RESOLVED_SMOOTHING and self.smoothing is None:
                own = system.best_smoothing(n_other)
            scores.append(system.cross_validation(own, n_other))
            penalties.append(own)
            if len(scores) > 1 and not scores[-1] < scores[-2] * (1 - LEAST_GAIN):
                break
        best = next(k for k, own in enumerate(scores) if own <= min(scores) * (1 + LEAST_GAIN))
        return scores[best], 2**best, penalties[best]


def _most_intervals(pixels, resolved):
    """Most windows to be tried, a power of two."""
    limit = MOST_INTERVALS if resolved else min(MOST_INTERVALS, pixels.drift / LEAST_DRIFT)
    most = 1
    while 2 * most <= limit and pixels.span / (2 * most) >= LEAST_WINDOW:
        most *= 2
    return most


def _roughness(coefficients, grid):
    """How large differences of coefficients may be relative to the largest, by the light around."""
    light = np.abs(grid.profiles(coefficients, 1.0))
    light = uniform_filter1d(light, round(REACH / grid.step), axis=1, mode="nearest")
    light /= np.maximum(light.max(axis=1, keepdims=True), np.finfo(float).tiny)
    middles = 0.5 * (grid.term_centers[:-ORDER] + grid.term_centers[ORDER:])
    return np.array([np.interp(middles, grid.centers, own) for own in light**POWER]) + (
        LEAST_ROUGHNESS
    )


def _normalised(coefficients, layout, covered):
    """Coefficients of profiles of unit area on level ground, and the areas before.

    The ground is a line through low percentiles of both halves of a profile: without this, level
    and slope could go to and fro between profile and columns. Only positions that pixels near a
    node cover count; what lies beyond is extrapolated.
    """
    grid = layout.grid
    table = grid.profiles(coefficients, 1.0)
    areas = np.ones(len(table))
    out = np.array(coefficients)
    for k, (values, use) in enumerate(zip(table, covered, strict=True)):
        if np.count_nonzero(use) < 2:
            continue
        halves = np.array_split(np.flatnonzero(use), 2)
        floors = [np.percentile(values[half], LOW_PERCENTILE) for half in halves]
        middles = [grid.centers[half].mean() for half in halves]
        slope = (floors[1] - floors[0]) / (middles[1] - middles[0])
        out[k] -= floors[0] + slope * (grid.term_centers - middles[0])
        above = values[use] - floors[0] - slope * (grid.centers[use] - middles[0])
        area, light = np.sum(above) * grid.step, np.sum(np.abs(above)) * grid.step
        # Nods of both signs have no area to speak of.
        area = area if area > 0.5 * light else light
        areas[k] = area if area > 0 else 1.0
    return out / areas[:, None], areas
