"""The gwcs of an oversampled exposure: a frame ``coordinates`` in front of the pixels' own.

A new pipeline is made; that of the input, and its bounding box, are never touched. gwcs is imported
inside functions only, so that names of this package are there quickly.
"""

from copy import copy

import numpy as np
from astropy.modeling import CompoundModel, bind_bounding_box, fix_inputs
from astropy.modeling.models import Identity, Mapping, Scale, Shift

__all__ = ["oversampled_wcs", "pixel_map"]

FRAME = "coordinates"


def pixel_map(factor, axis):
    """Model from oversampled pixels ``(x, y)`` to the pixels that they lie in.

    Parameters
    ----------
    factor : float
        Number of fine pixels for each pixel.
    axis : int
        Axis of the array that is finer: -2 for ``y``, -1 for ``x``.
    """
    shift = 0.5 / factor - 0.5
    fine = Scale(1 / factor) | Shift(shift)
    own = Identity(1)
    model = own & fine if axis == -2 else fine & own
    return _named(model, ("x", "y"), ("x", "y"), "coord2det")


def oversampled_wcs(wcs, factor, axis, regions=None):
    """WCS of an oversampled exposure.

    Parameters
    ----------
    wcs : `~gwcs.WCS`
        From pixels, or from pixels and the number of a slice. Not changed.
    factor, axis
        As in `pixel_map`.
    regions : ndarray of int, shape (n_y, n_x), optional
        Map of the slices, numbers from one, by which a WCS that wants their number (from zero) is
        made one from pixels alone.

    Returns
    -------
    `~gwcs.WCS`
        Its first frame is ``coordinates``, the oversampled pixels, in which the boxes of slices
        are, too.

    Raises
    ------
    ValueError
        If the WCS wants a slice number and there is no map.
    """
    from gwcs import WCS
    from gwcs.coordinate_frames import Frame2D

    finer = pixel_map(factor, axis)
    steps = [(step.frame, step.transform) for step in wcs.pipeline]
    n_inputs = wcs.get_transform(wcs.available_frames[0], wcs.available_frames[1]).n_inputs
    box = None if n_inputs != 2 else wcs.bounding_box
    if n_inputs != 2:
        if regions is None:
            raise ValueError("wcs: wants the number of a slice, and there is no map of slices")
        steps = _from_pixels(wcs, regions)
    steps = [(frame, _of_finer_slices(transform, factor, axis)) for frame, transform in steps]
    if wcs.available_frames[0] == FRAME:
        first = steps[0][1]
        joined = _named(finer | first, first.inputs, first.outputs, first.name)
        steps = [(steps[0][0], joined), *steps[1:]]
    else:
        steps = [(Frame2D(name=FRAME, axes_order=(0, 1)), finer), *steps]
    new = WCS(steps)
    if box is not None:
        new.bounding_box = _finer_box(box, factor, axis)
    return new


def _finer_box(box, factor, axis):
    """Bounding box in oversampled pixels, (x, y) intervals."""
    intervals = box.bounding_box(order="F") if hasattr(box, "bounding_box") else box
    intervals = [tuple(float(getattr(end, "value", end)) for end in ends) for ends in intervals]
    place = 1 if axis == -2 else 0
    intervals[place] = tuple((end + 0.5) * factor - 0.5 for end in intervals[place])
    return tuple(intervals)


def _of_finer_slices(transform, factor, axis):
    """A selector of slices that holds for all of their oversampled pixels; other transforms as is.

    Pixels are in the slice that their middle is in: boxes say so, and labels. The ends of a slit
    do not, as the halves of a pixel inside of them may lie beyond.
    """
    from gwcs.selector import RegionsSelector

    if not isinstance(transform, RegionsSelector):
        return transform
    place, chain = (1 if axis == -2 else 0), {}
    for label, model in transform.selector.items():
        # The parts are shared with the model that was given, and stay as they are.
        chain[label] = own = copy(_without_ends(model))
        if model._user_bounding_box is not None:
            intervals = list(_finer_box(model.bounding_box, factor, axis))
            # Of rows whose middle is on an edge, the slice has the lowest.
            first, stop = (np.ceil(np.round(end, 6)) for end in intervals[place])
            intervals[place] = (first - 0.5, stop - 0.5)
            bind_bounding_box(own, tuple(intervals), order="F")
    return RegionsSelector(
        transform.inputs, transform.outputs, selector=chain, label_mapper=transform.label_mapper,
        undefined_transform_value=transform.undefined_transform_value, name=transform.name,
    )  # fmt: skip


