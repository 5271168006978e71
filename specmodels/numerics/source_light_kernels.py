"""Compiled sums of `source_light`: Gaussians of all sources in their pixels, and what fits need.

Entries, a pixel of a source each, are sorted by source; Gaussians of a source have one centre.
"""

import numpy as np

from .compiled import compiled

__all__ = ["block_sums", "gaussians", "parts_of_pixels", "step_sums"]

FAR = 1400.0  # squared distance in standard deviations at which a Gaussian is zero


@compiled
def gaussians(rows, columns, start, ellipses, inverses, norm):
    """Gaussians of unit flux in each entry, (n_entry, n_width).

    `ellipses` are (5, n_source), centres first; `inverses`, (3, n_source, n_width), of the
    covariance along x, along y and of both; `norm` is (n_source, n_width).
    """
    n_width = norm.shape[1]
    out = np.zeros((rows.size, n_width))
    for s in range(start.size - 1):
        for e in range(start[s], start[s + 1]):
            x, y = columns[e] - ellipses[0, s], rows[e] - ellipses[1, s]
            for k in range(n_width):
                squared = inverses[0, s, k] * x * x + inverses[1, s, k] * y * y
                squared += 2 * inverses[2, s, k] * x * y
                if squared < FAR:
                    out[e, k] = np.exp(-0.5 * squared) * norm[s, k]
    return out


@compiled
def parts_of_pixels(rows, columns, start, ellipses, inverses, flux, n):
    """Light of sources in n x n parts of each pixel, (n_entry, n, n); `flux` times the norm.

    From part to part a Gaussian changes by a factor, which itself changes by one.
    """
    out, size = np.zeros((rows.size, n, n)), 1.0 / n
    for s in range(start.size - 1):
        for k in range(flux.shape[1]):
            xx, yy, xy = inverses[0, s, k], inverses[1, s, k], inverses[2, s, k]
            again_x, again_y = np.exp(-xx * size * size), np.exp(-yy * size * size)
            across = np.exp(-xy * size * size)
            for e in range(start[s], start[s + 1]):
                x = columns[e] - ellipses[0, s] + 0.5 * size - 0.5
                y = rows[e] - ellipses[1, s] + 0.5 * size - 0.5
                along_x, along_y = xx * x + xy * y, xy * x + yy * y
                squared = along_x * x + along_y * y
                if squared >= FAR:
                    continue
                first = flux[s, k] * np.exp(-0.5 * squared)
                up = np.exp(-size * along_y - 0.5 * yy * size * size)
                right = np.exp(-size * along_x - 0.5 * xx * size * size)
                for i in range(n):
                    value, factor = first, right
                    for j in range(n):
                        out[e, i, j] += value
                        value *= factor
                        factor *= again_x
                    first *= up
                    up *= again_y
                    right *= across
    return out


@compiled
def block_sums(values, weights, start, pairs, block, n_block):
    """Sums over pixels of products of Gaussians: (n_block, n_width, n_width).

    Of each source with itself first, then of pairs of entries of one pixel, (n_pair, 2), in the
    block of each.
    """
    n_width = values.shape[1]
    out = np.zeros((n_block, n_width, n_width))
    for s in range(start.size - 1):
        for e in range(start[s], start[s + 1]):
            for a in range(n_width):
                weighted = weights[e] * values[e, a]
                for b in range(n_width):
                    out[s, a, b] += weighted * values[e, b]
    for p in range(block.size):
        one, other = pairs[p]
        for a in range(n_width):
            weighted = weights[one] * values[one, a]
            for b in range(n_width):
                out[block[p], a, b] += weighted * values[other, b]
    return out


@compiled
def step_sums(rows, columns, start, ellipses, inverses, flux, widths, weights, residual, scale):
    """Normal equations of ellipses and flux of each source: (n_source, 6, 6), (n_source, 6).

    Of centre in x and y, variances and covariance, in units of `scale`, (5, n_source), and of the
    flux, relative; `flux` times the norm of each Gaussian, `widths` relative to the ellipse's.
    """
    n_source, n_width = flux.shape
    matrix, gradient, slope = np.zeros((n_source, 6, 6)), np.zeros((n_source, 6)), np.empty(6)
    for s in range(n_source):
        for e in range(start[s], start[s + 1]):
            if weights[e] == 0:
                continue
            dx, dy = columns[e] - ellipses[0, s], rows[e] - ellipses[1, s]
            slope[:] = 0.0
            for k in range(n_width):
                xx, yy, xy = inverses[0, s, k], inverses[1, s, k], inverses[2, s, k]
                x, y = xx * dx + xy * dy, xy * dx + yy * dy
                squared = x * dx + y * dy
                if squared >= FAR:
                    continue
                light = np.exp(-0.5 * squared) * flux[s, k]
                wide = light * widths[k] * widths[k]
                slope[0] += light * x
                slope[1] += light * y
                slope[2] += 0.5 * wide * (x * x - xx)
                slope[3] += 0.5 * wide * (y * y - yy)
                slope[4] += wide * (x * y - xy)
                slope[5] += light
            for i in range(5):
                slope[i] *= scale[i, s]
            for i in range(6):
                weighted = weights[e] * slope[i]
                gradient[s, i] += weighted * residual[e]
                for j in range(i + 1):
                    matrix[s, i, j] += weighted * slope[j]
        for i in range(6):
            for j in range(i):
                matrix[s, j, i] = matrix[s, i, j]
    return matrix, gradient
