"""Images that a fitted system makes: the model, its parts, and the model bound to an image."""

from functools import partial

import numpy as np

from ...models.composition import bound
from ..fitted import FittedModel

__all__ = ["bound_model", "components", "parts", "predicted"]


def predicted(result, number):
    """Value of the fitted model in each pixel of one of the images; NaN where unknown."""
    equations, part = result.equations, result.fitted.slices[number]
    entries = equations.entries.of_image(number)
    total = entries.image(result.coefficients)
    total += result.offset[part]
    total += result.noise[part]
    unseen = ~equations.seen
    if unseen.any():
        total[entries.see(unseen)] = np.nan
    return total.reshape(result.images[number].shape)


def bound_model(result, number):
    """The fitted model, bound to one of the images."""
    layout, image = result.layout, result.images[number]
    base = result.fitted.parameters.of(number, result.theta)[0]
    if result.fitted.noise is not None or any(group.over for group in layout.groups):
        values = partial(layout.at, _repeated_where_seen(result), base, number)
        return FittedModel(result.fitted.forms[number], values, image)
    model = bound(result.templates[number].copy(), image)
    values = layout.local(result.coefficients, base, number)
    for name, value in zip(result.names, values, strict=True):
        setattr(model, name, value)
    return model


def _repeated_where_seen(result):
    """The coefficients, NaN for repetitions (columns, lines) that no pixel with weight sees."""
    out, unseen = np.array(result.coefficients), ~result.equations.seen
    for group in result.layout.groups:
        if group.over:
            numbers = np.concatenate([group.numbers(n) for n in range(len(group.positions))])
            out[numbers[unseen[numbers]]] = np.nan
    return out


def components(result, number):
    """Name and image of each elementary model with all factors, of one of the images."""
    form, image = result.fitted.forms[number], result.images[number]
    base = result.fitted.parameters.of(number, result.theta)[0]
    values = result.layout.in_region(result.coefficients, base, number, (slice(None),) * 2)
    parts = form.components(values, result.fitted.inputs[number])
    return [(leaf.name or str(n), np.broadcast_to(part, image.shape))
            for n, (leaf, _, part) in enumerate(parts)]  # fmt: skip


def parts(result):
    """Inputs, values and elementary models on the first image; see `FitResult.parts`."""
    base = result.fitted.parameters.of(0, result.theta)[0]
    values, inputs = result.layout.local(result.coefficients, base, 0), result.fitted.inputs[0]
    images = [
        (leaf, positions, np.broadcast_to(image, result.image.shape))
        for leaf, positions, image in result.form.components(values, inputs)
    ]
    return inputs, values, images
