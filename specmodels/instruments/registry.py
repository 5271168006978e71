"""Instruments by key: registration of subclasses, lookup, and recognition of file headers.

Other packages add theirs with the entry point group ``specmodels.instruments``, each entry
naming a module or class whose import declares the subclass.
"""

import warnings
from functools import cache
from importlib.metadata import entry_points

from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["find_class", "load_entry_points", "matches", "recognise_instrument", "register"]

_classes = {}


def register(cls, key):
    """Register an instrument class and return its keys, each a tuple of upper-case words.

    Raises
    ------
    ValueError
        If a key is taken by a class of another name, or is no word or tuple of words.
    """
    keys = tuple(_normalised(one) for one in (key if isinstance(key, list) else [key]))
    for one in keys:
        taken = _classes.get(one)
        if taken is not None and _identity(taken) != _identity(cls):
            raise ValueError(f"key: {one} is already registered for {_identity(taken)}")
    _classes.update(dict.fromkeys(keys, cls))
    return keys


def find_class(key):
    """Return the class registered under a key, or the only one that a part of a key fits.

    Raises
    ------
    TypeError
        If `key` is not a word or a tuple of words.
    ValueError
        If no instrument fits, or several do.
    """
    wanted = _normalised(key)
    load_entry_points()
    for n_words in range(len(wanted), 0, -1):
        if wanted[:n_words] in _classes:
            return _classes[wanted[:n_words]]
    fitting = {cls for known, cls in _classes.items() if known[: len(wanted)] == wanted}
    if len(fitting) == 1:
        return fitting.pop()
    problem = "several instruments fit" if fitting else "no instrument is known by"
    known = ", ".join("/".join(words) for words in sorted(_classes))
    raise ValueError(f"instrument: {problem} {'/'.join(wanted)}; known are {known}")


def recognise_instrument(*headers):
    """Return the instrument that recognises any of the headers, None if none does.

    Where several do, the one with the longer key is taken, then the one registered later.
    """
    load_entry_points()
    ranked = sorted(enumerate(_classes.items()), key=lambda item: (len(item[1][0]), item[0]))
    for _, (_, cls) in reversed(ranked):
        if any(cls.recognises(header) for header in headers):
            return cls()
    return None


def matches(key, header):
    """Whether a header has the words of a key: INSTRUME, EXP_TYPE, and optical elements."""
    optics = {_word(header, name) for name in ("FILTER", "PUPIL", "GRATING")}
    own = (_word(header, "INSTRUME"), _word(header, "EXP_TYPE"))
    return key[:2] == own[: len(key[:2])] and optics.issuperset(key[2:])


@cache
def load_entry_points(group="specmodels.instruments"):
    """Import what other packages declare in a group; one that cannot be imported is warned of."""
    what = group.rpartition(".")[2].removesuffix("s")
    for entry in entry_points(group=group):
        try:
            entry.load()
        except (ImportError, AttributeError, ValueError) as error:
            warnings.warn(
                f"the {what} {entry.name!r} ({entry.value}) cannot be loaded: {error}",
                AstropyUserWarning,
                stacklevel=2,
            )


def _word(header, name):
    return str(header.get(name) or "").strip().upper()


def _identity(cls):
    return f"{cls.__module__}.{cls.__qualname__}"


def _normalised(key):
    words = (key,) if isinstance(key, str) else key
    fits = isinstance(words, tuple) and words and all(isinstance(w, str) and w for w in words)
    if not fits:
        raise TypeError(f"instrument key: expected a word or a tuple of words, got {key!r}")
    return tuple(word.strip().upper() for word in words)
