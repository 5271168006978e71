"""Parameters of models whose number is known only when one is made. Which they are, models say."""

import numpy as np

__all__ = ["declare", "repeated"]


def declare(model, parameters):
    """Give a model its parameters, in order, after those that it has declared before.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        With an attribute ``_param_names``, not yet initialised by its base class.
    parameters : iterable of `~astropy.modeling.Parameter`
    """
    parameters = list(parameters)
    for parameter in parameters:
        parameter.model = model
        model.__dict__[parameter.name] = parameter
    model._param_names = (*model._param_names, *(parameter.name for parameter in parameters))


def repeated(value, settings):
    """A default value, once for each model of the set for which ``n_models`` asks."""
    n_models = settings.get("n_models") or 1
    return value if n_models == 1 else np.repeat(value, n_models)
