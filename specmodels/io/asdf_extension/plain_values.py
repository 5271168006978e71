"""Values as files have them, and back: no tuples, no numbers of NumPy, no arrays that wait."""

import asdf
import numpy as np

__all__ = ["loaded", "plain"]


def plain(value):
    """A value without tuples, read-only mappings and numbers of NumPy, which files do not have."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value if value.ndim else value.item()
    if hasattr(value, "keys"):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def loaded(value):
    """Arrays, which `asdf` reads when they are needed, as arrays of their own, in lists as well."""
    if isinstance(value, asdf.tags.core.NDArrayType):
        return np.array(value)
    if isinstance(value, dict):
        return {key: loaded(one) for key, one in value.items()}
    return [loaded(one) for one in value] if isinstance(value, list) else value
