"""`SceneFitter`: the spectra of all sources of a scene, one after the other or jointly.

What it returns, with uncertainties and the decision on every source, is in `scene_fit`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from ..models.scene import GrismScene
from ..numerics.blocks import Blocks, chi2_by_block, conjugate_gradients, normal_matrix, sweep
from ..slitless import SlitlessExposure
from .base import Fitter
from .scene_fit import SceneFit, SourceFit

__all__ = ["SceneFitter"]

DENSE_LIMIT = 4000
MOST_STEPS, PASSES = 500, 2


class SceneFitter(Fitter):
    r"""Weighted least squares of a scene, with priors on the coefficients.

    Minimises :math:`\sum_i w_i (d_i - \sum_j A_{ij} c_j)^2 + \sum_j (c_j - m_j)^2 / \tau_j^2`. A
    coefficient whose parameter has a `~specmodels.GaussianPrior` takes mean and width from there;
    all others are drawn towards their initial values with :math:`1/\tau^2` = `ridge`. They are
    relative to the direct image, so that the ridge does not depend on the scale of the data.

    Parameters
    ----------
    joint : bool
        Whether all sources are solved for at once; else one after the other, brightest first, each
        with the current model of all others subtracted.
    ridge : float
        Strength of the prior; zero for none.
    n_iterations : int, optional
        Passes over all sources where they are fitted one after the other, by default two. Of a
        joint fit, the most steps of conjugate gradients, by default as many as it takes: shapes are
        never exact, and what they are wrong by decides how fully blended spectra share their light
        in the last steps. Twelve keep those near to the direct image. Errors are those at the end.
    model_error : float
        Relative error of the shapes of the sources: this fraction of the initial scene is added in
        quadrature to the error of each pixel, so that bright cores do not rule the spectra of faint
        neighbours.
    rejection : float, optional
        A source whose mean level differs from that of the direct image by more than this fraction
        of it is not believed: it keeps its initial spectrum, and the others are fitted again.
    dense_limit : int
        Up to this many parameters the covariance of all of them is found; beyond, that within each
        source with its neighbours held.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, joint=True, ridge=0.1, n_iterations=None, model_error=0.0,
                 rejection=None, dense_limit=DENSE_LIMIT):  # fmt: skip
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
        self.rejection, self.dense_limit = rejection, int(dense_limit)

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
        problem = _Problem.of(scenes, exposures, self.ridge)
        weights, noise = problem.weights, 1.0
        if any(one.variance is None for one in exposures):
            noise = problem.noise()
            weights = weights / noise**2
        if self.model_error:
            relative = self.model_error * (problem.columns @ problem.mean)
            weights = weights / (1 + weights * relative**2)
        blocks = Blocks.of(problem.columns, weights, problem.start, problem.precision)
        held, reasons = self._unfit(problem, weights, blocks)
        values, info = self._solve(problem, weights, blocks, held)
        if self.rejection is not None:
            level = problem.levels(values)
            wrong = (np.abs(level - 1) > self.rejection) & ~held
            for b in np.flatnonzero(wrong):
                reasons[b] = f"level {level[b]:.2f} of the direct image"
            if wrong.any():
                held |= wrong
                values, info = self._solve(problem, weights, blocks, held)
        return self._result(problem, weights, blocks, held, reasons, values, info, noise)

    @staticmethod
    def _unfit(problem, weights, blocks):
        """Sources that cannot be fitted, and why."""
        n_pixels, _ = chi2_by_block(problem.columns, problem.start, weights,
                                    np.zeros_like(weights))  # fmt: skip
        held, reasons = np.zeros(len(n_pixels), bool), [""] * len(n_pixels)
        for b in np.flatnonzero((n_pixels == 0) | blocks.singular):
            held[b] = True
            reasons[b] = "no usable pixel" if n_pixels[b] == 0 else "not determined by its pixels"
        return held, reasons

    def _solve(self, problem, weights, blocks, held):
        size = np.diff(problem.start)
        terms = np.repeat(held, size)
        arguments = (problem.columns, problem.data, weights, blocks, problem.precision,
                     problem.mean)  # fmt: skip
        if self.joint:
            values, n_iterations, converged = conjugate_gradients(
                *arguments, held=terms, n_iterations=self.n_iterations or MOST_STEPS
            )
            return values, {"n_iterations": n_iterations, "converged": converged}
        order = np.array([b for b in problem.brightest_first() if not held[b]], dtype=np.int64)
        n_passes = self.n_iterations or PASSES
        values, change = sweep(*arguments, order, n_passes)
        return values, {"n_iterations": n_passes, "converged": bool(change < 1e-3)}

    def _result(self, problem, weights, blocks, held, reasons, values, info, noise):
        residual = problem.data - problem.columns @ values
        n_pixels, chi2 = chi2_by_block(problem.columns, problem.start, weights, residual)
        covariance = blocks.without(held)
        if self.joint and len(values) <= self.dense_limit:
            covariance = _inverse(problem, weights, np.repeat(held, np.diff(problem.start)))
            if covariance is None:
                covariance = blocks.without(held)
                info["converged"] = False
        fits = tuple(
            SourceFit(key, slice(int(first), int(stop)), not bad, reason, int(n), float(c))
            for key, first, stop, bad, reason, n, c in zip(
                problem.keys, problem.start[:-1], problem.start[1:], held, reasons, n_pixels, chi2,
                strict=True)
        )  # fmt: skip
        used = weights > 0
        pairs = zip(problem.scenes, problem.index, strict=True)
        scenes = tuple(scene.with_coefficients(values[index]) for scene, index in pairs)
        return SceneFit(
            scenes, problem.exposures, tuple(problem.index), values, covariance, fits,
            float(np.sum(weights * residual**2)),
            int(used.sum()) - int(np.sum(np.diff(problem.start)[~held])), noise, **info,
        )  # fmt: skip


