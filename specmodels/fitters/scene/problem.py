"""`SceneProblem`: what `SceneFitter` solves, columns by parameter and the pixels they reach."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ...models.scenes.scene import GrismScene
from ...models.scenes.shared_sources import SharedSources
from ...models.scenes.term import by_parameter
from ...numerics.blocks import Blocks, conjugate_gradients
from ...numerics.precision import Precision
from ...numerics.scene_pixels import lit_pixels
from ...numerics.shrinkage import drawn_levels
from ...slitless import SlitlessExposure

__all__ = ["SceneProblem"]

SMALL = 1e-6  # spread of a level that is not free


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
    shared: SharedSources
    pixels: tuple
    own_priors: np.ndarray
    initial: np.ndarray

    @classmethod
    def of(cls, scenes, exposures, ridge):
        """The problem of scenes with the same sources, each on its exposure."""
        _check(scenes, exposures)
        shared = SharedSources.of(scenes)
        means, precisions, own_priors = [], [], []
        for entry, number in zip(shared.entries, shared.scenes, strict=True):
            priors = _given_priors(entry.spectrum)
            initial = scenes[number].coefficients[entry.terms]
            mean, precision = _with_priors(priors, initial, ridge)
            means.append(mean)
            precisions.append(precision)
            own_priors += [bool(priors)] * len(initial)
        stacked, data, weights, lit = [], [], [], []
        for scene, exposure, own in zip(scenes, exposures, shared.index, strict=True):
            pixels, columns = lit_pixels(scene.columns)
            lit.append(pixels)
            stacked.append(by_parameter(columns, own, shared.start[-1]))
            data.append((exposure.data - exposure.known_light).ravel()[pixels])
            weights.append(_weights(exposure, pixels))
        columns = stacked[0] if len(stacked) == 1 else sparse.vstack(stacked, format="csc")
        join = np.concatenate
        initial = join(means or [np.zeros(0)])
        return cls(
            tuple(scenes), tuple(exposures), columns, join(data), join(weights),
            initial, join(precisions or [np.zeros(0)]), shared,
            tuple(lit), np.array(own_priors, dtype=bool), initial,
        )  # fmt: skip

    def levelled(self, weights):
        """The same with priors that know the shapes of the spectra, but not their levels.

        The level of each source is fitted with the shape that its prior has, and priors are scaled
        by it, so that an error of the scale of the direct image changes nothing. Levels that the
        pixels hardly tell are drawn to those of the others, by as much as these scatter. Priors
        that were given with a parameter stay as they are.

        Parameters
        ----------
        weights : ndarray, shape (n_pixel,)
        """
        if not self.shared.entries or not self.precision.any():
            return self
        size = np.diff(self.shared.start)
        block = np.repeat(np.arange(len(size)), size)
        shapes = sparse.csc_array((self.mean, (np.arange(len(block)), block)),
                                  shape=(len(block), len(size)))  # fmt: skip
        columns = sparse.csc_array(self.columns @ shapes)
        columns.sort_indices()
        none, ones = np.zeros(len(size)), np.ones(len(size))
        blocks = Blocks.of(columns, weights, np.arange(len(size) + 1), none)
        found, *_ = conjugate_gradients(columns, self.data, weights, blocks, none, ones,
                                        held=blocks.singular)  # fmt: skip
        given = self.own_priors
        # What has priors for all that it is says nothing of the levels of other sources.
        apart = np.bincount(block, ~given, len(size)) == 0
        error = np.where(blocks.singular | apart, np.inf, np.sqrt(blocks.variances))
        level, usual, scatter = drawn_levels(found, error)
        mean = np.where(blocks.empty, 1.0, usual)[block] * self.mean
        size = np.where(blocks.empty, 1.0, level)[block]
        mean, size = np.where(given, self.mean, mean), np.where(given, 1.0, size)
        # The level has a spread of its own, but for spectra whose coefficients have priors.
        spread = np.where(np.bincount(block, given, len(level)) > 0, SMALL, scatter / usual)
        precision = Precision.of(self.precision / size**2, self.shared.start, mean, spread)
        return replace(self, mean=mean, precision=precision)

    def noise(self):
        """Robust standard deviation of what the initial scene and one fit leave."""
        use = self.weights > 0
        sigma = _spread(self.data[use])
        for _ in range(2):
            if not sigma > 0:
                return 1.0
            weights = self.weights / sigma**2
            blocks = Blocks.of(self.columns, weights, self.shared.start, self.precision)
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
        light = [abs(entry.light) for entry in self.shared.entries]
        return np.argsort(-np.array(light), kind="stable")

    def levels(self, values):
        """Mean of each spectrum over its wavelengths relative to the initial one, (n_block,)."""
        out, shared = np.ones(len(self.shared.entries)), self.shared
        for k, (entry, number) in enumerate(zip(shared.entries, shared.scenes, strict=True)):
            mean = entry.spectrum.basis(np.linspace(*entry.spectrum.limits, 101)).mean(axis=0)
            initial = mean @ self.scenes[number].coefficients[entry.terms]
            if initial != 0:
                out[k] = mean @ values[shared.start[k] : shared.start[k + 1]] / initial
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


def _weights(exposure, pixels):
    """Inverse variance of some pixels, zero where masked; one where no variance is known."""
    use = ~exposure.mask.ravel()[pixels]
    if exposure.variance is None:
        return use.astype(float)
    variance = exposure.variance.ravel()[pixels]
    return np.divide(1.0, variance, out=np.zeros(len(pixels)), where=use)


def _spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values))) if values.size else 0.0
