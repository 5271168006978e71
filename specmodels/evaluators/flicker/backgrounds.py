"""Backgrounds of detector frames as objects: called with a frame, they return its background.

What a background takes is given back after flicker noise has been removed. Those with
``per_frame = False`` are found once, from the draft rate, and serve all groups.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ...numerics.line_bins import line_groups
from ...numerics.lines import masked_median
from ...numerics.slow_curve import slow_curve
from ...numerics.steps import curve_variance, fit_steps

__all__ = [
    "Background",
    "GivenBackground",
    "MedianBackground",
    "MeshBackground",
    "NoBackground",
    "SmoothBackground",
]


MOST_STEPS = 8


class Background(ABC):
    """Base of backgrounds: a subclass *must* define ``__call__(frame, use, ramp)``.

    What it returns is taken off a frame before its noise is fitted, and restored afterwards; pixels
    where it is not finite are left out. It must not change the frame, and should not take noise for
    background: what it takes is not found as noise.

    A subclass *may* set ``per_frame`` to False, when the background of the draft rate serves all
    frames (the default is one for each), and ``in_threads`` to True, when several threads may call
    it at once: else it is asked for one frame after another. It *may* define
    ``variance(frame, use, ramp)``, where it knows how far off it may be, which is added to that of
    the noise that is left, and ``prepared(ramp)``, which does once what all frames of a ramp need.
    It *need not* care for flats, jumps or groups.

    Examples
    --------
    >>> import numpy as np
    >>> import specmodels as sm
    >>> class Plane(sm.Background):
    ...     per_frame = False
    ...
    ...     def __call__(self, frame, use, ramp):
    ...         y, x = np.indices(frame.shape) / max(frame.shape)
    ...         terms = np.stack([np.ones(frame.shape), y, x], axis=-1)
    ...         found = np.linalg.lstsq(terms[use], frame[use], rcond=None)[0]
    ...         return (terms @ found).astype("f4")
    >>> image = np.random.default_rng(1).normal(size=(64, 256)) + np.linspace(0, 9, 256)
    >>> result = sm.FlickerNoiseSubtraction(sm.LineOffset(), background=Plane())(image)
    >>> bool(abs(np.ptp(result.background) - 9) < 0.3)
    True
    """

    per_frame = True
    in_threads = False
    # Pixels to be left out since light of them that changes would be taken for noise, or None.
    lit = None
    # Variance of the flicker noise that is in the background, over that in a frame.
    noise_share = 0.0

    @abstractmethod
    def __call__(self, frame, use, ramp):
        """Background of a frame.

        Parameters
        ----------
        frame : ndarray, shape (n_y, n_x)
            Finite where used.
        use : ndarray of bool, same shape
            Pixels without light of sources.
        ramp : `~specmodels.ramp.Ramp`
            What the frame is of: tells along which axes stripes run and light is dispersed.

        Returns
        -------
        float or ndarray, broadcast shape (n_y, n_x)
        """

    def variance(self, frame, use, ramp):
        """Variance of the error of the background, broadcast shape (n_y, n_x); zero if unknown."""
        return np.float32(0)

    def prepared(self, ramp):
        """The background to call for the frames of this ramp: by default the same."""
        return self


@dataclass(frozen=True)
class NoBackground(Background):
    """No background: all that is left in the frame counts as noise."""

    in_threads = True

    def __call__(self, frame, use, ramp):
        return np.float32(0)


@dataclass(frozen=True)
class MedianBackground(Background):
    """The median of the usable pixels."""

    in_threads = True

    def __call__(self, frame, use, ramp):
        return np.float32(masked_median(frame, use))


@dataclass(frozen=True)
class MeshBackground(Background):
    """A coarse mesh of medians, interpolated: `photutils.background.Background2D`.

    Where no cell has a tenth of its pixels, it is the median of all.

    Parameters
    ----------
    box : int or tuple of int
        Height and width of a cell, in pixels.
    sigma : float
        Clipping threshold within a cell.
    """

    box: tuple = (32, 32)
    sigma: float = 3.0

    def __post_init__(self):
        if np.ndim(self.box) == 0:
            object.__setattr__(self, "box", (int(self.box), int(self.box)))
        if len(self.box) != 2 or min(self.box) < 1:
            raise ValueError(f"box: expected height and width of a cell, got {self.box!r}")

    def __call__(self, frame, use, ramp):
        from astropy.stats import SigmaClip
        from photutils.background import Background2D, MedianBackground

        if not use.any():
            return np.float32(0)
        box = tuple(min(b, n) for b, n in zip(self.box, frame.shape, strict=True))
        try:
            mesh = Background2D(
                np.where(use, frame, 0), box, mask=~use, filter_size=5, exclude_percentile=90,
                sigma_clip=SigmaClip(sigma=self.sigma), bkg_estimator=MedianBackground(),
            )  # fmt: skip
        except ValueError:  # no cell has a tenth of its pixels
            return np.float32(masked_median(frame, use))
        return mesh.background.astype("f4")


@dataclass(frozen=True)
class GivenBackground(Background):
    """A known shape, such as a template of the zodiacal light, scaled to the usable pixels.

    Parameters
    ----------
    shape : ndarray, shape (n_y, n_x)
        The template.
    scaled : bool
        Whether its amplitude is fitted; else it is taken as it is.
    """

    shape: np.ndarray
    scaled: bool = True
    per_frame = False

    def __call__(self, frame, use, ramp):
        shape = np.asarray(self.shape, dtype="f4")
        if shape.shape != frame.shape:
            raise ValueError(f"shape: expected {frame.shape}, got {shape.shape}")
        if not self.scaled:
            return shape
        good = use & np.isfinite(shape)
        x, y = shape[good], frame[good]
        x, y = x - x.mean(), y - y.mean()
        power = np.dot(x, x)
        return shape * np.float32(np.dot(x, y) / power if power > 0 else 1.0)


@dataclass(frozen=True)
class SmoothBackground(Background):
    """A level and those smooth steps from line to line that flicker noise cannot make.

    Flicker noise itself has slow parts, so that a smooth fit would take noise for background and a
    line-by-line one background for noise. Steps are searched for with the noise's own spectrum and
    taken only where significant (see `specmodels.numerics.steps.fit_steps`).

    Parameters
    ----------
    sigma : float
        Significance of a step.
    max_steps : int, optional
        Most steps; default: eight where light is dispersed, none in images of the sky, where no
        filter makes any.
    degree : int
        Of a polynomial along the stripes, for images of the sky; where light is dispersed, it would
        take traces for background.
    variation : float
        How much the sky of images is expected to vary across the stripes, where noise hides it:
        this part of its level (rms), or as much as it is seen to vary along them, if that is more.
    """

    sigma: float = 5.0
    max_steps: int | None = None
    degree: int = 2
    variation: float = 0.05
    per_frame = False

    def __post_init__(self):
        if not self.variation >= 0:
            raise ValueError(f"variation: expected a fraction of the sky, got {self.variation!r}")
        if int(self.degree) != self.degree or self.degree < 0:
            raise ValueError(f"degree: expected a whole number, got {self.degree!r}")

    def __call__(self, frame, use, ramp):
        if not use.any():
            return np.float32(0)
        order = ramp.readout.along_stripes()
        level = np.float32(masked_median(frame, use))
        values = np.where(use, frame - level, np.float32(0)).astype("f4", copy=False)
        lines, used = order.lines(values), order.lines(use)
        _, known, curve, _ = self._steps(values, use, ramp)
        curve = curve - np.mean(curve[known]) if known.any() else curve
        slope = np.zeros(lines.shape[1])
        if self._is_sky(ramp):
            slope = _slopes(lines, used, self.degree, curve)
            curve = curve + self._slow(values, use, ramp, slope, level)[0]
        # The mean of what is left is zero, and no sum over pixels of the curves is needed for it.
        number = used.sum(axis=1), used.sum(axis=0)
        rest = values.sum(dtype=float) - number[0] @ curve - number[1] @ slope
        curve = (curve + level + rest / number[0].sum()).astype("f4")
        return order.lines(curve[:, None]) + order.lines(slope.astype("f4")[None])

    def variance(self, frame, use, ramp):
        """Variance of the error of the background.

        That of the steps follows from their fit, that of slow changes of the sky from line to line
        from how large they and those of the noise are expected to be.
        """
        if not use.any():
            return np.float32(0)
        order, level = ramp.readout.along_stripes(), np.float32(masked_median(frame, use))
        values = np.where(use, frame - level, np.float32(0)).astype("f4", copy=False)
        medians, known, curve, steps = self._steps(values, use, ramp)
        own = curve_variance(medians, known, steps)
        if self._is_sky(ramp):
            slope = _slopes(order.lines(values), order.lines(use), self.degree, curve)
            own = own + self._slow(values, use, ramp, slope, level)[1]
        return np.broadcast_to(order.lines(own[:, None].astype("f4")), frame.shape)

    def _is_sky(self, ramp):
        return not _across_stripes(ramp) and self.degree > 0

    def _slow(self, values, use, ramp, slope, level):
        """Slow change from line to line of the sky, and its variance.

        Where lines differ by less than the sky was expected to, it varies by no more than that.
        """
        order = ramp.readout.along_stripes()
        level_lines = values - order.lines(slope.astype("f4")[None])
        medians, known = _medians(level_lines, use, order)
        expected = max(float(np.var(slope)), (self.variation * float(level)) ** 2)
        if known.any():
            expected = min(expected, float(np.var(medians[known])))
        return slow_curve(medians, known, expected)

    def _steps(self, values, use, ramp):
        """Medians of lines, which of them count, and the curve of the steps in them.

        Without any steps nothing is known.
        """
        order, most = ramp.readout.along_stripes(), self.max_steps
        if most is None:
            most = MOST_STEPS if _across_stripes(ramp) else 0
        if most == 0:
            nothing = np.zeros(values.shape[order.slow_axis])
            return nothing, nothing > 0, nothing, np.empty((0, 3))
        medians, known = _medians(values, use, order)
        curve, steps = fit_steps(medians, known, sigma=self.sigma, max_steps=most)
        return medians, known, curve, steps


def _medians(values, use, order):
    """Medians of the lines of an image in the order of their index, and which of them count."""
    whole = order.replace(n_outputs=1, slow_direction=1)
    medians, number = line_groups(whole, values.shape).medians(values, use)
    known = number[0] > min(8, values.shape[order.fast_axis] // 4)
    return medians[0].astype(float), known


def _across_stripes(ramp):
    """Whether light is dispersed across the stripes, so that filters may make steps between them.

    Along the stripes steps would be traces.
    """
    return ramp.dispersion_axis not in (None, ramp.readout.stripe_axis)


def _slopes(lines, used, degree, curve):
    """Polynomial that all lines share, besides an offset for each; shape (width,).

    Lines are zero where they are not used, and have a curve, shape (n_line,), that is known.
    """
    x = np.linspace(-1, 1, lines.shape[1])
    terms = np.polynomial.legendre.legvander(x, degree)[:, 1:]
    number, columns = used.sum(axis=1), used.sum(axis=0)
    sums = used.astype("f4") @ terms.astype("f4")
    means = sums / np.maximum(number, 1)[:, None]
    matrix = terms.T @ (columns[:, None] * terms) - sums.T @ means
    vector = lines.sum(axis=0, dtype=float) @ terms - curve @ sums
    vector -= means.T @ (lines.sum(axis=1, dtype=float) - number * curve)
    return terms @ np.linalg.lstsq(matrix, vector, rcond=1e-6)[0]
