"""Many inputs: one evaluator over all of them, on many cores, none stopping the rest.

``inputs`` gives them names, ``task`` is what is done with one of them, ``schedule`` says where it
is done, ``summary`` keeps what became of each, and ``mapping`` holds the functions for users. In
``together`` exposures share parameters of one model.
"""

from .mapping import MapResult, extract_many, map
from .together import TogetherResult, fit_together

__all__ = ["MapResult", "TogetherResult", "extract_many", "fit_together", "map"]
