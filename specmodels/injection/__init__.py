"""Known sources put into the user's own data: how well are they recovered?

``light`` makes the sources, ``recovery`` puts them in and extracts them, ``result`` holds what came
back, ``plot`` draws it.
"""

from .recovery import injection_recovery
from .result import InjectionResult

__all__ = ["InjectionResult", "injection_recovery"]
