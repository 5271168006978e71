"""`SceneProblem`: what `SceneFitter` solves, columns by parameter and the pixels they reach."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..models.scene import GrismScene
from ..numerics.blocks import Blocks, conjugate_gradients
from ..numerics.scene_pixels import lit_pixels
from ..slitless import SlitlessExposure

__all__ = ["SceneProblem"]


@dataclass(frozen=True, eq=False)
class SceneProblem:
    """One linear problem of all exposures: columns by free parameter, stacked pixels.

    Pixels that no column reaches are left out.
    """

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
    pixels: tuple

    @classmethod
    def of(cls, scenes, exposures, ridge):
        _check(scenes, exposures)
        keys, sizes, light, means, precisions, index = {}, [], [], [], [], []
        spectra = {id(e.spectrum): e.spectrum for scene in scenes for e in scene.entries}
        given = {key: _given_priors(spectrum) for key, spectrum in spectra.items()}
        for scene in scenes:
            own = np.empty(len(scene.parameters), dtype=np.int64)
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                n_terms = entry.stop - entry.first
                if key not in keys:
                    keys[key] = len(keys)
                    sizes.append(n_terms)
                    light.append(abs(entry.light))
                    initial = scene.coefficients[entry.terms]
                    mean, precision = _with_priors(given[id(entry.spectrum)], initial, ridge)
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
        stacked, data, weights, lit = [], [], [], []
        for scene, exposure, own in zip(scenes, exposures, index, strict=True):
            pixels, columns = lit_pixels(scene.columns)
            lit.append(pixels)
            stacked.append(_to_parameters(columns, own, start[-1]))
            data.append(exposure.data.ravel()[pixels])
            weights.append(_weights(exposure, pixels))
        columns = stacked[0] if len(stacked) == 1 else sparse.vstack(stacked, format="csc")
        join = np.concatenate
        return cls(
            tuple(scenes), tuple(exposures), columns, join(data), join(weights),
            join(means or [np.zeros(0)]), join(precisions or [np.zeros(0)]), start, tuple(keys),
            tuple(index), np.array(light), tuple(lit),
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

    def by_exposure(self, chosen):
        """Indices on the flattened detectors of chosen ones among the pixels of all exposures."""
        parts = np.split(chosen, np.cumsum([len(pixels) for pixels in self.pixels])[:-1])
        return tuple(np.sort(own[part]) for own, part in zip(self.pixels, parts, strict=True))

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


def _given_priors(spectrum):
    """Number, mean and precision of each coefficient that has a prior of its own."""
    priors = [getattr(getattr(spectrum, name), "prior", None) for name in spectrum.param_names]
    return [(j, one.mean, one.sigma**-2) for j, one in enumerate(priors) if one is not None]


def _with_priors(given, initial, ridge):
    """Mean and precision of the coefficients of an entry."""
    mean, precision = np.array(initial), np.full(len(initial), ridge)
    for j, value, weight in given:
        mean[j], precision[j] = value, weight
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


def _weights(exposure, pixels):
    """Inverse variance of some pixels, zero where masked; one where no variance is known."""
    use = ~exposure.mask.ravel()[pixels]
    if exposure.variance is None:
        return use.astype(float)
    variance = exposure.variance.ravel()[pixels]
    return np.divide(1.0, variance, out=np.zeros(len(pixels)), where=use)


def _spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values))) if values.size else 0.0
