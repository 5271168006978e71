"""The coefficients of a model on its images: their numbers, and what they repeat over."""

from copy import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...models.composition import cut_to, varying
from ...models.linear_leaf import LocalValues, repeats
from ...numerics.sparse_rows import append_entries

__all__ = ["Group", "Layout"]


@dataclass(frozen=True, eq=False)
class Group:
    """Coefficients of one elementary model.

    Attributes
    ----------
    leaf : `~astropy.modeling.Model`
        The elementary model.
    positions : ndarray of int, shape (n_terms,)
        Its linear parameters among those of the whole model.
    over : tuple of str
        What they repeat over.
    labels : tuple of ndarray
        The values of each of these, increasing: column numbers, lines, numbers of exposures.
    keys : list of ndarray
        For each image the number of the repetition of each pixel, broadcastable to its shape.
    first, stride : ndarray of int, shape (n_terms,)
        The coefficient of repetition ``k`` is ``first + k * stride``.
    factor, offset : ndarray, shape (n_terms,)
        The parameter is this factor times the coefficient plus the offset, where it is tied.
    """

    leaf: object
    positions: np.ndarray
    over: tuple
    labels: tuple
    keys: list
    first: np.ndarray
    stride: np.ndarray
    factor: np.ndarray
    offset: np.ndarray

    @property
    def shape(self):
        """Shape of the value of a parameter: one axis for each thing it repeats over."""
        return tuple(len(label) for label in self.labels)

    @property
    def size(self):
        """Number of repetitions."""
        return int(np.prod(self.shape, dtype=int))

    def put(self, values, coefficients):
        """Set values of parameters that do not repeat, in a list of all parameters."""
        own = coefficients[self.first] * self.factor + self.offset  # stock models need numpy's
        for k, value in zip(self.positions.tolist(), own, strict=True):
            values[k] = value

    def put_local(self, values, coefficients, key):
        """The same, as images by the repetition of each pixel where they repeat."""
        if not self.over:
            self.put(values, coefficients)
            return
        for term, k in enumerate(self.positions.tolist()):
            own = coefficients[self.first[term] + key * self.stride[term]]
            values[k] = np.where(key < 0, 0.0, own * self.factor[term] + self.offset[term])

    def gathered(self, coefficients, key, index):
        """Values of some terms in each pixel, shape (n_y, n_x, n_entry).

        Parameters
        ----------
        coefficients : ndarray
        key : ndarray of int
            Repetition of each pixel.
        index : ndarray of int, shape (..., n_entry)
            Numbers of the terms.
        """
        key = key[..., None]
        own = coefficients[self.first[index] + key * self.stride[index]]
        return np.where(key < 0, 0.0, own * self.factor[index] + self.offset[index])

    def numbers(self, term):
        """Coefficients of one term, shape (size,)."""
        return self.first[term] + self.stride[term] * np.arange(self.size)


