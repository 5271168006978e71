"""Paths of light from boxes of a direct image to a detector, as polynomials."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Traces", "chebyshev_nodes", "defined_range"]

NODES = 3  # of the displacement along each side of a box
# Wavelengths at which paths are probed that are not defined everywhere, and the least part of the
# range, scaled to a length of two, from which a path can be told.
PROBES, LEAST_DEFINED = 129, 0.1
# Halvings of the distance of probes at the ends; and the part of its range by which a path that all
# of a source has is continued to where that of its middle ends.
BISECTIONS, MOST_BEYOND = 16, 0.25


@dataclass(frozen=True, eq=False)
class Traces:
    """Displacement of light as polynomials of position in the source's box and of wavelength.

    Attributes
    ----------
    boxes : ndarray, shape (n_source, 4)
        As of `Squares.boxes`.
    coefficients : ndarray, shape (n_source, 2, n_wave_power, 3, 3)
        Of the displacement in x and in y, by powers of the scaled wavelength, y and x.
    defined : ndarray, shape (n_source, 2)
        Range of the scaled wavelength in which the path is defined: light of others is left out.
    """

    boxes: np.ndarray
    coefficients: np.ndarray
    defined: np.ndarray

    @classmethod
    def through(cls, transform, boxes, limits, *, n_wave_nodes=5):
        """Interpolate a transform on a grid of Chebyshev nodes over each box.

        Parameters
        ----------
        transform : callable
            ``transform(x, y, wavelength) -> (x, y)`` of flat arrays.
        boxes : ndarray, shape (n_source, 4)
        limits : tuple of float
            First and last wavelength.
        n_wave_nodes : int
            Nodes along wavelength.
        """
        defined = np.tile([-1.0, 1.0], (len(boxes), 1))
        coefficients = _interpolated(transform, boxes, limits, defined, n_wave_nodes)
        lost = np.flatnonzero(~np.isfinite(coefficients).all(axis=(1, 2, 3, 4)))
        if lost.size:
            defined[lost], everywhere = _defined_in_boxes(transform, boxes[lost], limits)
            told = np.diff(everywhere, axis=1)[:, 0] > LEAST_DEFINED
            lost, everywhere = lost[told], everywhere[told]
            coefficients[lost] = _interpolated(
                transform, boxes[lost], limits, everywhere, n_wave_nodes
            )
        return cls(boxes, coefficients, defined)


def _defined_in_boxes(transform, boxes, limits):
    """Ranges in which paths from boxes are defined, and in which they are from all of a box.

    Returns
    -------
    defined, everywhere : ndarray, shape (n_source, 2)
        The first is that of the centre, which no path may be told beyond by more than a part.
    """
    x, y, width, height = boxes.T
    middle = defined_range(transform, x, y, limits)
    corners = [defined_range(transform, x + a * width, y + b * height, limits)
               for a in (-1, 1) for b in (-1, 1)]  # fmt: skip
    low = np.max([one[:, 0] for one in (middle, *corners)], axis=0)
    high = np.min([one[:, 1] for one in (middle, *corners)], axis=0)
    everywhere = np.stack([low, np.maximum(low, high)], axis=1)
    beyond = MOST_BEYOND * np.diff(everywhere, axis=1)
    return np.clip(middle, everywhere[:, :1] - beyond, everywhere[:, 1:] + beyond), everywhere


def _interpolated(transform, boxes, limits, defined, n_wave_nodes):
    """Coefficients as of `Traces`, from nodes within the range in which each path is defined."""
    node, inverse = chebyshev_nodes(NODES)
    wave_node, _ = chebyshev_nodes(n_wave_nodes)
    shape = (len(boxes), n_wave_nodes, NODES, NODES)
    scaled = defined.mean(axis=1)[:, None] + 0.5 * np.diff(defined, axis=1) * wave_node
    powers = np.linalg.inv(scaled[..., None] ** np.arange(n_wave_nodes))
    x = boxes[:, 0, None] + boxes[:, 2, None] * node
    y = boxes[:, 1, None] + boxes[:, 3, None] * node
    wave = np.mean(limits) + (limits[1] - limits[0]) / 2 * scaled
    x = np.broadcast_to(x[:, None, None, :], shape)
    y = np.broadcast_to(y[:, None, :, None], shape)
    wave = np.broadcast_to(wave[:, :, None, None], shape)
    moved = transform(x.ravel(), y.ravel(), wave.ravel())
    shifts = np.stack([np.reshape(moved[0], shape) - x, np.reshape(moved[1], shape) - y], 1)
    return np.einsum("sla,pb,qc,sdabc->sdlpq", powers, inverse, inverse, shifts, optimize=True)


def defined_range(transform, x, y, limits):
    """Longest range of wavelengths, scaled to -1 to 1, in which light of places has a path.

    Parameters
    ----------
    transform, limits
        As of `Traces.through`.
    x, y : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n, 2)
        Two equal numbers where there is none.
    """

    def good(scaled):
        wave = np.mean(limits) + (limits[1] - limits[0]) / 2 * scaled
        places = np.broadcast_arrays(x[:, None], y[:, None], wave)
        moved = transform(*(place.ravel() for place in places))
        return np.isfinite(np.sum(moved, axis=0)).reshape(wave.shape)

    scaled = np.linspace(-1, 1, PROBES)
    seen = good(np.broadcast_to(scaled, (len(x), PROBES)))
    count, longest, last = (np.zeros(len(x), int) for _ in range(3))
    for k in range(PROBES):
        count = np.where(seen[:, k], count + 1, 0)
        longer = count > longest
        longest[longer], last[longer] = count[longer], k
    first = np.maximum(last - longest + 1, 0)
    inner = scaled[np.stack([first, last], axis=1)]
    outer = scaled[np.clip(np.stack([first - 1, last + 1], axis=1), 0, PROBES - 1)]
    inner[longest == 0] = outer[longest == 0] = 0.0
    for _ in range(BISECTIONS):
        between = (inner + outer) / 2
        there = good(between)
        inner, outer = np.where(there, between, inner), np.where(there, outer, between)
    return inner


def chebyshev_nodes(n):
    """Chebyshev nodes, and the matrix from values there to coefficients of powers."""
    nodes = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    return nodes, np.linalg.inv(np.vander(nodes, increasing=True))
