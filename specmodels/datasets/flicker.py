"""A detector read by several outputs at once, with flicker noise, sources and a sloping sky."""

from dataclasses import dataclass

import numpy as np

from ..numerics.correlated import CorrelatedSystem, TimeGrid
from ..numerics.noise_spectrum import PowerLaws
from ..numerics.readout import Readout
from ..ramp import Ramp

__all__ = ["FlickerTruth", "make_flicker"]


@dataclass(frozen=True, eq=False)
class FlickerTruth:
    """What was put into a simulated detector.

    Attributes
    ----------
    noise : ndarray, shape of the data
        Flicker noise of the image, or of each read of the ramp.
    light, background : ndarray, shape (n_y, n_x)
        Light of the sources and of the sky, per group.
    hits : ndarray of bool, shape of the data
        Groups in which cosmic rays arrived; they are flagged.
    laws : `~specmodels.numerics.noise_spectrum.PowerLaws`
        Spectra of the noise.
    """

    noise: np.ndarray
    light: np.ndarray
    background: np.ndarray
    hits: np.ndarray
    laws: PowerLaws


def make_flicker(
    *, seed=0, rng=None, shape=(256, 512), n_integrations=1, n_groups=None, n_outputs=4, common=0.1,
    separate=0.03, alternating=0.005, n_sources=20, peak=100.0, sky=5.0, gain=2.0,
    hit_fraction=2e-4, bad_fraction=0.005, saturation=np.inf,
):  # fmt: skip
    """Simulate an image of the sky, or a ramp, with 1/f noise; white noise has a variance of one.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    rng : `~numpy.random.Generator` or anything that makes one, optional
        Random numbers, in place of those of the seed.
    shape : tuple of int
        Rows and columns; lines are read along rows.
    n_integrations, n_groups : int, optional
        Of a ramp; without a number of groups, an image is drawn.
    n_outputs : int
        Outputs read at the same time, neighbours in opposite directions.
    common, separate, alternating : float
        Power at the highest frequency of the 1/f noise that all outputs share, that each has for
        itself, and that changes its sign from pixel to pixel.
    n_sources : int
        Number of point sources with wide wings.
    peak : float
        Brightest pixel of the brightest one; each has 0.8 times the light of the one before.
    sky : float
        Level of the sky, which rises by a tenth along the rows.
    gain : float
        Electrons per unit, for photon noise.
    hit_fraction, bad_fraction : float
        Part of the pixels of a group struck by cosmic rays, and of pixels that are bad throughout.
    saturation : float
        Level above which reads of a ramp are saturated.

    Returns
    -------
    ramp : `~specmodels.ramp.Ramp`
    truth : `FlickerTruth`
    """
    rng = np.random.default_rng(seed if rng is None else rng)
    readout = Readout(fast_axis=-1, n_outputs=n_outputs, line_overhead=12)
    laws = PowerLaws((common, 1.0), (separate, 1.0), (alternating, 1.0), 1.0)
    light = _light(shape, n_sources, peak, rng)
    background = sky * (1 + 0.1 * np.linspace(0, 1, shape[1])) * np.ones((shape[0], 1))
    frames = shape if n_groups is None else (n_integrations, n_groups, *shape)
    noise = _noise(frames, readout, laws, rng)
    photons = rng.poisson(np.broadcast_to((light + background) * gain, frames)) / gain
    hits = rng.random(frames) < hit_fraction
    bad = rng.random(shape) < bad_fraction
    if n_groups is None:
        hits[...] = False
        data = photons + noise + rng.normal(size=shape)
        variance = 1 + (light + background) / gain
        ramp = Ramp(np.where(bad, np.nan, data).astype("f4"), readout, mask=bad,
                    variance=variance.astype("f4"))  # fmt: skip
        return ramp, FlickerTruth(noise, light, background, hits, laws)
    hits[:, 0] = False
    photons = photons + np.where(hits, 50 * (1 + rng.pareto(1.5, frames)), 0)
    data = np.cumsum(photons, axis=1) + noise + rng.normal(size=frames)
    saturated = data > saturation
    ramp = Ramp(np.minimum(data, saturation).astype("f4"), readout, mask=bad, jumped=hits,
                saturated=saturated if saturated.any() else None)  # fmt: skip
    return ramp, FlickerTruth(noise, light, background, hits, laws)


def _noise(frames, readout, laws, rng):
    """Flicker noise of each frame, with zero mean."""
    n_output, n_line, width = readout.frame_shape(frames)
    grid = TimeGrid(n_line, width, readout.overhead)
    system = CorrelatedSystem(*laws.spectra(grid.frequency), laws.white, n_output, grid.size)
    noise = np.empty(frames, "f4")
    for frame in noise.reshape(-1, *frames[-2:]):
        frame[...] = readout.image(grid.frames(system.draw(rng)))
        frame -= frame.mean()
    return noise


def _light(shape, n_sources, peak, rng):
    """Round sources: a narrow core, and a hundredth of its peak in wide wings."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for k, (b, a) in enumerate(rng.uniform(0, 1, (n_sources, 2)) * shape):
        square = (y - b) ** 2 + (x - a) ** 2
        core, wing = np.exp(-square / (2 * 1.5**2)), np.exp(-square / (2 * 5.0**2))
        light += peak * 0.8**k * (0.99 * core + 0.01 * wing)
    return light