def _without_ends(model):
    """A transform that goes on beyond the ends of a slit, instead of no number there."""
    if hasattr(model, "compareto"):  # puts its value beyond a limit
        return Identity(1) if np.all(np.isnan(model.value)) else model
    if hasattr(model, "lookup_table") and not model.bounds_error:
        longer = copy(model)
        longer.fill_value = None
        return longer
    if not isinstance(model, CompoundModel):
        return model
    parts = [model.left, model.right]
    made = [_without_ends(part) for part in parts]
    if all(new is old for new, old in zip(made, parts, strict=True)):
        return model
    new = _named(CompoundModel(model.op, *made), model.inputs, model.outputs, model.name)
    if model.has_user_inverse:
        new.inverse = model.inverse
    return new


def _from_pixels(wcs, regions):
    """Steps of a pipeline in which slices are told apart by the pixel.

    The transforms up to the last one that depends on the slice are put together for each slice;
    in those that follow the number of the slice is only passed along, and is left out.
    """
    from gwcs.selector import LabelMapperArray, RegionsSelector

    own = _last_by_slice(wcs)
    chain, name_at = {}, None
    for number in np.unique(regions[regions > 0]):
        name_at, total = 2, None
        for step in wcs.pipeline[:own]:
            part, name_at = _without_name(step.transform, int(number) - 1, name_at)
            total = part if total is None else total | part
        bind_bounding_box(total, _box_of(regions == number), order="F")
        chain[int(number)] = total
    outputs = tuple(f"y{k}" for k in range(total.n_outputs))
    selector = RegionsSelector(
        ("x", "y"), outputs, selector=chain, label_mapper=LabelMapperArray(regions.astype(int)),
        name="det2slicer",
    )  # fmt: skip
    steps = [(wcs.pipeline[0].frame, selector)]
    for step in wcs.pipeline[own:]:
        transform = step.transform
        if transform is not None:
            transform, name_at = _without_name(transform, 0, name_at)
        steps.append((step.frame, transform))
    return steps


def _last_by_slice(wcs):
    """Number of steps up to the last one that has a model for each slice."""
    for k in reversed(range(len(wcs.pipeline))):
        transform = wcs.pipeline[k].transform
        if transform is not None and any(hasattr(m, "slit_ids") for m in _leaves(transform)):
            return k + 1
    return 1


def _leaves(model):
    if getattr(model, "op", None) in (None, "fix_inputs"):
        return [model]
    return [*_leaves(model.left), *_leaves(model.right)]


def _without_name(transform, number, name_at):
    """The transform of one slice without its number, and where that is among the outputs."""
    if hasattr(transform, "get_model"):
        model = transform.get_model(number)
        outputs = tuple(transform.outputs)
        at = outputs.index("name") if "name" in outputs else None
        if model.n_outputs == transform.n_outputs and at is not None:
            model = model | _dropping(at, model.n_outputs)
        return model, at
    if name_at is None:
        return transform, None
    inputs, outputs = tuple(transform.inputs), tuple(transform.outputs)
    at = inputs.index("name") if "name" in inputs else name_at
    out = outputs.index("name") if "name" in outputs else None
    if out is None and transform.n_outputs == transform.n_inputs and "name" not in inputs:
        out = at
    model = fix_inputs(transform, {at: number})
    return (model if out is None else model | _dropping(out, transform.n_outputs)), out


def _dropping(at, n):
    return Mapping(tuple(k for k in range(n) if k != at), n_inputs=n)


def _box_of(mask):
    ends = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (0, 1))
    return tuple((first - 0.5, last + 0.5) for first, last in ends)


def _named(model, inputs, outputs, name):
    model.inputs, model.outputs, model.name = tuple(inputs), tuple(outputs), name
    return model
