"""Evaluators as steps of pipelines made with stpipe, such as that of JWST.

Found by stpipe through the entry point group ``stpipe.steps``. Nothing else of this package needs
stpipe; what imports it is in `specmodels.steps.evaluator_steps`.
"""

__all__ = ["get_steps"]

# Class, and its alias for ``strun``.
STEPS = {
    "CleanStep": "specmodels.clean",
    "BackgroundStep": "specmodels.background",
    "FillStep": "specmodels.fill",
    "OversampleStep": "specmodels.oversample",
    "ExtractStep": "specmodels.extract",
}


def get_steps():
    """Steps of this package, for stpipe.

    Returns
    -------
    list of tuple (str, str, bool)
        Full name of the class, alias, and whether it is a pipeline.
    """
    return [(f"{__name__}.evaluator_steps.{cls}", alias, False) for cls, alias in STEPS.items()]