def _inverse(problem, weights, held):
    """Covariance of all parameters; zero for those held; None where singular."""
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


@dataclass(frozen=True, eq=False)
class _Problem:
    """One linear problem of all exposures: columns by free parameter, stacked pixels."""

    scenes: tuple
    exposures: tuple
    columns: sparse.csc_array
    data: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    start: np.ndarray
    keys: tuple
    index: tuple
    light: np.ndarray

    @classmethod
    def of(cls, scenes, exposures, ridge):
        _check(scenes, exposures)
        keys, sizes, light, means, precisions, index = {}, [], [], [], [], []
        for scene in scenes:
            own = np.empty(len(scene.parameters), dtype=np.int64)
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                n_terms = entry.stop - entry.first
                if key not in keys:
                    keys[key] = len(keys)
                    sizes.append(n_terms)
                    light.append(abs(entry.light))
                    mean, precision = _priors(entry, scene.coefficients[entry.terms], ridge)
                    means.append(mean)
                    precisions.append(precision)
                elif sizes[keys[key]] != n_terms:
                    raise ValueError(
                        f"scene: source {key} has {n_terms} coefficients in one exposure and "
                        f"{sizes[keys[key]]} in another"
                    )
            start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                own[entry.terms] = start[keys[key]] + np.arange(entry.stop - entry.first)
            index.append(own)
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        stacked = [_to_parameters(scene.columns, own, start[-1])
                   for scene, own in zip(scenes, index, strict=True)]  # fmt: skip
        columns = stacked[0] if len(stacked) == 1 else sparse.vstack(stacked, format="csc")
        columns, data, weights = _reached(columns, exposures)
        join = np.concatenate
        return cls(
            tuple(scenes), tuple(exposures), columns, data, weights, join(means or [np.zeros(0)]),
            join(precisions or [np.zeros(0)]), start, tuple(keys), tuple(index), np.array(light),
        )  # fmt: skip

    def noise(self):
        """Robust standard deviation of what the initial scene and one fit leave."""
        use = self.weights > 0
        sigma = _spread(self.data[use])
        for _ in range(2):
            if not sigma > 0:
                return 1.0
            weights = self.weights / sigma**2
            blocks = Blocks.of(self.columns, weights, self.start, self.precision)
            values, *_ = conjugate_gradients(self.columns, self.data, weights, blocks,
                                             self.precision, self.mean, tol=1e-4)  # fmt: skip
            sigma = _spread((self.data - self.columns @ values)[use])
        return sigma if sigma > 0 else 1.0

    def brightest_first(self):
        """Blocks by falling light."""
        return np.argsort(-self.light, kind="stable")

    def levels(self, values):
        """Mean of each spectrum over its wavelengths relative to the initial one, (n_block,)."""
        out = np.ones(len(self.keys))
        for scene, index in zip(self.scenes, self.index, strict=True):
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                limits = entry.spectrum.limits
                mean = entry.spectrum.basis(np.linspace(*limits, 101)).mean(axis=0)
                initial = mean @ scene.coefficients[entry.terms]
                if initial != 0:
                    out[self.keys.index(key)] = mean @ values[index[entry.terms]] / initial
        return out


