"""Sums over boxes of an image with masked pixels, and masks grown by boxes: compiled passes."""

import numpy as np

from .compiled import compiled

__all__ = ["box_sums", "grown"]


def box_sums(image, good, box, cell):
    """Sums of the good pixels of boxes about each cell of an image, and their numbers.

    Parameters
    ----------
    image : ndarray of float32, shape (n_y, n_x)
    good : ndarray of bool, same shape
    box, cell : (int, int)
        Heights and widths of boxes and of cells, in pixels; a box has a whole number of cells,
        about.

    Returns
    -------
    total, number : ndarray of float32, shape (n_cell_y, n_cell_x)
        The last cells are cut, and so are boxes at the edges.
    """
    shape = tuple(-(-n // c) for n, c in zip(image.shape, cell, strict=True))
    total, number = np.zeros((2, *shape), "f4")
    _cells(np.ascontiguousarray(image, "f4"), np.ascontiguousarray(good), *cell, total, number)
    size = tuple(max(1, round(b / c)) for b, c in zip(box, cell, strict=True))
    if max(size) == 1:
        return total, number
    return _moving(total, *size), _moving(number, *size)


def grown(mask, radii):
    """A mask, shape (n_y, n_x), whose pixels are grown to boxes of these half heights and widths.

    Runs are doubled until they are as long as the box.
    """
    for axis, radius in enumerate(radii):
        radius = min(int(radius), mask.shape[axis] - 1)
        if radius > 0:
            turned = _run(mask.swapaxes(0, axis), radius)
            mask = _run(turned[::-1], radius)[::-1].swapaxes(0, axis)
    return mask


def _run(mask, length):
    """The mask with each pixel grown by a run of pixels that follow along the first axis."""
    out, done = mask.copy(order="K"), 0
    while done < length:
        step = min(done + 1, length - done)
        out[step:] |= out[:-step].copy(order="K")
        done += step
    return out


@compiled
def _add(total, values):
    """Add values to sums, in place; apart, so that the loop is vectorised."""
    for k in range(total.size):
        total[k] += values[k]


@compiled
def _add_good(values, good, total, number):
    """Add good values to sums, and one to their numbers, in place."""
    for k in range(total.size):
        total[k] += values[k] if good[k] else np.float32(0)
        number[k] += good[k]


@compiled
def _cells(image, good, height, width, total, number):
    """Add the good pixels to the sums and numbers of their cells."""
    n_y, n_x = image.shape
    sums, numbers = np.empty(n_x, np.float32), np.empty(n_x, np.float32)
    for row in range(total.shape[0]):
        sums[:], numbers[:] = 0, 0
        for y in range(row * height, min((row + 1) * height, n_y)):
            _add_good(image[y], good[y], sums, numbers)
        for x in range(n_x):
            total[row, x // width] += sums[x]
            number[row, x // width] += numbers[x]


@compiled
def _moving(values, height, width):
    """Sums over a window that moves by one; nothing outside."""
    n_y, n_x = values.shape
    across, out = np.zeros_like(values), np.zeros_like(values)
    for y in range(n_y):
        for shift in range(-(width // 2), width - width // 2):
            low, high = max(0, -shift), min(n_x, n_x - shift)
            if low < high:
                _add(across[y, low:high], values[y, low + shift : high + shift])
    for y in range(n_y):
        for k in range(max(0, y - height // 2), min(n_y, y + height - height // 2)):
            _add(out[y], across[k])
    return out
