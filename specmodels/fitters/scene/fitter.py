"""`SceneFitter`: the spectra of all sources of a scene, one after the other or jointly.

What it returns, with uncertainties and the decision on every source, is in `scene_fit`.
"""

import numpy as np
from scipy import linalg

from ...models.scenes.scene import GrismScene
from ...numerics.blocks import Blocks, conjugate_gradients, normal_matrix, sweep
from ...numerics.scene_pixels import chi2_by_block
from ...slitless import SlitlessExposure
from ..base import Fitter
from .fit import SceneFit, SourceFit
from .problem import SceneProblem

__all__ = ["SceneFitter"]

DENSE_LIMIT = 4000
MOST_STEPS, PASSES, CLIP_ROUNDS = 500, 2, 12
WORST = 0.25  # of the largest deviation: pixels are clipped down to it at a time
# Relative error of shapes from direct images of simulated exposures; no pixel within it is clipped.
SHAPE_ERROR = 0.05


class SceneFitter(Fitter):
    r"""Weighted least squares of a scene, with priors on the coefficients.

    Minimises :math:`\sum_i w_i (d_i - \sum_j A_{ij} c_j)^2 + \sum_j (c_j - m_j)^2 / \tau_j^2`. A
    coefficient whose parameter has a `~specmodels.GaussianPrior` takes mean and width from there;
    all others are drawn towards the shape of their initial spectrum at the level that the pixels
    tell, with :math:`1/\tau^2` = `ridge` relative to the square of that level: neither the scale of
    the data nor that of the direct image matters. Levels that pixels hardly tell are drawn to those
    of the other sources.

    Parameters
    ----------
    joint : bool
        Whether all sources are solved for at once; else one after the other, brightest first, each
        with the current model of all others subtracted.
    ridge : float
        Strength of the prior; zero for none.
    n_iterations : int, optional
        Passes over all sources where they are fitted one after the other, by default two. Of a
        joint fit, the most steps of conjugate gradients, by default as many as it takes; stopped
        before, it is not converged, and its errors are those of the minimum that it did not reach.
    model_error : float
        Relative error of the shapes of the sources: this fraction of the initial scene is added in
        quadrature to the error of each pixel, so that bright cores do not rule the spectra of faint
        neighbours; and that of the contamination to the errors of cutouts.
    rejection : float, optional
        A source whose mean level differs from that of the direct image by more than this fraction
        of it is not believed: it keeps its initial spectrum, and the others are fitted again.
    clip : float, optional
        Pixels that are off by more than this many standard deviations, and by more than as many
        times a twentieth of the scene, for shapes that are not exact, are left out: cosmic rays
        that are not flagged, say. The report counts them for each source.
    dense_limit : int
        Up to this many parameters the covariance of all of them is found; beyond, that within each
        source with its neighbours held.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, joint=True, ridge=0.1, n_iterations=None, model_error=0.0,
                 rejection=None, clip=None, dense_limit=DENSE_LIMIT):  # fmt: skip
        if not (np.isfinite(ridge) and ridge >= 0):
            raise ValueError(f"ridge: expected a number of at least zero, got {ridge!r}")
        given = n_iterations is not None
        if given and (int(n_iterations) != n_iterations or n_iterations < 1):
            raise ValueError(
                f"n_iterations: expected a positive whole number, got {n_iterations!r}"
            )
        if rejection is not None and not rejection > 0:
            raise ValueError(f"rejection: expected a positive number or None, got {rejection!r}")
        self.joint, self.ridge = bool(joint), float(ridge)
        self.n_iterations = int(n_iterations) if given else None
        if not (np.isfinite(model_error) and model_error >= 0):
            raise ValueError(f"model_error: expected none below zero, got {model_error!r}")
        self.model_error = float(model_error)
        if clip is not None and not clip > 0:
            raise ValueError(f"clip: expected a positive number or None, got {clip!r}")
        self.rejection, self.clip, self.dense_limit = rejection, clip, int(dense_limit)

    def __call__(self, scene, exposure, *, batch=None):
        """Fit a scene to a grism image, or scenes of the same sources to several.

        Parameters
        ----------
        scene : GrismScene or sequence of GrismScene
        exposure : SlitlessExposure or sequence of SlitlessExposure
            As many. Sources are the same where label and order are, or the label for scenes that
            share their orders.

        Returns
        -------
        SceneFit

        Raises
        ------
        TypeError, ValueError
            If scenes and exposures do not fit together.
        """
        scenes = (scene,) if isinstance(scene, GrismScene) else tuple(scene)
        exposures = (exposure,) if isinstance(exposure, SlitlessExposure) else tuple(exposure)
        problem = SceneProblem.of(scenes, exposures, self.ridge)
        weights, noise = problem.weights, 1.0
        if any(one.variance is None for one in exposures):
            noise = problem.noise()
            weights = weights / noise**2
        problem = problem.levelled(weights)
        if self.model_error:
            relative = self.model_error * (problem.columns @ problem.mean)
            weights = weights / (1 + weights * relative**2)
        weights, blocks, held, reasons, values, residual, info = self._clipped(problem, weights)
        if self.rejection is not None:
            level = problem.levels(values)
            wrong = (np.abs(level - 1) > self.rejection) & ~held
            for b in np.flatnonzero(wrong):
                reasons[b] = f"level {level[b]:.2f} of the direct image"
            if wrong.any():
                held |= wrong
                values, residual, info = self._solve(problem, weights, blocks, held)
        return self._result(problem, weights, blocks, held, reasons, values, residual, info,
                            noise)  # fmt: skip

    def _clipped(self, problem, weights):
        """The fit, with the weights that outliers leave; they are found anew from pass to pass."""
        left = weights
        for _ in range(CLIP_ROUNDS if self.clip else 1):
            blocks = Blocks.of(problem.columns, left, problem.shared.start, problem.precision)
            held, reasons = self._unfit(blocks)
            values, residual, info = self._solve(problem, left, blocks, held)
            far = self._outliers(weights, left > 0, residual, problem.data - residual)
            if np.array_equal(far, (left == 0) & (weights > 0)):
                break
            left = np.where(far, 0.0, weights)
        return left, blocks, held, reasons, values, residual, info

    def _outliers(self, weights, used, residual, model):
        """Pixels off by more than the noise and inexact shapes can tell, the worst ones first."""
        if self.clip is None:
            return np.zeros(len(weights), dtype=bool)
        squared = weights * residual**2 / (1 + weights * (SHAPE_ERROR * model) ** 2)
        # What a fit was drawn to by far worse pixels is judged when these are gone.
        worst = np.max(squared[used], initial=0.0)
        return squared > max(self.clip**2, WORST**2 * worst)

    @staticmethod
    def _unfit(blocks):
        """Sources that cannot be fitted, and why."""
        held = blocks.empty | blocks.singular
        reasons = [""] * len(held)
        for b in np.flatnonzero(held):
            reasons[b] = "no usable pixel" if blocks.empty[b] else "not determined by its pixels"
        return held, reasons

    def _solve(self, problem, weights, blocks, held):
        size = np.diff(problem.shared.start)
        terms = np.repeat(held, size)
        mean = np.where(terms, problem.initial, problem.mean)
        arguments = (problem.columns, problem.data, weights, blocks, problem.precision, mean)
        if self.joint:
            values, n_iterations, converged = conjugate_gradients(
                *arguments, held=terms, n_iterations=self.n_iterations or MOST_STEPS
            )
            residual = problem.data - problem.columns @ values
            return values, residual, {"n_iterations": n_iterations, "converged": converged}
        order = np.array([b for b in problem.brightest_first() if not held[b]], dtype=np.int64)
        n_passes = self.n_iterations or PASSES
        values, residual, change = sweep(*arguments, order, n_passes)
        return values, residual, {"n_iterations": n_passes, "converged": bool(change < 1e-3)}

    def _result(self, problem, weights, blocks, held, reasons, values, residual, info, noise):
        shared = problem.shared
        n_pixels, chi2 = chi2_by_block(problem.columns, shared.start, weights, residual)
        covariance = blocks.without(held)
        if self.joint and len(values) <= self.dense_limit:
            covariance = _inverse(problem, weights, np.repeat(held, np.diff(shared.start)))
            if covariance is None:
                covariance = blocks.without(held)
                info["converged"] = False
        outliers = (problem.weights > 0) & (weights == 0)
        n_clipped = np.zeros(len(n_pixels), int)
        if outliers.any():
            n_clipped, _ = chi2_by_block(problem.columns, shared.start, outliers.astype(float),
                                         np.zeros_like(residual))  # fmt: skip
        fits = tuple(
            SourceFit(key, slice(int(first), int(stop)), not bad, reason, int(n), float(c), int(m))
            for key, first, stop, bad, reason, n, c, m in zip(
                shared.keys, shared.start[:-1], shared.start[1:], held, reasons, n_pixels, chi2,
                n_clipped, strict=True)
        )  # fmt: skip
        used = weights > 0
        pairs = zip(problem.scenes, shared.index, strict=True)
        scenes = tuple(scene.with_coefficients(values[index]) for scene, index in pairs)
        return SceneFit(
            scenes, problem.exposures, shared.index, values, covariance, fits,
            float(np.sum(weights * residual**2)),
            int(used.sum()) - int(np.sum(np.diff(shared.start)[~held])), noise,
            clipped=problem.by_exposure(outliers), model_error=self.model_error, **info,
        )  # fmt: skip


def _inverse(problem, weights, held):
    """Covariance of all parameters; zero for those held; None where singular."""
    if not len(held):
        return np.zeros((0, 0))
    matrix = normal_matrix(problem.columns, weights, problem.precision)
    matrix[held] = matrix[:, held] = 0.0
    matrix[held, held] = 1.0
    scale = 1 / np.sqrt(np.diagonal(matrix))
    matrix *= scale[:, None] * scale
    try:
        factor = linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    inverse, status = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    if status:
        return None
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    inverse *= scale[:, None] * scale
    inverse[held] = inverse[:, held] = 0.0
    return inverse
