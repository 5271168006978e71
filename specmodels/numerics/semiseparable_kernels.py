"""Recursions over pixels in the order of time, see ``semiseparable``. Kernels only.

Arguments: ``block`` and ``gain``, both (n_pixel, n_part), the blocks of components of each pixel;
``step`` (n_pixel,), the number of the step from the pixel before, and ``power`` (n_step, n_decay),
its decays; ``amplitudes`` (n_block, n_decay); ``pivot`` (n_pixel,) and ``reach`` (n_pixel,
n_state), the factors. Vectors have the shape (n_pixel, n_vector).
"""

import numpy as np

from .compiled import compiled

__all__ = ["coloured", "correlated", "factorise", "inverse_generators", "solve"]


@compiled
def factorise(block, gain, step, power, amplitudes, variance):
    """Pivots and reaches of the Cholesky factor."""
    n, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    size = n_block * n_decay
    state = np.zeros((size, size))
    pivot, reach = np.full(n, np.inf), np.zeros((n, size))
    fall, product = np.empty(size), np.empty(size)
    for p in range(n):
        if p:
            for b in range(n_block):
                for j in range(n_decay):
                    fall[b * n_decay + j] = power[step[p], j]
            for i in range(size):
                for k in range(size):
                    state[i, k] *= fall[i] * fall[k]
        if not variance[p] < np.inf:
            continue
        product[:] = 0.0
        total = variance[p]
        for e in range(n_part):
            for j in range(n_decay):
                u = gain[p, e] * amplitudes[block[p, e], j]
                total += u * gain[p, e]
                row = block[p, e] * n_decay + j
                for i in range(size):
                    product[i] += state[row, i] * u
        for e in range(n_part):
            for j in range(n_decay):
                k = block[p, e] * n_decay + j
                total -= gain[p, e] * amplitudes[block[p, e], j] * product[k]
        pivot[p] = total
        for i in range(size):
            reach[p, i] = -product[i]
        for e in range(n_part):
            for j in range(n_decay):
                reach[p, block[p, e] * n_decay + j] += gain[p, e]
        for i in range(size):
            reach[p, i] /= total
        for i in range(size):
            w = reach[p, i] * total
            for k in range(size):
                state[i, k] += w * reach[p, k]
    return pivot, reach


@compiled
def _decay(state, power, n_block):
    n_decay = len(power)
    for b in range(n_block):
        for j in range(n_decay):
            row = b * n_decay + j
            for v in range(state.shape[1]):
                state[row, v] *= power[j]


@compiled
def solve(block, gain, step, power, amplitudes, pivot, reach, vectors):
    """Inverse times vectors."""
    n, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    n_vector, size = vectors.shape[1], n_block * n_decay
    out = np.zeros(vectors.shape)
    state = np.zeros((size, n_vector))
    for p in range(n):
        if p:
            _decay(state, power[step[p]], n_block)
        if pivot[p] == np.inf:
            continue
        for v in range(n_vector):
            out[p, v] = vectors[p, v]
        for e in range(n_part):
            for j in range(n_decay):
                u, row = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for v in range(n_vector):
                    out[p, v] -= u * state[row, v]
        for i in range(size):
            w = reach[p, i]
            for v in range(n_vector):
                state[i, v] += w * out[p, v]
    state[:] = 0.0
    for p in range(n - 1, -1, -1):
        if p < n - 1:
            _decay(state, power[step[p + 1]], n_block)
        if pivot[p] == np.inf:
            continue
        for v in range(n_vector):
            out[p, v] /= pivot[p]
        for i in range(size):
            w = reach[p, i]
            for v in range(n_vector):
                out[p, v] -= w * state[i, v]
        for e in range(n_part):
            for j in range(n_decay):
                u, row = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for v in range(n_vector):
                    state[row, v] += u * out[p, v]
    return out


