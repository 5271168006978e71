"""`StackedScene`: the sources of a field on several exposures as one term of a composition."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .scene import GrismScene, SceneEntry
from .shared_sources import SharedSources
from .term import by_parameter

__all__ = ["StackedScene"]


@dataclass(frozen=True, eq=False, repr=False)
class StackedScene(GrismScene):
    """Scenes of one field, each of its own exposure, as one scene: one detector above the other.

    Orientations, grisms or dithers of the same sources, whose spectra are the same. All that a
    `~specmodels.GrismScene` can be composed with, it can: what has a level, lines or noise of its
    own in each exposure repeats over ``"exposure"``.

    Made by `of`. Its detector is as wide as the widest.

    Attributes
    ----------
    scenes : tuple of GrismScene
        As they were given.
    index : tuple of ndarray of int
        For each of them, the number that each of its coefficients has here.

    Examples
    --------
    >>> import specmodels as sm
    >>> field = sm.datasets.make_slitless(n_sources=2)[1].scene
    >>> sm.StackedScene.of([field, field]).shape
    (280, 280)
    """

    scenes: tuple = ()
    index: tuple = ()

    @classmethod
    def of(cls, scenes):
        """Put scenes of the same sources together.

        Parameters
        ----------
        scenes : sequence of GrismScene
            Sources are the same where label and order are, or the label for scenes that share their
            orders. Coefficients are those of the scene in which a source is met first.

        Raises
        ------
        TypeError
            If one is no scene.
        ValueError
            If there is none, or the spectra of a source are of another kind, size or range of
            wavelengths in another scene.
        """
        scenes = tuple(scenes)
        for scene in scenes:
            if not isinstance(scene, GrismScene):
                raise TypeError(f"scenes: expected GrismScene objects, got {scene!r}")
        if not scenes:
            raise ValueError("scenes: expected at least one, got none")
        shared = SharedSources.of(scenes)
        n_terms, width = int(shared.start[-1]), max(scene.shape[1] for scene in scenes)
        pieces = [
            _widened(by_parameter(scene.columns, own, n_terms), scene.shape, width)
            for scene, own in zip(scenes, shared.index, strict=True)
        ]
        entries, coefficients = [], np.empty(n_terms)
        for k, (entry, number) in enumerate(zip(shared.entries, shared.scenes, strict=True)):
            own = slice(*(int(n) for n in shared.start[k : k + 2]))
            coefficients[own] = scenes[number].coefficients[entry.terms]
            entries.append(SceneEntry(entry.label, entry.order, own.start, own.stop,
                                      entry.spectrum, entry.light))  # fmt: skip
        shape = (sum(scene.shape[0] for scene in scenes), width)
        return cls(
            sparse.csc_array(sparse.vstack(pieces, format="csc")), entries, shape, coefficients,
            unit=scenes[0].unit, wavelength_unit=scenes[0].wavelength_unit, scenes=scenes,
            index=shared.index,
        )  # fmt: skip

    def on(self, images):
        """The exposures with rows counted on from one to the next, as this scene wants them.

        Parameters
        ----------
        images : sequence of `~specmodels.SpectralImage`
            As many as scenes, in their order: whole detectors, or parts that keep their rows.

        Returns
        -------
        list of `~specmodels.SpectralImage`
            To be given to a fitter together with a composition that holds the scene.

        Raises
        ------
        ValueError
            If there are more or fewer, or pixels lie beyond the detector of their scene.
        """
        images = list(images)
        if len(images) != len(self.scenes):
            raise ValueError(f"images: expected {len(self.scenes)}, got {len(images)}")
        first, out = 0, []
        for number, (image, scene) in enumerate(zip(images, self.scenes, strict=True)):
            ends = [(float(n[0]), float(n[-1])) for n in (image.y, image.x)]
            for (low, high), n, what in zip(ends, scene.shape, ("rows", "columns"), strict=True):
                if low < 0 or high > n - 1:
                    raise ValueError(
                        f"images[{number}]: expected {what} from 0 to {n - 1}, got {low:g} to "
                        f"{high:g}"
                    )
            out.append(image.replace(y=image.y + first))
            first += scene.shape[0]
        return out

    @property
    def each(self):
        """The scene of each exposure with the coefficients of this one."""
        pairs = zip(self.scenes, self.index, strict=True)
        return tuple(scene.with_coefficients(self.coefficients[own]) for scene, own in pairs)


def _widened(columns, shape, width):
    """The columns of a detector as parts of a wider one."""
    if shape[1] == width:
        return columns
    y, x = np.divmod(columns.indices, shape[1])
    return sparse.csc_array((columns.data, y * width + x, columns.indptr),
                            shape=(shape[0] * width, columns.shape[1]))  # fmt: skip
