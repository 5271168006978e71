"""How bright a known sky is in an image that also holds a source. Arrays only."""

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter1d

__all__ = ["sky_level"]

N_PASSES = 10
CLIP = 5.0
# Error of the model of the source, relative to the source.
SOURCE_ERROR = 0.1
# Shape within which the profile of the source is free: rows over which it is smooth, and a Moffat
# envelope, generous towards wide wings.
SMOOTH_ROWS, ENVELOPE_WIDTH, ENVELOPE_POWER = 1.2, 2.0, 2.0
# The widening of the profile with the column, relative to the profile.
WIDENING = 1 / 3
SMOOTH_COLUMNS = 17
# What profiles that no straight line in the column follows leave in the level, from simulations.
METHOD_ERROR = 1e-3


def sky_level(data, sky, weights, prior_error):
    r"""Factor of a known sky image, fitted together with a source.

    .. math::
        d_{yx} = f\,m_{yx} + a_x\,(p_y + q_y u_x)

    with the sky image :math:`m`, the spectrum :math:`a` of the source, and a profile that is free
    in every row (and changes linearly with the column, :math:`u` from -1 to 1) but smooth, and
    small far from the source: a Gaussian prior of its values. All rows tell the level of the sky,
    by the features of its spectrum and the shadows across it, which no source has.

    Parameters
    ----------
    data, sky, weights : ndarray, shape (n_row, n_column)
        Finite; weights are inverse variances, zero for pixels to leave out.
    prior_error : float
        Standard deviation of the factor about one, as other slits tell.

    Returns
    -------
    level, error : float
        The factor and its standard error; one and `prior_error` without pixels.
    """
    if not np.any(weights * sky):
        return 1.0, float(prior_error)
    u = np.linspace(-1.0, 1.0, data.shape[1])
    level, error = 1.0, prior_error
    profile = _first_profile(data - sky, weights)
    for _ in range(N_PASSES):
        residual = data - level * sky
        amplitude = _amplitudes(residual, weights, profile)
        source = amplitude * profile
        kept = weights / (1 + weights * (SOURCE_ERROR * source) ** 2)
        kept = kept * (np.abs(residual - source) * np.sqrt(kept) < CLIP)
        change, error, profile = _joint(
            residual, sky, kept, (amplitude, profile, u), (1 - level) / prior_error**2, prior_error
        )
        level += change
    return float(level), float(np.hypot(error, METHOD_ERROR))


def _first_profile(residual, weights):
    """Mean residual of the rows near the brightest one, shape (n_row, 1), sum one."""
    total = weights.sum(axis=1)
    mean = np.divide((weights * residual).sum(axis=1), total, out=np.zeros(len(total)),
                     where=total > 0)  # fmt: skip
    mean = correlate1d(mean, [0.25, 0.5, 0.25], mode="constant")
    center = np.argmax(np.abs(mean))
    near = np.abs(np.arange(len(mean)) - center) < 4
    profile = np.where(near, np.maximum(mean * np.sign(mean[center]), 0), 0)
    norm = profile.sum()
    return (profile / norm if norm > 0 else np.full(len(mean), 1 / len(mean)))[:, None]


def _amplitudes(residual, weights, profile):
    """Spectrum of the source: as sharp as its noise allows, shape (n_column,)."""
    norm = (weights * profile**2).sum(axis=0)
    weighted = (weights * profile * residual).sum(axis=0)
    smooth_norm = uniform_filter1d(norm, SMOOTH_COLUMNS, mode="nearest")
    smooth = uniform_filter1d(weighted, SMOOTH_COLUMNS, mode="nearest")
    smooth = np.divide(smooth, smooth_norm, out=np.zeros_like(smooth), where=smooth_norm > 0)
    own = np.divide(weighted, norm, out=smooth.copy(), where=norm > 0)
    noise = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0)
    used = norm > 0.1 * np.median(norm)
    if not used.any():
        return smooth
    structure = max(float(np.mean(((own - smooth) ** 2 - noise)[used])), 0.0)
    share = structure / (structure + noise) if structure > 0 else 0.0
    return smooth + np.where(norm > 0, share, 0.0) * (own - smooth)


def _joint(residual, sky, weights, source, pull, prior_error):
    """Solve for the change of the level and the profile: change, error, new profile."""
    amplitude, profile, u = source
    n_row = len(residual)
    powers = np.array([np.ones_like(u), u, u**2]).T
    light = weights * amplitude
    with_sky, with_data = ((light * image) @ powers[:, :2] for image in (sky, residual))
    with_source = (light * amplitude) @ powers
    matrix = np.zeros((2 * n_row + 1, 2 * n_row + 1))
    weighted_sky = weights * sky
    matrix[0, 0] = np.vdot(weighted_sky, sky) + 1 / prior_error**2
    matrix[0, 1:] = matrix[1:, 0] = with_sky.T.ravel()
    vector = np.concatenate([[np.vdot(weighted_sky, residual) + pull], with_data.T.ravel()])
    rows = 1 + np.arange(n_row)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        matrix[rows + i * n_row, rows + j * n_row] = with_source[:, i + j]
    precision = np.linalg.inv(_prior_covariance(profile.mean(axis=1)))
    matrix[1 : 1 + n_row, 1 : 1 + n_row] += precision
    matrix[1 + n_row :, 1 + n_row :] += precision / WIDENING**2
    inverse = np.linalg.inv(matrix)
    found = inverse @ vector
    mean, slope = found[1 : 1 + n_row], found[1 + n_row :]
    norm = mean.sum()
    norm = norm if abs(norm) > 1e-3 * np.abs(mean).sum() and norm != 0 else 1.0
    new = (mean[:, None] + slope[:, None] * u) / norm
    return found[0], np.sqrt(inverse[0, 0]), new


def _prior_covariance(profile):
    """Covariance of the rows of the profile before the data are seen."""
    rows = np.arange(len(profile))
    positive = np.maximum(profile, 0)
    center = np.sum(rows * positive) / max(positive.sum(), 1e-30)
    peak = max(positive.max(), 1e-6)
    envelope = peak * (1 + ((rows - center) / ENVELOPE_WIDTH) ** 2) ** -ENVELOPE_POWER
    smooth = np.exp(-0.5 * ((rows[:, None] - rows) / SMOOTH_ROWS) ** 2)
    return smooth * envelope[:, None] * envelope + 1e-9 * peak**2 * np.eye(len(rows))