class Layout:
    """Numbers of all coefficients of a model.

    Parameters
    ----------
    form : `~specmodels.models.linear_form.LinearForm`
        The model, with the ties of its linear parameters.
    rows : list of list of `~specmodels.models.linear_leaf.Rows`
        For each image those of the elementary models.
    images : list of `~specmodels.SpectralImage`
    batch : {"columns", None}
        None where nothing is to repeat.

    Raises
    ------
    ValueError
        If images do not have what a model repeats over, or a tie leads to no linear parameter that
        repeats over the same.
    """

    def __init__(self, form, rows, images, batch):
        self.form, self.groups, self.n_coefficient = form, [], 0
        for number in range(len(rows[0])):
            self.groups.append(self._group([own[number] for own in rows], images, batch))
        self.place = {int(k): (group, term) for group in self.groups
                      for term, k in enumerate(group.positions)}  # fmt: skip
        for k, tie in form.followers.items():
            if k in self.place:
                self._follow(k, tie)

    def _group(self, rows, images, batch):
        leaf, positions = rows[0].leaf, rows[0].positions
        over = () if batch is None else repeats(leaf)
        over = tuple(sorted(over, key=lambda name: name != "exposure"))
        if len(images) == 1:
            over = tuple(name for name in over if name != "exposure")
        codes = [[_code(name, image, number, own.inputs, leaf) for name in over]
                 for number, (image, own) in enumerate(zip(images, rows, strict=True))]  # fmt: skip
        labels = tuple(_labels([own[n] for own in codes]) for n in range(len(over)))
        keys = [_keys(own, labels) for own in codes]
        free = np.array([int(k) not in self.form.followers for k in positions])
        n_own, rank = np.count_nonzero(free), np.cumsum(free) - 1
        first = self.n_coefficient + rank
        size = int(np.prod([len(label) for label in labels], dtype=int))
        self.n_coefficient += n_own * size
        n = len(positions)
        return Group(leaf, positions, over, labels, keys, first, np.full(n, n_own), np.ones(n),
                     np.zeros(n))  # fmt: skip

    def _follow(self, k, tie):
        """Let a tied parameter use the coefficients of the one that it follows."""
        names = self.form.names
        group, term = self.place[k]
        factor, offset, seen = 1.0, 0.0, {k}
        while True:
            target = names.index(tie.name) if tie.name in names else None
            factor, offset = factor * tie.factor, offset + factor * tie.offset
            if target not in self.place or target in seen:
                raise ValueError(
                    f"model: {names[k]} cannot be tied to {tie.name!r}: expected another linear "
                    f"parameter that is free, of {[names[j] for j in self.form.linear]}"
                )
            seen.add(target)
            if target not in self.form.followers:
                break
            tie = self.form.followers[target]
        other, place = self.place[target]
        if other.shape != group.shape or other.over != group.over:
            raise ValueError(
                f"model: {names[k]} repeats over {group.over or 'nothing'}, and cannot be tied to "
                f"{names[target]}, which repeats over {other.over or 'nothing'}"
            )
        group.first[term], group.stride[term] = other.first[place], other.stride[place]
        group.factor[term], group.offset[term] = factor, offset

    def entries(self, rows, number, shape, region=(slice(None),) * 2):
        """Offset by ties, coefficient numbers and values of the entries of pixels of an image.

        Parameters
        ----------
        rows : list of Rows
            Of the pixels.
        number : int
            Of the image.
        shape : tuple of int
            Of the pixels.
        region : tuple of slice
            Their rows and columns in the image.

        Returns
        -------
        offset : ndarray or float
        index : ndarray of int32, shape (n_pixel, n_entry)
        value : ndarray, shape (n_pixel, n_entry)
        """
        seen = [(group, own) for group, own in zip(self.groups, rows, strict=True)
                if own.window is None or own.value.any()]  # fmt: skip
        width = sum(own.index.shape[-1] for _, own in seen)
        index, value = np.zeros((*shape, width), np.int32), np.zeros((*shape, width))
        filled, offset = np.zeros(shape, dtype=np.int64), 0.0
        for group, own in seen:
            window = own.window or (slice(0, shape[0]), slice(0, shape[1]))
            key = cut_to(cut_to(group.keys[number], region), window)
            size = [part.stop - part.start for part in window]
            append_entries(
                index, value, filled, (window[0].start, window[1].start, *size),
                _in_three(own.index, np.int64), _in_three(own.value, float), key,
                (group.first, group.stride, group.factor),
            )  # fmt: skip
            if group.offset.any():
                held = np.sum(own.value * group.offset[own.index], axis=-1)
                offset = offset + np.zeros(shape)
                offset[window] += np.where(key < 0, 0.0, held)
        width = int(filled.max(initial=0))
        return offset, *(array.reshape(filled.size, -1)[:, :width] for array in (index, value))

    def of_image(self, number):
        """The same coefficients as the pixels of one image see them."""
        one = copy(self)
        one.groups = [replace(group, keys=[group.keys[number]]) for group in self.groups]
        one.place = {int(k): (group, term) for group in one.groups
                     for term, k in enumerate(group.positions)}  # fmt: skip
        return one

    def values(self, coefficients, base):
        """Values of all parameters: those of `base`, and the linear ones in their own shapes."""
        out = list(base)
        for group in self.groups:
            if not group.over:
                group.put(out, coefficients)
                continue
            for term, k in enumerate(group.positions):
                own = coefficients[group.numbers(term)] * group.factor[term] + group.offset[term]
                out[k] = own.reshape(group.shape)
        return out

    def in_region(self, coefficients, base, number, region):
        """As `values`, of the pixels in some rows and columns of an image, as `LocalValues`."""
        keys = [cut_to(group.keys[number], region) for group in self.groups]
        return self._local(coefficients, base, keys)

    def at(self, coefficients, base, number, row, column):
        """The same, at pixels of an image by their place."""
        keys = [_at(group.keys[number], row, column) for group in self.groups]
        return self._local(coefficients, base, keys)

    def _local(self, coefficients, base, keys):
        """Values of all parameters at pixels, from the repetitions that they are of."""
        out, terms = list(base), {}
        for group, key in zip(self.groups, keys, strict=True):
            if group.over and hasattr(group.leaf, "local_basis"):
                terms[int(group.positions[0])] = partial(group.gathered, coefficients, key)
            else:
                group.put_local(out, coefficients, key)
        return LocalValues(out, terms)

    def local(self, coefficients, base, number):
        """As `values`, as images of the pixels of an image where they repeat."""
        out = list(base)
        for group in self.groups:
            group.put_local(out, coefficients, group.keys[number])
        return out

    def name(self, coefficient):
        """Name of a coefficient: that of its parameter, and what it repeats over."""
        for group in self.groups:
            for term, k in enumerate(group.positions):
                numbers = group.numbers(term)
                found = np.flatnonzero(numbers == coefficient)
                if found.size and k not in self.form.followers:
                    place = np.unravel_index(found[0], group.shape) if group.over else ()
                    where = [f"{name} {label[p]:g}" for name, label, p
                             in zip(group.over, group.labels, place, strict=True)]  # fmt: skip
                    return self.form.names[k] + (f" ({', '.join(where)})" if where else "")
        raise IndexError(f"no coefficient {coefficient}")


