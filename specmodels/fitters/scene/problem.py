"""`SceneProblem`: what `SceneFitter` solves, columns by parameter and the pixels they reach."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ...models.scene import GrismScene
from ...models.scene_term import by_parameter
from ...numerics.blocks import Blocks, Precision, conjugate_gradients
from ...numerics.scene_pixels import lit_pixels
from ...numerics.shrinkage import drawn_levels
from ...slitless import SlitlessExposure

__all__ = ["SceneProblem"]

# Spread of a level that is not free; and part of a range by which limits may differ.
SMALL, SAME_LIMITS = 1e-6, 1e-3


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
    own_priors: np.ndarray
    initial: np.ndarray

    @classmethod
    def of(cls, scenes, exposures, ridge):
        _check(scenes, exposures)
        keys, sizes, light, means, precisions, index = {}, [], [], [], [], []
        kinds = {}
        spectra = {id(e.spectrum): e.spectrum for scene in scenes for e in scene.entries}
        given = {key: _given_priors(spectrum) for key, spectrum in spectra.items()}
        own_priors = []
        for scene in scenes:
            own = np.empty(len(scene.parameters), dtype=np.int64)
            _check_spectra(scene, kinds)
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                n_terms = entry.stop - entry.first
                if key not in keys:
                    keys[key] = len(keys)
                    sizes.append(n_terms)
                    light.append(abs(entry.light))
                    initial = scene.coefficients[entry.terms]
                    mean, precision = _with_priors(given[id(entry.spectrum)], initial, ridge)
                    own_priors += [bool(given[id(entry.spectrum)])] * n_terms
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
            stacked.append(by_parameter(columns, own, start[-1]))
            data.append((exposure.data - exposure.known_light).ravel()[pixels])
            weights.append(_weights(exposure, pixels))
        columns = stacked[0] if len(stacked) == 1 else sparse.vstack(stacked, format="csc")
        join = np.concatenate
        initial = join(means or [np.zeros(0)])
        return cls(
            tuple(scenes), tuple(exposures), columns, join(data), join(weights),
            initial, join(precisions or [np.zeros(0)]), start, tuple(keys),
            tuple(index), np.array(light), tuple(lit), np.array(own_priors, dtype=bool),
            initial,
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
        if not self.keys or not self.precision.any():
            return self
        size = np.diff(self.start)
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
        precision = Precision.of(self.precision / size**2, self.start, mean, spread)
        return replace(self, mean=mean, precision=precision)

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


def _check_spectra(scene, kinds):
    """Refuse spectra of a source that are of other kinds or limits in other scenes."""
    for entry, key in zip(scene.entries, _keys(scene), strict=True):
        kind = type(entry.spectrum).__name__, entry.spectrum.limits
        known = kinds.setdefault(key, kind)
        apart = SAME_LIMITS * np.ptp(known[1])
        if known[0] != kind[0] or not np.allclose(known[1], kind[1], rtol=0, atol=apart):
            raise ValueError(
                f"scene: source {key} has a {known[0]} with the limits {known[1]} in one scene and "
                f"a {kind[0]} with {kind[1]} in another, whose coefficients mean something else; "
                "give spectra with the same limits=, over the wavelengths of all"
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


def _weights(exposure, pixels):
    """Inverse variance of some pixels, zero where masked; one where no variance is known."""
    use = ~exposure.mask.ravel()[pixels]
    if exposure.variance is None:
        return use.astype(float)
    variance = exposure.variance.ravel()[pixels]
    return np.divide(1.0, variance, out=np.zeros(len(pixels)), where=use)


def _spread(values):
    return 1.4826 * np.median(np.abs(values - np.median(values))) if values.size else 0.0
