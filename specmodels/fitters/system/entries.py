"""Entries of the pixels of all images: held where they are few, made anew where they are many.

Each pixel sees a few coefficients; what a fit needs of all of them is done part by part, a part
being some rows of an image. The entries of a large frame take more memory than all the rest, and
less time to make than to keep.
"""

from itertools import chain

import numpy as np
from scipy import sparse

from ...numerics.sparse_rows import image_of, transposed

__all__ = ["Entries"]

# Entries beyond this number (12 bytes each) are not held.
MOST_HELD = 2.4e7
# Pixels whose entries are made at once: of those that are held, and of others.
MADE_AT_ONCE, PIXELS_AT_ONCE = 12_288, 200_000


class Entries:
    """Coefficient numbers and values of the entries of each pixel.

    Parameters
    ----------
    make : callable
        ``make(number, rows)`` gives ``index`` and ``value``, both of shape (n_pixel, n_entry), of
        the pixels of some rows (a slice) of an image.
    shapes : sequence of tuple of int
        Shapes of the images, whose pixels are numbered one image after another.
    n : int
        Number of coefficients.
    """

    def __init__(self, make, shapes, n):
        self.make, self.shapes, self.n = make, list(shapes), n
        starts = np.cumsum([0, *(ny * nx for ny, nx in self.shapes)]).tolist()
        self.starts, self.n_pixel = starts[:-1], starts[-1]
        self._held = None
        parts = self._made(MADE_AT_ONCE)
        first = next(parts)
        if self.n_pixel * first[2].shape[1] <= MOST_HELD:
            self._held = _filled(self.n_pixel, chain([first], parts))

    def __getstate__(self):
        """State to pickle: the entries themselves, for what makes them cannot be pickled."""
        return {**vars(self), "make": None, "_held": self._all()}

    def of_image(self, number):
        """The entries of the pixels of one image alone."""
        one, start = Entries.__new__(Entries), self.starts[number]
        vars(one).update(vars(self))  # a copy would make all that is not held
        one.shapes, one.starts = [self.shapes[number]], [0]
        one.n_pixel = int(np.prod(self.shapes[number]))
        one.make = lambda _, rows: self.make(number, rows)
        if self.held:
            one._held = tuple(array[start : start + one.n_pixel] for array in self._held)
        return one

    @property
    def held(self):
        """Whether they are held."""
        return self._held is not None

    @property
    def index(self):
        """Coefficient numbers of all pixels, shape (n_pixel, n_entry)."""
        return self._all()[0]

    @property
    def value(self):
        """Values of all entries, shape (n_pixel, n_entry)."""
        return self._all()[1]

    def _all(self):
        if self.held:
            return self._held
        return _filled(self.n_pixel, self._made(MADE_AT_ONCE))

    def __iter__(self):
        """Slice of the pixels, index and value of each part."""
        if self.held:
            yield slice(0, self.n_pixel), *self._held
        else:
            yield from self._made(PIXELS_AT_ONCE)

    def _made(self, n_pixel):
        """As the iteration, with entries made anew of so many pixels at once."""
        for number, shape in enumerate(self.shapes):
            step = _rows_at_once(shape, n_pixel)
            for start in range(0, shape[0], step):
                yield self.rows(number, slice(start, min(start + step, shape[0])))

    def rows(self, number, rows):
        """Slice of the pixels, index and value of some rows of an image."""
        width = self.shapes[number][1]
        pixels = slice(self.starts[number] + rows.start * width,
                       self.starts[number] + rows.stop * width)  # fmt: skip
        found = self._held if self.held else None
        index, value = self.make(number, rows) if found is None else (f[pixels] for f in found)
        return pixels, index, value

    def between(self, first, end):
        """Parts of the rows from one to another, counted over all images."""
        done = 0
        for number, shape in enumerate(self.shapes):
            step = _rows_at_once(shape, PIXELS_AT_ONCE)
            for start in range(max(first - done, 0), min(end - done, shape[0]), step):
                yield self.rows(number, slice(start, min(start + step, end - done, shape[0])))
            done += shape[0]

    @property
    def row_numbers(self):
        """Row of each pixel, counted over all images, shape (n_pixel,)."""
        widths = np.repeat([nx for _, nx in self.shapes], [ny for ny, _ in self.shapes])
        return np.repeat(np.arange(float(len(widths))), widths)

    def image(self, coefficients):
        """Sum of the entries of each pixel times their coefficients, shape (n_pixel,)."""
        out = np.empty(self.n_pixel)
        for pixels, index, value in self:
            out[pixels] = image_of(index, value, coefficients)
        return out

    def transposed(self, pixels):
        """Sum over pixels of values, shape (n_pixel,), times entries, shape (n_coefficient,)."""
        out = np.zeros(self.n)
        for part, index, value in self:
            out += transposed(index, value, pixels[part], self.n)
        return out

    def gradient(self, weights, data, coefficients):
        """Transpose of the weighted data less their model: as the two before, in one pass."""
        out = np.zeros(self.n)
        for part, index, value in self:
            left = weights[part] * (data[part] - image_of(index, value, coefficients))
            out += transposed(index, value, left, self.n)
        return out

    def product(self, weights, coefficients):
        """Weighted normal matrix times coefficients, shape (n_coefficient,)."""
        out = np.zeros(self.n)
        for part, index, value in self:
            own = weights[part] * image_of(index, value, coefficients)
            out += transposed(index, value, own, self.n)
        return out

    def of_sums(self, sums):
        """Coefficients in sums of pixels, shape (n_sum, n); the sums, (n_sum, n_pixel), sparse."""
        out = np.zeros((sums.shape[0], self.n))
        for part, index, value in self:
            out += sums[:, part] @ _as_matrix(index, value, self.n)
        return out

    def see(self, coefficients):
        """Which pixels see any coefficient of a mask, shape (n_pixel,)."""
        out = np.empty(self.n_pixel, dtype=bool)
        for pixels, index, value in self:
            out[pixels] = ((value != 0) & coefficients[index]).any(axis=1)
        return out


def _as_matrix(index, value, n):
    """Entries of pixels, (n_pixel, n_entry), as a sparse matrix (n_pixel, n)."""
    ends = index.shape[1] * np.arange(len(index) + 1, dtype=index.dtype)
    return sparse.csr_array((value.ravel(), index.ravel(), ends), shape=(len(index), n))


def _rows_at_once(shape, n_pixel):
    return max(n_pixel // shape[1], 1)


def _filled(n_pixel, parts):
    """Entries of all parts, with room for as many as any pixel has."""
    index, value = np.zeros((n_pixel, 0), np.int32), np.zeros((n_pixel, 0))
    for pixels, *own in parts:
        more = own[0].shape[1] - index.shape[1]
        if more > 0:
            index, value = (np.pad(array, ((0, 0), (0, more))) for array in (index, value))
        width = own[0].shape[1]
        index[pixels, :width], value[pixels, :width] = own
    return index, value
