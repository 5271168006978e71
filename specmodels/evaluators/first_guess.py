"""Where the light lies, found from the pixels alone: sky, trace, sources and their width.

A first guess only: everything is refined by a fit afterwards, so what counts here is that nothing
is missed or mistaken, not the last digit.
"""

from dataclasses import dataclass

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.polynomial import legendre
from scipy import ndimage

from ..numerics.robust import MAD_TO_SIGMA, column_median, column_scatter

__all__ = ["Guess", "find_sources"]

MAX_BINS = 64
MIN_BIN = 8
SHIFT_STEPS = 5
HIT_SIGMA = 8.0
LEAST_SIGNIFICANCE = 8.0
LEAST_FWHM = 1.5
KERNELS = (0.6, 1.5)
LINE_WINDOW = 31
STRAIGHTENED_AT_ONCE = 256
# Standard deviation of normal numbers over that found from the lower half of them.
HALF_NORMAL = 1.69
LARGEST_TRACE_DEGREE = 4


@dataclass(frozen=True, eq=False)
class Guess:
    """What was found in an image.

    Attributes
    ----------
    shape : ndarray, shape (n_column,)
        Row of the trace in each column, less its mean.
    trace_degree : int
        Degree of the polynomial which `shape` is.
    centers : ndarray, shape (n_source,)
        Mean row of each source, brightest first.
    snr : ndarray, shape (n_source,)
        Signal-to-noise ratio of each source in the collapsed image; negative for negative traces.
    fwhm : float
        Full width at half maximum, in pixels.
    extent : float
        Distance from the first source, in pixels, to which its light can be seen.
    """

    shape: np.ndarray
    trace_degree: int
    centers: np.ndarray
    snr: np.ndarray
    fwhm: float
    extent: float = 0.0


def find_sources(image, *, n_sources=None, trace_degree=None):
    """Find traces in an image.

    Parameters
    ----------
    image : `~specmodels.exposure.SpectralImage`
        The image. Emission lines, gaps and hits are allowed.
    n_sources : int, optional
        How many to find; by default all that stand out by eight standard errors and a twentieth of
        the brightest, and clear of it.
    trace_degree : int, optional
        Degree of the trace; by default chosen by the Bayesian information criterion.

    Returns
    -------
    Guess

    Raises
    ------
    ValueError
        If no pixel can be used, or all rows are the same.
    """
    if not (image.weights > 0).any():
        raise ValueError("image: no usable pixel, all are masked")
    data, weights = _without_sky_and_hits(image)
    bins = _binned(data, weights)
    shape, degree = _trace_shape(bins, image.shape[1], trace_degree)
    profile, error = _collapsed(data, weights, shape)
    if not _stands_out(profile, error):
        lines = data - ndimage.median_filter(data, size=(1, LINE_WINDOW))
        line_profile, line_error = _collapsed(lines, weights, np.zeros_like(shape))
        if _stands_out(line_profile, line_error):
            shape, degree = np.zeros_like(shape), 0
            profile, error = line_profile, line_error
    centers, snr, fwhm = _peaks(profile, error, n_sources)
    extent = _extent(profile, error, centers)
    rows = np.interp(centers, np.arange(len(image.y)), image.y)
    return Guess(shape, degree, rows, snr, fwhm, extent)


def _without_sky_and_hits(image):
    """Data less the median of each column, and weights without conspicuous hits."""
    weights = image.weights.copy()
    good = weights > 0
    data = np.where(good, image.data, 0.0)
    data = data - _lower_median(data, good)
    data[~good] = 0.0
    if image.variance is None:
        noise = sigma_clipped_stats(data[good], sigma=3)[2]
        weights /= max(noise, 1e-300) ** 2
    smooth = ndimage.median_filter(data, size=(1, 7))
    excess = np.abs(data - smooth) * np.sqrt(weights)
    weights[_isolated(excess)] = 0.0
    return data, weights


def _isolated(excess):
    """Pixels far above the noise with at most one neighbour like them, unlike an emission line."""
    rows, columns = np.nonzero(excess > HIT_SIGMA)
    padded = np.pad(excess, 1)
    alike = np.zeros(len(rows), dtype=int)
    for i in (0, 1, 2):
        for j in (0, 1, 2):
            alike += padded[rows + i, columns + j] > 0.3 * excess[rows, columns]
    keep = alike <= 2
    return rows[keep], columns[keep]


def _lower_median(data, good):
    """Sky of each column: the clipped median of its pixels; zero where there is none."""
    middle = np.nan_to_num(column_median(data, good))
    spread = np.nan_to_num(column_scatter(data, good, middle))
    kept = good & (np.abs(data - middle) < 3 * spread + 1e-300)
    return np.where(kept.any(axis=0), np.nan_to_num(column_median(data, kept)), middle)


