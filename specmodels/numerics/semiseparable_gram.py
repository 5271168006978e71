"""Normal matrix of sparse rows whose pixels have correlated noise: see ``semiseparable``.

The rows times the inverse covariance would be dense. Instead the pixels are gone through in the
order of time with a state of a dozen numbers for each coefficient, which says all that earlier
pixels have to do with later ones. Within a chunk of pixels only the coefficients that it sees have
a part; its product with the state before it is one matrix product.
"""

import numpy as np

from .compiled import compiled
from .sparse_rows import normal_equations

__all__ = ["gram"]

CHUNK = 64


def gram(noise, index, value, n):
    """Normal matrix, shape (n, n), in the metric of a covariance.

    Parameters
    ----------
    noise : `~specmodels.numerics.semiseparable.Semiseparable`
    index, value : ndarray, shape (n_pixel, n_entry)
        Coefficient numbers and values of each pixel.
    n : int
        Number of coefficients.

    Returns
    -------
    ndarray, shape (n, n)
    """
    index, value = index[noise.order], value[noise.order]
    diagonal, rows = noise.inverse_generators
    n_state = rows.shape[1]
    out, state = np.zeros((n, n)), np.zeros((n_state, n))
    for start in range(0, len(index), CHUNK):
        part = slice(start, start + CHUNK)
        used = np.isfinite(noise.pivot[part])[:, None] & (value[part] != 0)
        some, place = np.unique(index[part][used], return_inverse=True)
        local = np.zeros(used.shape, dtype=np.int64)
        local[used] = place
        passed, seen, own, matrix = _chunk(
            local, np.where(used, value[part], 0.0), noise.block[part], noise.gain[part],
            noise.step[part], noise.power, noise.amplitudes, noise.pivot[part],
            noise.reach[part], rows[part], len(some),
        )  # fmt: skip
        if len(some):
            found = seen.T @ state
            found[:, some] += matrix
            out[some] += found
        state = passed @ state
        state[:, some] += own
    out += out.T
    none = np.arange(n)
    out += normal_equations(index, value, diagonal, none, 0, 0, n)[2]
    return out


@compiled
def _chunk(index, value, block, gain, step, power, amplitudes, pivot, reach, rows, n):
    """What a chunk of pixels does to the state before it, sees of it, adds to it, and has itself.

    Returns arrays of shape (n_state, n_state), (n_state, n), (n_state, n) and (n, n).
    """
    n_pixel, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    size, n_entry = n_block * n_decay, index.shape[1]
    passed, seen = np.eye(size), np.zeros((size, n))
    own, matrix = np.zeros((size, n)), np.zeros((n, n))
    old, new, sight, row = np.empty(size), np.empty(size), np.empty(n), np.empty(n)
    for p in range(n_pixel):
        for b in range(n_block):
            for j in range(n_decay):
                fall, k = power[step[p], j], b * n_decay + j
                for i in range(size):
                    passed[k, i] *= fall
                for i in range(n):
                    own[k, i] *= fall
        if pivot[p] == np.inf:
            continue
        old[:], new[:], sight[:], row[:] = 0.0, 0.0, 0.0, 0.0
        for k in range(size):
            w = rows[p, k]
            for i in range(size):
                old[i] += w * passed[k, i]
            for i in range(n):
                row[i] += w * own[k, i]
        for e in range(n_entry):
            a = value[p, e]
            if a != 0.0:
                for i in range(n):
                    matrix[index[p, e], i] += a * row[i]
                for k in range(size):
                    seen[k, index[p, e]] += a * old[k]
        for e in range(n_part):
            for j in range(n_decay):
                u, k = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for i in range(size):
                    new[i] += u * passed[k, i]
                for i in range(n):
                    sight[i] += u * own[k, i]
        for k in range(size):
            w = reach[p, k]
            for i in range(size):
                passed[k, i] -= w * new[i]
            for i in range(n):
                own[k, i] -= w * sight[i]
            for e in range(n_entry):
                own[k, index[p, e]] += w * value[p, e]
    return passed, seen, own, matrix