def _check(scenes, exposures):
    if not scenes or not all(isinstance(scene, GrismScene) for scene in scenes):
        raise TypeError(f"scene: expected a GrismScene or a sequence of them, got {scenes!r}")
    if not all(isinstance(one, SlitlessExposure) for one in exposures):
        raise TypeError(f"exposure: expected a SlitlessExposure for each scene, got {exposures!r}")
    if len(scenes) != len(exposures):
        raise ValueError(f"exposure: expected {len(scenes)}, one for each scene, got "
                         f"{len(exposures)}")  # fmt: skip
    for scene, exposure in zip(scenes, exposures, strict=True):
        if scene.shape != exposure.shape:
            raise ValueError(
                f"exposure: expected the scene's shape {scene.shape}, got {exposure.shape}"
            )


def _keys(scene):
    """Name of the parameters of each entry: entries which share them have the same."""
    first = {}
    return [first.setdefault(int(scene.parameters[entry.first]), entry.key)
            for entry in scene.entries]  # fmt: skip


def _priors(entry, initial, ridge):
    """Mean and precision of the coefficients of an entry."""
    mean, precision = np.array(initial), np.full(len(initial), ridge)
    for j, name in enumerate(entry.spectrum.param_names):
        prior = getattr(getattr(entry.spectrum, name), "prior", None)
        if prior is not None:
            mean[j], precision[j] = prior.mean, prior.sigma**-2
    return mean, precision


def _to_parameters(columns, index, n_parameters):
    """The columns of a scene by free parameter."""
    if len(index) == n_parameters and np.array_equal(index, np.arange(n_parameters)):
        return columns
    matrix = sparse.csc_array((np.ones(len(index)), (np.arange(len(index)), index)),
                              shape=(len(index), n_parameters))  # fmt: skip
    out = sparse.csc_array(columns @ matrix)
    out.sort_indices()
    return out


def _reached(columns, exposures):
    """Columns, data and weights of the pixels that any column reaches."""
    lit = np.zeros(columns.shape[0], dtype=bool)
    lit[columns.indices] = True
    place = np.cumsum(lit, dtype=np.int32)
    pixels = np.flatnonzero(lit)
    short = sparse.csc_array(
        (columns.data, place[columns.indices] - 1, columns.indptr),
        shape=(len(pixels), columns.shape[1]),
    )
    data, weights, first = [], [], 0
    for exposure in exposures:
        stop = first + exposure.data.size
        own = pixels[slice(*np.searchsorted(pixels, [first, stop]))] - first
        use = ~exposure.mask.ravel()[own]
        data.append(exposure.data.ravel()[own])
        if exposure.variance is None:
            weights.append(use.astype(float))
        else:
            variance = exposure.variance.ravel()[own]
            weights.append(np.divide(1.0, variance, out=np.zeros(len(own)), where=use))
        first = stop
    return short, np.concatenate(data), np.concatenate(weights)


def _spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values))) if values.size else 0.0