def _binned(data, weights):
    """Weighted mean and inverse variance in bins of columns, with the mean column of each."""
    n_bin = int(np.clip(data.shape[1] // MIN_BIN, 1, MAX_BINS))
    edges = np.linspace(0, data.shape[1], n_bin + 1).astype(int)
    total = np.add.reduceat(weights, edges[:-1], axis=1)
    mean = np.add.reduceat(weights * data, edges[:-1], axis=1)
    mean = np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)
    return 0.5 * (edges[:-1] + edges[1:] - 1), mean, total


def _trace_shape(bins, n_column, degree):
    """Row of the trace in each column less its mean, from the shift of each bin's profile."""
    columns, mean, total = bins
    n_row = len(mean)
    flat = np.zeros(n_column)
    if n_row < 4 or len(columns) < 2:
        return flat, 0
    shift, weight = _shifts(mean, total)
    used = weight > 0
    if np.count_nonzero(used) < 3:
        return flat, 0
    t = 2 * columns / max(n_column - 1, 1) - 1
    coefficients = _best_polynomial(t[used], shift[used], weight[used], degree)
    values = legendre.legval(np.linspace(-1, 1, n_column), coefficients)
    return values - values.mean(), len(coefficients) - 1


def _shifts(mean, total):
    """Shift of each bin's profile, followed outwards from the bin with most signal."""
    n_row, n_bin = mean.shape
    smooth = ndimage.gaussian_filter1d(mean, 1.0, axis=0)
    signal = smooth * np.sqrt(total)
    strength = np.sqrt(np.maximum(np.mean(signal**2, axis=0) - 1.0, 0.0) * n_row)
    start = int(np.argmax(ndimage.gaussian_filter1d(strength, 2.0)))
    rows = np.arange(n_row, dtype=float)
    trial = np.arange(-4 * SHIFT_STEPS, 4 * SHIFT_STEPS + 1) / SHIFT_STEPS
    shift, weight = np.zeros(n_bin), np.zeros(n_bin)
    for direction in (1, -1):
        template, known = smooth[:, start].copy(), 0.0
        indices = range(start, n_bin) if direction > 0 else range(start - 1, -1, -1)
        for b in indices:
            if strength[b] < 3:
                continue
            moved = [np.interp(rows - known - s, rows, template) for s in trial]
            match = np.array([m @ smooth[:, b] for m in moved]) / np.sqrt(
                [m @ m + 1e-300 for m in moved]
            )
            best = int(np.argmax(match))
            known += trial[best] + _vertex(match, best) / SHIFT_STEPS
            shift[b] = known
            weight[b] = min(strength[b], 100.0) ** 2
            aligned = np.interp(rows + known, rows, smooth[:, b])
            fraction = 0.3 * min(strength[b] / max(strength[start], 1e-300), 1.0)
            template = (1 - fraction) * template + fraction * aligned
    return shift, weight


def _vertex(values, k):
    """Offset of the vertex of the parabola through a maximum and its neighbours."""
    if not 0 < k < len(values) - 1:
        return 0.0
    left, middle, right = values[k - 1 : k + 2]
    curvature = left - 2 * middle + right
    return 0.0 if curvature >= 0 else float(np.clip(0.5 * (left - right) / curvature, -1, 1))


def _centroid(values, k):
    """Offset of the centre of all that lies above half of a maximum and adjoins it."""
    above = values > 0.5 * values[k]
    label, _ = ndimage.label(above)
    rows = np.flatnonzero(label == label[k])
    return float(np.average(rows, weights=values[rows])) - k


def _best_polynomial(t, shift, weight, degree):
    """Legendre coefficients by robust fits; the degree by the Bayesian information criterion."""
    degrees = range(min(LARGEST_TRACE_DEGREE, len(t) - 2) + 1) if degree is None else [degree]
    best, best_score = np.zeros(1), np.inf
    for d in degrees:
        robust = np.ones(len(t))
        for _ in range(5):
            root = np.sqrt(weight * robust)
            basis = legendre.legvander(t, d)
            coefficients = np.linalg.lstsq(basis * root[:, None], shift * root, rcond=None)[0]
            residual = shift - basis @ coefficients
            scale = max(1.4826 * np.median(np.abs(residual)), 0.03)
            robust = 1 / (1 + (residual / (2 * scale)) ** 2) ** 2
        score = len(t) * 2 * np.log(np.mean(np.abs(residual)) + 0.01) + 2 * (d + 1) * np.log(len(t))
        if score < best_score:
            best, best_score = coefficients, score
    return best


def _collapsed(data, weights, shape):
    """Mean profile of the straightened image and its standard error.

    The columns are weighted by their light, found in two rounds, so that a source that shows in a
    few emission lines is not drowned by the columns between them.
    """
    straight, weight = _straightened(data, weights, shape)
    light = _structure(straight, weight)
    for _ in range(3):
        total = weight @ light**2
        used = total > 0
        profile = np.zeros(len(data))
        profile[used] = ((weight * straight) @ light)[used] / total[used]
        profile[used] -= np.median(profile[used])
        norm = np.maximum((profile**2) @ weight, 1e-300)
        raw = (profile @ (weight * straight)) / norm
        raw = ndimage.uniform_filter1d(raw, 3)
        typical = np.median(np.abs(raw))
        light = _normalised(np.clip(np.abs(raw), 0.2 * typical, 20 * typical))
    error = np.full(len(data), np.inf)
    error[used] = 1 / np.sqrt(total[used])
    return profile, error


def _structure(straight, weight):
    """Light of each column which noise does not explain, smoothed over neighbours."""
    n_good = np.maximum(np.count_nonzero(weight, axis=0), 1)
    excess = np.sum(weight * straight**2, axis=0) / n_good - 1.0
    typical = np.sum(weight, axis=0) / n_good
    excess = np.maximum(ndimage.median_filter(excess, 3), 0.0)
    light = np.sqrt(np.divide(excess, typical, out=np.zeros_like(excess), where=typical > 0))
    return _normalised(light + 0.05 * np.mean(light))


def _normalised(light):
    """Light over its maximum; the same in all columns where there is none."""
    top = np.max(light)
    return light / top if top > 0 else np.ones_like(light)


def _straightened(data, weights, shape):
    """Image and weights with the trace moved to a constant row, by linear interpolation."""
    mean, weight = np.empty(data.shape), np.empty(data.shape)
    for start in range(0, data.shape[1], STRAIGHTENED_AT_ONCE):
        part = np.s_[:, start : start + STRAIGHTENED_AT_ONCE]
        mean[part], weight[part] = _straightened_part(data[part], weights[part], shape[part[1]])
    return mean, weight


def _straightened_part(data, weights, shape):
    n_row = len(data)
    rows = np.arange(n_row)[:, None] + shape
    lower = np.clip(np.floor(rows).astype(int), 0, n_row - 1)
    upper = np.minimum(lower + 1, n_row - 1)
    fraction = np.clip(rows - lower, 0, 1)
    inside = (rows >= 0) & (rows <= n_row - 1)
    columns = np.arange(data.shape[1])
    parts = [(1 - fraction, lower), (fraction, upper)]
    weight = sum(f * weights[r, columns] for f, r in parts)
    total = sum(f * weights[r, columns] * data[r, columns] for f, r in parts)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return mean, np.where(inside, weight, 0.0)


def _peaks(profile, error, n_sources):
    """Rows, significance and width of the sources in a collapsed profile, brightest first."""
    if len(profile) < 3:
        return np.array([float(np.argmax(profile))]), np.array([profile.max() / error.min()]), 2.0
    residual, taken = profile.copy(), []
    fwhm = None
    limit = n_sources or max(1, len(profile) // 6)
    usable = np.isfinite(error)
    noise = error
    profile, error, kernel = _smoothed(profile, error, usable)
    while len(taken) < limit:
        candidate = np.where(usable, np.abs(residual), 0.0)
        for row, _ in taken:
            candidate[np.abs(np.arange(len(profile)) - row) < 1.2 * fwhm] = 0.0
        k = _next_peak(residual, candidate, usable, first=fwhm is None)
        if k is None:
            break
        if fwhm is None:
            fwhm = _width(profile, k, kernel)
        elif n_sources is None and not _is_source(residual, error, k, taken):
            break
        place = _vertex if kernel == KERNELS[0] else _centroid
        taken.append((k + place(np.abs(residual), k), residual[k]))
        residual = _subtract_peaks(profile, taken, fwhm)
    if not taken:
        raise ValueError("image: no source found, its rows do not differ")
    rows = np.array([row for row, _ in taken])
    nearest = np.clip(np.round(rows).astype(int), 0, len(profile) - 1)
    snr = np.array([height for _, height in taken]) / noise[nearest] * np.sqrt(fwhm)
    order = np.argsort(-np.abs(snr), kind="stable")
    order = sorted(order, key=lambda j: snr[j] < 0)
    return rows[order], snr[order], fwhm


def _stands_out(profile, error):
    """Whether there is a peak above the scatter of the rows, without much smoothing."""
    if len(profile) < 3:
        return True
    return _smoothed(profile, error, np.isfinite(error))[2] == KERNELS[0]


def _extent(profile, error, centers):
    """Distance from a lone source to the first row without significant light."""
    if len(centers) > 1 or len(profile) < 3:
        return 0.0
    usable = np.isfinite(error)
    noise = np.hypot(error, _row_noise(profile, usable))
    dark = ~(usable & (np.abs(profile) > 3 * noise))
    k = int(np.clip(np.round(centers[0]), 0, len(profile) - 1))
    distances = np.abs(np.flatnonzero(dark) - k)
    return float(distances[distances > 0].min(initial=len(profile)))


def _row_noise(profile, usable):
    """Scatter of neighbouring rows about each other, the light itself being smooth."""
    steps = np.diff(profile[usable], n=2)
    return 1.4826 * np.median(np.abs(steps)) / np.sqrt(6) if steps.size > 8 else 0.0


def _smoothed(profile, error, usable):
    """Profile smoothed a little, or more where its rows scatter; with its error and the kernel."""
    filled = np.where(usable, profile, 0.0)
    for kernel in KERNELS:
        smooth = ndimage.gaussian_filter1d(filled, kernel, mode="nearest")
        scatter = np.hypot(error, _row_scatter(smooth, usable))
        if np.max(np.where(usable, np.abs(smooth) / scatter, 0)) > LEAST_SIGNIFICANCE:
            break
    return smooth, scatter, kernel


def _row_scatter(profile, usable):
    """Scatter from row to row which noise does not explain: flat-field errors, bars.

    From the darker half of the rows, where sources that fill much of the slit have no part.
    """
    values = np.sort(profile[usable])
    if values.size <= 8:
        return 0.0
    dark = values[: (values.size + 1) // 2]
    return HALF_NORMAL * MAD_TO_SIGMA * np.median(np.abs(dark - np.median(dark)))


def _next_peak(residual, candidate, usable, *, first):
    """Row of the highest candidate that falls off on both sides within the usable rows.

    A dark or bright edge of the slit is no source; it is taken only where nothing else is left and
    a first source has to be named.
    """
    order = np.argsort(-candidate, kind="stable")
    order = order[candidate[order] > 0]
    for k in order:
        if _falls_off(residual, usable, k):
            return int(k)
    return int(order[0]) if first and order.size else None


def _falls_off(residual, usable, k):
    height = residual * np.sign(residual[k] or 1.0)
    for direction in (1, -1):
        j = k + direction
        while 0 <= j < len(height) and usable[j] and height[j] > 0.5 * height[k]:
            j += direction
        if not (0 <= j < len(height) and usable[j]):
            return False
    return True


def _is_source(residual, error, k, taken):
    """Whether a further peak is one by itself: significant, not tiny, and a local extreme."""
    height = max(abs(value) for _, value in taken)
    local = abs(residual[k]) >= max(abs(residual[k - 1]), abs(residual[k + 1]))
    return (
        local
        and abs(residual[k]) > LEAST_SIGNIFICANCE * error[k]
        and abs(residual[k]) > 0.05 * height
    )


def _width(profile, k, kernel):
    """Full width at half maximum of the peak at row `k`, without that of the smoothing kernel."""
    height = profile * np.sign(profile[k] or 1.0)
    half = 0.5 * height[k]
    width = 0.0
    for direction in (1, -1):
        j = k
        while 0 <= j + direction < len(height) and height[j + direction] > half:
            j += direction
        beyond = j + direction
        if not 0 <= beyond < len(height):
            width += abs(j - k) + 0.5
            continue
        drop = height[j] - height[beyond]
        width += abs(j - k) + ((height[j] - half) / drop if drop > 0 else 0.5)
    width = np.sqrt(max(width**2 - (2.355 * kernel) ** 2, LEAST_FWHM**2))
    return float(np.clip(width, LEAST_FWHM, max(0.4 * len(profile), LEAST_FWHM)))


def _subtract_peaks(profile, taken, fwhm):
    """Profile less Gaussians at all peaks, fitted together with a constant."""
    rows = np.arange(len(profile))
    columns = [np.exp(-4 * np.log(2) * ((rows - row) / fwhm) ** 2) for row, _ in taken]
    basis = np.stack([*columns, np.ones(len(profile))], axis=1)
    heights = np.linalg.lstsq(basis, profile, rcond=None)[0]
    return profile - basis @ heights
