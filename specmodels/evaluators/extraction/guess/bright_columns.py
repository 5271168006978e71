"""In which columns a source is bright, and how many of them show it best together."""

import numpy as np

__all__ = ["N_BLOCKS", "bright_parts", "columns_to_bin", "light_of_columns"]

# Parts of the spectrum in which light is looked for, standard errors and part of the brightest.
N_BLOCKS, BLOCK_SIGMA, LEAST_BLOCK = 12, 5.0, 0.01
# Lines in so few neighbouring parts tell no slope of the trace of all the spectrum.
LEAST_SPAN = 3
# A trace is told by no fewer bins of columns.
LEAST_BINS = 10


def light_of_columns(straight, weight, profile):
    """Light of the collapsed profile in each column and its noise, both times its weight."""
    noise = np.sqrt(np.maximum((profile**2) @ weight, 1e-300))
    return profile @ (weight * straight), noise


def columns_to_bin(light, noise):
    """Number of columns in bins of which the light stands out most from what noise brings."""
    best, greatest = 1, 0.0
    n = 1
    while n * LEAST_BINS <= len(light):
        starts = np.arange(0, len(light) - n + 1, n)
        variance = np.add.reduceat(noise**2, starts)
        power = np.add.reduceat(light, starts) ** 2 / np.maximum(variance, 1e-300)
        excess = (np.sum(power) - len(power)) / np.sqrt(2 * len(power))
        if excess > greatest:
            best, greatest = n, excess
        n *= 2
    return best


def bright_parts(snr):
    """Number of parts of the spectrum with significant light."""
    power = snr**2
    parts = np.array_split(power, min(N_BLOCKS, len(power)))
    excess = np.array([np.sum(part) - len(part) for part in parts])
    errors = np.sqrt([2.0 * len(part) for part in parts])
    bright = (excess > BLOCK_SIGMA * errors) & (excess > LEAST_BLOCK * np.max(excess))
    bright = np.flatnonzero(bright)
    if not bright.size:  # a faint continuum tells as much everywhere, though no part by itself
        return N_BLOCKS
    span = np.ptp(bright)
    # One line may lie in two parts.
    return int(min(bright.size, 1 + span // 2)) if span >= LEAST_SPAN else 1
