"""The elementary models of a compound model."""

__all__ = ["leaves_of", "replace_leaf"]


def leaves_of(model):
    """Elementary models of a compound, in order."""
    if hasattr(model, "op"):
        return [*leaves_of(model.left), *leaves_of(model.right)]
    return [model]


def replace_leaf(model, name, new):
    """Compound with the elementary model called `name` replaced."""
    if hasattr(model, "op"):
        left, right = replace_leaf(model.left, name, new), replace_leaf(model.right, name, new)
        return type(model)(model.op, left, right, name=model.name)
    return new if model.name == name else model