def _code(name, image, number, inputs, leaf):
    """What pixels repeat by, as an array that broadcasts to the shape of the image."""
    if name == "exposure":
        return np.full((1, 1), float(number))
    if name in ("column", "row"):
        return np.asarray(image.coordinate("x" if name == "column" else "y"), dtype=float)
    if name in image.coordinates:
        return image.coordinates[name]
    if name in ("line", "output"):
        return np.zeros((1, 1)) if name == "output" else _line(inputs, image, leaf)
    values = np.asarray(image.coordinate(name), dtype=float)
    if not np.isfinite(values).all():
        raise ValueError(f"image {image.name!r}: expected {name!r} to be known in all pixels")
    return values


def _line(inputs, image, leaf):
    """Lines where no readout is known: they run along the axis on which the model varies."""
    shapes = {np.shape(values) for values in inputs}
    if all(len(shape) == 2 and shape[0] == 1 for shape in shapes):
        return np.asarray(image.coordinate("y"))
    if all(len(shape) == 2 and shape[1] == 1 for shape in shapes):
        return np.asarray(image.coordinate("x"))
    raise ValueError(
        f"{leaf.name or type(leaf).__name__}: repeats over lines; expected an image with a readout,"
        f" or a model whose lines run along rows or along columns"
    )


def _in_three(array, dtype):
    """An array of shape (..., n_entry) as one with rows and columns, packed."""
    shape = (1,) * (3 - np.ndim(array)) + np.shape(array)
    return np.ascontiguousarray(np.reshape(array, shape), dtype=dtype)


def _labels(codes):
    found = np.unique(np.concatenate([np.unique(code) for code in codes]))
    return found[np.isfinite(found)]


def _keys(codes, labels):
    """Number of the repetition of each pixel, from what it repeats by."""
    key = np.zeros((1, 1), dtype=np.int64)
    known = True
    for code, label in zip(codes, labels, strict=True):
        key = key * len(label) + np.searchsorted(label, code)
        known = known & np.isfinite(code)
    return varying(np.where(known, key, -1))


def _at(key, row, column):
    """Repetition of pixels, from an array that may have one row or column only."""
    return key[np.where(key.shape[0] == 1, 0, row), np.where(key.shape[1] == 1, 0, column)]