@compiled
def coloured(block, gain, step, power, amplitudes, pivot, reach, vectors):
    """Cholesky factor, pivots included, times vectors; zero where there are no data."""
    n, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    n_vector, size = vectors.shape[1], n_block * n_decay
    out = np.zeros(vectors.shape)
    state = np.zeros((size, n_vector))
    for p in range(n):
        if p:
            _decay(state, power[step[p]], n_block)
        if pivot[p] == np.inf:
            continue
        root = np.sqrt(pivot[p])
        for v in range(n_vector):
            out[p, v] = root * vectors[p, v]
        for e in range(n_part):
            for j in range(n_decay):
                u, row = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for v in range(n_vector):
                    out[p, v] += u * state[row, v]
        for i in range(size):
            w = reach[p, i] * root
            for v in range(n_vector):
                state[i, v] += w * vectors[p, v]
    return out


@compiled
def correlated(block, gain, step, power, amplitudes, vectors):
    """Covariance without white noise times vectors, those of pixels without data included."""
    n, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    n_vector, size = vectors.shape[1], n_block * n_decay
    out = np.zeros(vectors.shape)
    state = np.zeros((size, n_vector))
    for p in range(n):  # what was read before, and the pixel itself
        if p:
            _decay(state, power[step[p]], n_block)
        for e in range(n_part):
            for j in range(n_decay):
                row, u = block[p, e] * n_decay + j, gain[p, e]
                for v in range(n_vector):
                    state[row, v] += u * vectors[p, v]
        for e in range(n_part):
            for j in range(n_decay):
                u, row = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for v in range(n_vector):
                    out[p, v] += u * state[row, v]
    state[:] = 0.0
    for p in range(n - 2, -1, -1):  # what was read after
        for e in range(n_part):
            for j in range(n_decay):
                row, u = block[p + 1, e] * n_decay + j, gain[p + 1, e]
                for v in range(n_vector):
                    state[row, v] += u * vectors[p + 1, v]
        _decay(state, power[step[p + 1]], n_block)
        for e in range(n_part):
            for j in range(n_decay):
                u, row = gain[p, e] * amplitudes[block[p, e], j], block[p, e] * n_decay + j
                for v in range(n_vector):
                    out[p, v] += u * state[row, v]
    return out


@compiled
def inverse_generators(block, gain, step, power, amplitudes, pivot, reach):
    """Diagonal of the inverse, and the row that each pixel applies to the state of those before.

    The state after a pixel is that before it, less ``reach`` times what the pixel sees of it, plus
    ``reach`` times its value; then it decays.
    """
    n, n_part = block.shape
    n_block, n_decay = amplitudes.shape
    size = n_block * n_decay
    gram = np.zeros((size, size))  # what all later pixels make of a state
    diagonal, rows = np.zeros(n), np.zeros((n, size))
    fall, product, seen = np.empty(size), np.empty(size), np.empty(size)
    for p in range(n - 1, -1, -1):
        if p < n - 1:
            for b in range(n_block):
                for j in range(n_decay):
                    fall[b * n_decay + j] = power[step[p + 1], j]
            for i in range(size):
                for k in range(size):
                    gram[i, k] *= fall[i] * fall[k]
        if pivot[p] == np.inf:
            continue
        product[:], seen[:] = 0.0, 0.0
        for i in range(size):
            for k in range(size):
                product[i] += gram[i, k] * reach[p, k]
        total = 0.0
        for i in range(size):
            total += reach[p, i] * product[i]
        for e in range(n_part):
            for j in range(n_decay):
                seen[block[p, e] * n_decay + j] += gain[p, e] * amplitudes[block[p, e], j]
        diagonal[p] = 1 / pivot[p] + total
        for i in range(size):
            rows[p, i] = product[i] - seen[i] * diagonal[p]
        for i in range(size):
            for k in range(size):
                gram[i, k] += (
                    seen[i] * seen[k] * diagonal[p] - seen[i] * product[k] - product[i] * seen[k]
                )
    return diagonal, rows
