"""What a file keeps of any model besides its class and values: constraints, priors, uncertainties.

`asdf_astropy` keeps less of the stock models and of compounds; `model_to_tree` closes that gap.
Models are imported when one is met, as in ``converters.py``.
"""

import numpy as np

__all__ = ["model_from_tree", "model_to_tree"]


def model_to_tree(model):
    """Tree to save in place of a model: whole, where stock models and compounds are not.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Any model or compound.

    Returns
    -------
    dict
        For an `asdf.AsdfFile`; `model_from_tree` makes the model again.

    Raises
    ------
    TypeError
        If a tie or a prior is a function: only `~specmodels.models.TiedTo` and the priors of this
        package can be saved.
    ValueError
        If the model is a set that contains models of astropy: their sets cannot be saved.

    Notes
    -----
    ``asdf.AsdfFile({"model": model})`` saves the models of this package whole as well, alone and in
    compounds. What it drops, silently, are ties, priors, uncertainties and some bounds of models of
    astropy in a compound, and the covariance of a compound.
    """
    leaves = [leaf for leaf in _leaves(model) if type(leaf).__module__.startswith("astropy.")]
    if len(model) > 1 and leaves:
        names = [type(leaf).__name__ for leaf in leaves]
        raise ValueError(f"model: a set of {len(model)} models of astropy {names} cannot be saved")
    return {"model": model, "state": state_of(model)}


def model_from_tree(tree):
    """Model of a tree made by `model_to_tree`."""
    model = tree["model"]
    restore_state(model, tree["state"])
    return model


def state_of(model):
    """Constraints and uncertainties of a model, by name of the parameter."""
    names = model.param_names
    parameters = {name: getattr(model, name) for name in names}
    state = {
        "fixed": {name: bool(parameters[name].fixed) for name in names},
        "bounds": {name: [_number(b) for b in parameters[name].bounds] for name in names},
    }
    priors = {name: _prior_tree(name, p.prior) for name, p in parameters.items() if p.prior}
    ties = {name: _checked_tie(name, p.tied) for name, p in parameters.items() if p.tied}
    deviations = {name: _deviation(p) for name, p in parameters.items() if p.std is not None}
    covariance = _covariance_tree(model.cov_matrix)
    parts = _parts(model)
    optional = {"tied": ties, "prior": priors, "std": deviations, "covariance": covariance,
                "parts": parts}  # fmt: skip
    return state | {key: value for key, value in optional.items() if value}


def restore_state(model, state):
    """Give a model the constraints and uncertainties of `state_of`."""
    for name, fixed in state["fixed"].items():
        getattr(model, name).fixed = fixed
    for name, bounds in state["bounds"].items():
        getattr(model, name).bounds = tuple(bounds)
    for name, tie in state.get("tied", {}).items():
        getattr(model, name).tied = tie
    for name, prior in state.get("prior", {}).items():
        getattr(model, name).prior = _prior(prior)
    leaves = _leaves(model)
    for part in state.get("parts", []):
        _restore_part(leaves[part["number"]], part)
    if "covariance" in state:
        _restore_covariance(model, state["covariance"])
    for name, std in state.get("std", {}).items():
        getattr(model, name).std = std if np.ndim(std) == 0 else list(std)


def _leaves(model):
    """Elementary models of a compound, in order."""
    if getattr(model, "op", None) is None:
        return [model]
    parts = [part for part in (model.left, model.right) if hasattr(part, "param_names")]
    return [leaf for part in parts for leaf in _leaves(part)]


def _parts(model):
    """What elementary models repeat over, and priors of all of their coefficients, where said."""
    found = []
    for number, leaf in enumerate(_leaves(model)):
        own = vars(leaf)
        part = {"over": list(own["over"])} if "over" in own else {}
        if own.get("coefficient_prior") is not None:
            part["coefficient_prior"] = _coefficient_prior_tree(leaf, own["coefficient_prior"])
        if part:
            found.append({"number": number, **part})
    return found


def _restore_part(leaf, part):
    if "over" in part:
        leaf.over = tuple(part["over"])
    if "coefficient_prior" in part:
        leaf.coefficient_prior = _coefficient_prior(**part["coefficient_prior"])


def _coefficient_prior_tree(leaf, prior):
    if type(prior) not in _coefficient_priors().values():
        name = leaf.name or type(leaf).__name__
        raise TypeError(
            f"{name}: the prior {prior!r} cannot be saved; use one of {list(_coefficient_priors())}"
        )
    settings = {key.lstrip("_"): list(value) if isinstance(value, tuple) else value
                for key, value in vars(prior).items() if value is not None}  # fmt: skip
    return {"kind": type(prior).__name__, "settings": settings}


def _coefficient_prior(kind, settings):
    if kind not in _coefficient_priors():
        raise TypeError(f"kind: expected one of {list(_coefficient_priors())}, got {kind!r}")
    return _coefficient_priors()[kind](**settings)


def _coefficient_priors():
    from ...models.priors import FlickerPrior, RidgePrior, SmoothnessPrior

    return {one.__name__: one for one in (FlickerPrior, RidgePrior, SmoothnessPrior)}


def _number(bound):
    return None if bound is None else float(bound)


def _deviation(parameter):
    std = parameter.std
    return float(std) if np.ndim(std) == 0 else [_number(value) for value in std]


def _checked_tie(name, tie):
    from ...models.linear import TiedTo

    if not isinstance(tie, TiedTo):
        raise TypeError(f"{name}: a tie made by {tie!r} cannot be saved; use TiedTo(name)")
    return tie


def _prior_tree(name, prior):
    from ...models.priors import GaussianPrior

    if not isinstance(prior, GaussianPrior):
        raise TypeError(f"{name}: a prior made by {prior!r} cannot be saved; use GaussianPrior")
    return {"mean": prior.mean, "sigma": prior.sigma}


def _prior(tree):
    from ...models.priors import GaussianPrior

    return GaussianPrior(tree["mean"], tree["sigma"])


def _covariance_tree(covariance):
    if covariance is None:
        return None
    members = covariance if isinstance(covariance, list) else [covariance]
    return [
        {"names": list(c.param_names), "matrix": np.array(c.cov_matrix, dtype=float)}
        for c in members
    ]


def _restore_covariance(model, tree):
    from astropy.modeling.fitting import Covariance, StandardDeviations

    matrices = [np.array(member["matrix"]) for member in tree]
    names = [list(member["names"]) for member in tree]
    pairs = list(zip(matrices, names, strict=True))
    covariances = [Covariance(matrix, own) for matrix, own in pairs]
    deviations = [StandardDeviations(matrix, own) for matrix, own in pairs]
    single = len(model) == 1
    model.cov_matrix = covariances[0] if single else covariances
    model.stds = deviations[0] if single else deviations
