"""`SharedSources`: which coefficients the scenes of several exposures share."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SharedSources"]

SAME_LIMITS = 1e-3  # part of a range by which the limits of one spectrum may differ


@dataclass(frozen=True, eq=False)
class SharedSources:
    """Numbers of the coefficients of sources that are seen in several scenes.

    Sources are the same where label and order are, or the label for scenes that share their orders.

    Attributes
    ----------
    entries : tuple of SceneEntry
        Each source where it is met first.
    scenes : tuple of int
        In which scene that is.
    start : ndarray of int, shape (n_source + 1,)
        The coefficients of source k are ``start[k]`` to ``start[k + 1]``.
    index : tuple of ndarray of int, each of shape (n_terms,)
        Number of the coefficient of each term, for each scene.
    """

    entries: tuple
    scenes: tuple
    start: np.ndarray
    index: tuple

    @classmethod
    def of(cls, scenes):
        """Find the sources of scenes.

        Raises
        ------
        ValueError
            If the spectra of a source are of another kind, size or range in another scene.
        """
        first, place = {}, []
        for number, scene in enumerate(scenes):
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                _check(key, entry, first.setdefault(key, (entry, number))[0])
        sizes = [entry.stop - entry.first for entry, _ in first.values()]
        start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        where = dict(zip(first, start[:-1], strict=True))
        for scene in scenes:
            own = np.empty(len(scene.parameters), dtype=np.int64)
            for entry, key in zip(scene.entries, _keys(scene), strict=True):
                own[entry.terms] = where[key] + np.arange(entry.stop - entry.first)
            place.append(own)
        entries, numbers = zip(*first.values(), strict=True) if first else ((), ())
        return cls(tuple(entries), tuple(numbers), start, tuple(place))

    @property
    def keys(self):
        """Label and order of each source, where it is met first."""
        return tuple(entry.key for entry in self.entries)


def _keys(scene):
    """Name of the parameters of each entry: entries which share them have the same."""
    first = {}
    return [first.setdefault(int(scene.parameters[entry.first]), entry.key)
            for entry in scene.entries]  # fmt: skip


def _check(key, entry, other):
    """Refuse a spectrum whose coefficients mean something else than those of the other."""
    sizes = [one.stop - one.first for one in (entry, other)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"scene: source {key} has {sizes[1]} coefficients in one exposure and {sizes[0]} in "
            "another"
        )
    kinds = [type(one.spectrum).__name__ for one in (other, entry)]
    limits = [one.spectrum.limits for one in (other, entry)]
    apart = SAME_LIMITS * np.ptp(limits[0])
    if kinds[0] != kinds[1] or not np.allclose(*limits, rtol=0, atol=apart):
        raise ValueError(
            f"scene: source {key} has a {kinds[0]} with the limits {limits[0]} in one scene and "
            f"a {kinds[1]} with {limits[1]} in another, whose coefficients mean something else; "
            "give spectra with the same limits=, over the wavelengths of all"
        )
