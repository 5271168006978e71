"""How a model is made again: the arguments of its constructor that are no parameters.

Saving uses this. What a parameter holds (value, bounds, ties) is no business of this module.
"""

from inspect import Parameter as Argument
from inspect import signature

__all__ = ["constructor_settings"]

STATE = ("self", "name", "meta", "n_models", "model_set_axis")


def constructor_settings(model):
    """Arguments which, with its parameters, make a model again.

    Every named argument of the constructor is taken from the attribute of the same name. Where the
    constructor passes further ones on (``**parameters``), the keyword-only arguments of the classes
    above count as well. A class that keeps its arguments otherwise defines the property
    ``settings``, which is then used as it is.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        A model; compounds have no settings.

    Returns
    -------
    dict
        Such that ``type(model)(**settings, **parameter_values)`` makes the model.

    Raises
    ------
    TypeError
        If the model has no attribute for one of the arguments.
    """
    if hasattr(model, "settings"):
        return dict(model.settings)
    names = _argument_names(type(model)) - {*STATE, *model.param_names}
    missing = sorted(name for name in names if not hasattr(model, name))
    if missing:
        raise TypeError(
            f"{type(model).__name__}: expected an attribute for each argument of the constructor "
            f"or the property `settings`; there is none for {missing}"
        )
    return {name: getattr(model, name) for name in sorted(names)}


def _argument_names(model_class):
    """Names of the arguments of a constructor, with those it passes on to the classes above."""
    kinds = {Argument.KEYWORD_ONLY, Argument.POSITIONAL_OR_KEYWORD}
    names = set()
    for owner in model_class.__mro__:
        if "__init__" not in vars(owner):
            continue
        arguments = signature(owner.__init__).parameters.values()
        names |= {a.name for a in arguments if a.kind in kinds}
        if not any(a.kind is Argument.VAR_KEYWORD for a in arguments):
            break
        kinds = {Argument.KEYWORD_ONLY}
    return names
