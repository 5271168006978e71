"""Loops over pixels: compiled where numba is installed, else run by Python as they stand.

Every kernel of the package is decorated here, so that how they are compiled and kept is said once.
"""

import logging
from contextlib import suppress

import numpy as np

try:
    import numba
    from numba.core.caching import FunctionCache
except ImportError:
    numba, FunctionCache = None, object

__all__ = ["cache_folders", "compiled", "counts"]

log = logging.getLogger(__name__)
_kernels = []


def compiled(function=None, **options):
    """Decorate a loop: compiled at its first call, kept on disk, without Python's lock.

    Divisions by zero give infinity or NaN, as in NumPy. Without numba a function stays what it is:
    slow, with the same numbers.

    Parameters
    ----------
    function : callable
        Of arrays and numbers.
    **options
        More of `numba.njit`'s.

    Returns
    -------
    callable
    """
    if function is None:
        return lambda function: compiled(function, **options)
    if numba is None:
        return np.errstate(all="ignore")(function)
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    dispatcher.get_call_template = _without_literals(dispatcher.get_call_template)
    # Numba finds no folder where neither package nor home can be written to; compiled code then
    # lives as long as the process.
    with suppress(RuntimeError, OSError):
        dispatcher._cache = _Kept(function)
    _kernels.append(dispatcher)
    return dispatcher


def counts():
    """Number of kernels that were compiled in this process, and that were found on disk."""
    stats = [kernel.stats for kernel in _kernels]
    return sum(len(s.cache_misses) for s in stats), sum(len(s.cache_hits) for s in stats)


def cache_folders():
    """Folders of the kernels of this process whose code is on disk, sorted."""
    caches = [kernel._cache for kernel in _kernels if kernel.signatures]
    return sorted({cache.cache_path for cache in caches if getattr(cache, "kept", False)})


def _without_literals(get_call_template):
    """What a kernel gets that is called with ``0`` in another: the code for any integer.

    Numba compiles it a second time for each such value.
    """

    def get(args, kws):
        general = {name: numba.types.unliteral(value) for name, value in kws.items()}
        return get_call_template(tuple(map(numba.types.unliteral, args)), general)

    return get


class _Kept(FunctionCache):
    """Compiled code on disk. Folders that are full, locked or damaged are no error.

    Numba lets such errors through (but for some on Windows), in the midst of a fit.
    """

    kept = True

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # a damaged pickle raises what it likes
            log.info("%s: compiled code is damaged, and made anew (%r)", self.cache_path, error)
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            self.kept = False
            log.info("%s: compiled code cannot be kept: %s", self.cache_path, error)
