"""What can be fitted, and which way: column by column, or as one system."""

from collections.abc import Mapping

import numpy as np
from astropy.modeling import CompoundModel, Model

from ..models.composition import coordinates_of, on_pixels
from ..models.linear_form import LinearForm
from ..models.linear_leaf import Leaf, repeats
from ..models.scenes.term import SceneTerm
from ..models.units import without_units
from ..slitless import SlitlessExposure
from ..spectral_image import SpectralImage

__all__ = ["by_columns", "checked_model", "images_of"]


def images_of(data):
    """The images of what is given to a fitter: one, several, or an exposure, slitless ones too.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is none.
    """
    if isinstance(data, SpectralImage | SlitlessExposure):
        data = [data]
    images = list(data.values() if isinstance(data, Mapping) else data)
    images = [one.to_image() if isinstance(one, SlitlessExposure) else one for one in images]
    wrong = [type(image).__name__ for image in images if not isinstance(image, SpectralImage)]
    if wrong:
        raise TypeError(f"image: expected SpectralImage, or several, got {wrong[0]}")
    if not images:
        raise ValueError("image: expected at least one SpectralImage, got none")
    return images


def checked_model(model, images):
    """The model as one of the row, or of column and row, in which the fitters can find their way.

    Its parameters are plain numbers in the units of the images. Of a list with a model for each
    image, a list.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If a unit cannot be converted, the model has other inputs or outputs, two of its parts share
        a name, or a parameter that repeats has become non-linear. If models and images of a list
        differ in number, or models in their parameters.
    """
    if isinstance(model, list):
        return _each_checked(model, images)
    model = model.to_model() if isinstance(model, SceneTerm) else model
    if not isinstance(model, Model):
        raise TypeError(f"model: expected an astropy model, got {type(model).__name__}")
    if len(model) != 1:
        raise ValueError(f"model: expected a single model, got a set of {len(model)}")
    first = images[0]
    model = without_units(model, data_unit=first.unit, wavelength_unit=first.wavelength_unit)
    names = coordinates_of(model)
    if names is not None and names not in (("y",), ("x", "y")):
        model = on_pixels(model)
    if model.n_inputs not in (1, 2) or model.n_outputs != 1:
        raise ValueError(
            "model: expected one or two inputs (row, or column and row) and one output, got "
            f"{model.n_inputs} and {model.n_outputs}"
        )
    form = LinearForm(model)
    leaves = form.leaves()
    given = [leaf.name for leaf, _ in leaves if leaf.name is not None and not _is_bare(leaf)]
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise ValueError(f"model: names must differ, got more than one {twice}")
    for leaf, positions in leaves:
        over = [name for name in repeats(leaf) if name != "exposure"]
        linear = Leaf(leaf, positions.start).linear_positions(frozenset()) if over else set()
        for k in linear.intersection(form.nonlinear):
            raise ValueError(
                f"model: {form.names[k]} repeats over {' and '.join(over)}, but the model is not "
                f"linear in it: two factors that repeat cannot be fitted together"
            )
    return model


def _each_checked(models, images):
    """The models of several images, which must be alike."""
    if len(models) != len(images):
        raise ValueError(f"model: expected one for each of {len(images)} images, got {len(models)}")
    checked = [checked_model(model, images) for model in models]
    for own in checked[1:]:
        if own.param_names != checked[0].param_names:
            raise ValueError(
                "model: expected the same parameters for all images, got "
                f"{list(checked[0].param_names)} and {list(own.param_names)}"
            )
    return checked[0] if len(checked) == 1 else checked


def _is_bare(leaf):
    """Whether a part has no parameters, or is a compound which keeps no linearity."""
    return isinstance(leaf, CompoundModel) or not leaf.param_names


def by_columns(model, images, batch, share):
    """Whether the columns are independent of one another but for non-linear parameters."""
    if len(images) > 1 or share is not True:
        return False
    form = LinearForm(model, follow_ties=True)
    free = frozenset(form.linear)
    if form.followers or any(hasattr(leaf, "bound_to") and leaf.coordinate not in ("x", "y")
                             for leaf, _ in form.leaves()):  # fmt: skip
        return False
    for leaf, positions in form.leaves():
        linear = [k for k in positions if k in free]
        if getattr(leaf, "coefficient_prior", None) is not None:
            return False
        if any(_is_limited(form.parameters[k]) for k in linear):
            return False
        if batch is None or not linear:
            continue
        over = tuple(name for name in repeats(leaf) if name != "exposure")
        if over != ("column",) and not (model.n_inputs == 1 and not over and _of_rows(model)):
            return False
    return batch is not None or len(form.linear) <= 64


def _of_rows(model):
    return coordinates_of(model) in (None, ("y",)) and tuple(model.inputs) != ("column",)


def _is_limited(parameter):
    low, high = parameter.bounds
    limited = (low is not None and np.isfinite(low)) or (high is not None and np.isfinite(high))
    return limited or parameter.prior is not None
