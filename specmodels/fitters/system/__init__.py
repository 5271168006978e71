"""One linear system for any composition of models, on one image or several.

`layout` numbers the coefficients and says what they repeat over; `structure` finds the order in
which their normal matrix is banded but for a border; `equations` assembles, factorises and solves
it, with the priors of `penalties` and the bounds of `bounds`; `problem` makes a pass of variable
projection of that, and `result` says what came out. Nothing here knows of jobs or instruments.
"""

from .problem import SystemProblem
from .restored import FOUND, kept_of_system, restored_system
from .result import SystemFitResult

__all__ = ["FOUND", "SystemFitResult", "SystemProblem", "kept_of_system", "restored_system"]
