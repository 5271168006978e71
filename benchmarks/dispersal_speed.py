"""Dispersal of sources with known spectra, against the algorithm of grizli's kernel.

Twenty sources of 32 x 32 pixels, whose light moves by a thousand pixels, tilted by as much as that
of several real grisms. grizli is not needed: its `disperse_grism_object` is written anew here, from
what it does: each pixel of a segment is moved along by whole pixels, and shared between two rows by
a fraction that is the same for all of the source. Both get paths, responses and squares as they
want them, made beforehand; the truth is sampled at twenty wavelengths a pixel. CPU seconds of one
thread.
"""

from functools import partial

import numba
import numpy as np

from specmodels.numerics.dispersal import Squares, Steps, Traces, disperse, dispersed_image

from .measure import costs

SHAPE, SIZE, LENGTH, LIMITS = (700, 1300), 32, 1000, (1.0, 2.0)
TILTS = (0.0, 1.0, 3.0)  # degrees
STRETCH = 3e-5  # relative change of the dispersion from one pixel of the direct image to the next


def run(*, quick=False):
    """Rows of the table, one for each tilt."""
    return [row(tilt, 3 if quick else 9) for tilt in TILTS[: 2 if quick else None]]


def row(tilt, repeat):
    """Seconds, and errors relative to the peak of the truth."""
    light, origin = sources(np.random.default_rng(7))
    path = tilted(tilt)
    squares = Squares(*light)
    traces = Traces.through(path, squares.boxes(), LIMITS, n_wave_nodes=3)
    truth = sampled(squares, traces, 20)
    arguments = peer_arguments(path, origin)
    calls = {"grizli": partial(peer_image, light, arguments)}
    for per_pixel in (1, 2):
        steps, values = table(per_pixel)
        calls[per_pixel] = partial(dispersed_image, squares, traces, steps, values, SHAPE)
    found = costs(calls, repeat=repeat)
    peer = found.pop("grizli")
    out = {"tilt (degrees)": tilt, "grizli's algorithm": peer.cpu,
           "its error": error(peer.result, truth)}  # fmt: skip
    for per_pixel, cost in found.items():
        name = f"{per_pixel} step{'s' if per_pixel > 1 else ''} a pixel"
        out |= {name: cost.cpu, f"{name}, error": error(cost.result, truth),
                f"{name}, ratio": peer.cpu / cost.cpu}  # fmt: skip
    return out


def error(image, truth):
    """Largest error relative to the peak."""
    return np.abs(image - truth).max() / truth.max()


def spectrum(scaled):
    """Counts of unit light for a unit of the scaled wavelength: a band with a slope and lines."""
    lines = sum(np.exp(-0.5 * ((scaled - at) / 0.004) ** 2) for at in (-0.5, 0.1, 0.62))
    return np.clip((0.97 - np.abs(scaled)) / 0.03, 0, 1) * (1 + 0.3 * scaled + 4 * lines)


def sources(rng):
    """Arguments of `Squares` for round sources, and the pixel that each is around."""
    near = np.arange(SIZE) - SIZE // 2
    x, y, light, origins = [], [], [], []
    for _ in range(20):
        at = rng.integers((40, 60), (240, 600))
        center, sigma = at + rng.uniform(-0.5, 0.5, 2), rng.uniform(1.0, 5.0)
        grid_y, grid_x = np.meshgrid(at[1] + near, at[0] + near, indexing="ij")
        far = (grid_x - center[0]) ** 2 + (grid_y - center[1]) ** 2
        x.append(grid_x.ravel())
        y.append(grid_y.ravel())
        light.append(np.exp(-0.5 * far.ravel() / sigma**2))
        origins.append(at)
    x, y = (np.concatenate(parts).astype(float) for parts in (x, y))
    start = SIZE**2 * np.arange(21)
    return (x, y, np.concatenate(light)[None], np.full(x.size, 0.5), start), np.array(origins)


def tilted(degrees):
    """Path of light that is a little longer on one side of the field than on the other."""

    def path(x, y, wavelength):
        along = LENGTH * (wavelength - 1) * (1 + STRETCH * (x - 140))
        return x + 5 + along, y + np.tan(np.radians(degrees)) * along

    return path


def table(per_pixel):
    """Steps of wavelength, and the counts of all sources in each."""
    n = 2 * LENGTH * per_pixel
    scaled = (2 * np.arange(n) + 1) / n - 1
    values = np.tile(spectrum(scaled) * 2 / n, (20, 1))
    return Steps.of(scaled, np.ones((n, 1)), width=2 / n, per_pixel=per_pixel), values


def sampled(squares, traces, per_pixel):
    """The truth: light of single wavelengths, as many as that for each pixel."""
    n = LENGTH * per_pixel
    scaled = (2 * np.arange(n) + 1) / n - 1
    steps = Steps.of(scaled, spectrum(scaled)[:, None] * 2 / n)
    columns = disperse(squares, traces, steps, SHAPE)
    return np.asarray(columns.sum(axis=1)).reshape(SHAPE)


def peer_arguments(path, origins):
    """Of each source: first column, rows, shares of the lower row, counts, by pixel of the path."""
    out = []
    for x, y in origins:
        length = LENGTH * (1 + STRETCH * (x - 140))
        columns = np.arange(5, 6 + int(np.ceil(length)))
        # A pixel holds what moves by half a pixel less to half a pixel more.
        wavelength = 1 + (columns - 5) / length
        row = path(x, y, wavelength)[1] - y
        fine = wavelength[:, None] + ((np.arange(8) + 0.5) / 8 - 0.5) / length
        counts = spectrum(2 * fine - 3).mean(axis=1) * 2 / length
        low = np.floor(row).astype(np.int64)
        out.append((int(x), int(y), columns, low, 1 - (row - low), counts))
    return out


def peer_image(light, arguments):
    """Image of all sources by grizli's algorithm."""
    image = np.zeros(SHAPE)
    for k, (x, y, columns, rows, share, counts) in enumerate(arguments):
        own = light[2][0, k * SIZE**2 : (k + 1) * SIZE**2].reshape(SIZE, SIZE)
        _move(own, x - SIZE // 2, y - SIZE // 2, columns, rows, share, counts, image)
    return image


@numba.njit(cache=True)
def _move(light, x, y, columns, rows, share, counts, image):
    n_y, n_x = image.shape
    for i in range(light.shape[1]):
        for j in range(light.shape[0]):
            value = light[j, i]
            if value == 0:
                continue
            for k in range(columns.size):
                column, row = x + i + columns[k], y + j + rows[k]
                if 0 <= column < n_x and 0 <= row < n_y - 1:
                    image[row, column] += counts[k] * value * share[k]
                    image[row + 1, column] += counts[k] * value * (1 - share[k])
