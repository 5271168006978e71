"""Pixels of images as a system sees them: inputs of models, data and weights, cuts of rows."""

import numpy as np

from ...models.composition import cut_to

__all__ = ["cut", "filled", "inputs_of"]


def inputs_of(model, image):
    """Inputs of a model on the pixels of an image: columns, rows, or both, which broadcast."""
    names = model.inputs
    if model.n_inputs == 1 and names[0] == "x" and not _rows_alone(model):
        return (image.x[None],)
    return (image.y[:, None],) if len(names) == 1 else (image.x[None], image.y[:, None])


def filled(images):
    """Data and weights of all pixels of images, each of shape (n_pixel,)."""
    filled = [image.columns(slice(None)) for image in images]
    return tuple(np.concatenate([one[k].ravel() for one in filled]) for k in range(2))


def cut(inputs, rows):
    """Inputs of some rows of an image: columns are the same in all of them."""
    return tuple(cut_to(values, (rows, slice(None))) for values in inputs)


def _rows_alone(model):
    """Whether the one input of a model is the row, as that of profiles is."""
    return "y" in getattr(model, "coordinates", ("y",))
