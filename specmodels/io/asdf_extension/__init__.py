"""Models in ASDF files: the extension of `asdf` that saves the models of this package.

Converters live in ``converters.py``, what is kept of any model in ``state.py``; schemas and the
manifest lie beside them. Results and exposures are written elsewhere in `specmodels.io`.
"""

from .converters import register_model
from .integration import get_extensions, get_resource_mappings
from .state import model_from_tree, model_to_tree

__all__ = [
    "get_extensions",
    "get_resource_mappings",
    "model_from_tree",
    "model_to_tree",
    "register_model",
]
