"""What was done to data: in datamodels as the JWST pipeline notes it, in images as notes.

Steps have the names that they have in ``meta.cal_step`` of datamodels, so that neither a pipeline
nor a chain of evaluators does twice what the other has done.
"""

from astropy.modeling import Model

from ..exposure import Exposure
from ..fitters import FitResult
from ..ramp import Ramp
from ..version import __version__
from .datamodels import opened_source

__all__ = ["made_by", "note_of", "recorded", "steps_done", "steps_noted"]

COMPLETE, MARK = "COMPLETE", ": specmodels "


def made_by(result):
    """Lines that say how a result was made: version, parts of its model, how it was solved, notes.

    Parameters
    ----------
    result : object
        One with a `~specmodels.FitResult` as ``fit``; of others nothing is known.

    Returns
    -------
    list of str
    """
    fit = getattr(result, "fit", None)
    if not isinstance(fit, FitResult):
        return []
    parts = [_in_words(leaf) for leaf, _ in fit.form.leaves()]
    lines = [f"fitted by specmodels {__version__}, {fit.solver}", f"model: {' + '.join(parts)}"]
    return [*lines, *getattr(result, "notes", ())]


def _in_words(leaf):
    """Kind and name of an elementary model, with the kinds of its parts."""
    own = (getattr(leaf, key, None) for key in ("profile", "trace", "width"))
    kinds = ", ".join(type(one).__name__ for one in own if isinstance(one, Model))
    words = type(leaf).__name__ + (f"({kinds})" if kinds else "")
    return f"{words} {leaf.name!r}" if leaf.name else words


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
