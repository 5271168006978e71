"""What was done to data: in datamodels as the JWST pipeline notes it, in images as notes.

Steps have the names that they have in ``meta.cal_step`` of datamodels, so that neither a pipeline
nor a chain of evaluators does twice what the other has done.
"""

from ..exposure import Exposure
from ..ramp import Ramp
from ..version import __version__
from .datamodels import opened_source

__all__ = ["note_of", "recorded", "steps_done", "steps_noted"]

COMPLETE, MARK = "COMPLETE", ": specmodels "


def note_of(step):
    """What an image notes of a step that was done to it."""
    return f"{step}{MARK}{__version__}"


def recorded(model, step):
    """A datamodel which says that a step was done to it; the model given, changed.

    The entry in the history names the package and its version.
    """
    meta = model.instance.setdefault("meta", {})
    meta.setdefault("cal_step", {})[step] = COMPLETE
    if hasattr(model, "add_history_entry"):
        model.add_history_entry(note_of(step))
    else:  # stdatamodels before 5
        model.history.append({"description": note_of(step)})
    return model


def steps_done(data):
    """Names of the steps that were done to data.

    Parameters
    ----------
    data : object
        A datamodel or the path of one, an `~specmodels.Exposure` or a `~specmodels.Ramp`; of other
        things nothing is known.

    Returns
    -------
    set of str
    """
    if isinstance(data, Exposure):
        return steps_noted(data) | steps_done(data.source)
    if isinstance(data, Ramp):
        return _noted(data.notes) | steps_done(data.source)
    return _of_model(data)


def steps_noted(exposure):
    """Names of the steps that all images of an exposure note: done since it was read."""
    return set.intersection(*(_noted(image.notes) for image in exposure.values()))


def _noted(notes):
    return {note.partition(MARK)[0] for note in notes if MARK in note}


def _of_model(source):
    with opened_source(source) as model:
        meta = (None if model is None else model.instance.get("meta")) or {}
        found = meta.get("cal_step") or {}
        return {step for step, state in found.items() if state == COMPLETE}
