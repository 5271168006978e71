"""Where the light lies, found from the pixels alone: sky, trace, sources and their width.

A first guess only: everything is refined by a fit afterwards, so what counts here is that nothing
is missed or mistaken, not the last digit.
"""

from dataclasses import dataclass

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.polynomial import legendre
from scipy import ndimage

from ....numerics.clipping import sharp_pixels
from ....numerics.robust import column_median, column_scatter, median_of_few
from .bright_columns import N_BLOCKS, bright_parts, columns_to_bin, light_of_columns
from .peaks import EDGE_ROWS, find_peaks, light_extent, stands_out, vertex
from .row_profiles import without_trend
from .trace_search import brightest_trace

__all__ = ["Guess", "find_sources"]

MAX_BINS = 64
MIN_BIN = 8
SHIFT_STEPS = 5
HIT_SIGMA = 8.0
LINE_WINDOW = 31
STRAIGHTENED_AT_ONCE = 256
LARGEST_TRACE_DEGREE = 4
# A trace that was followed is forgotten if a straight one has a peak so many times as high.
STRAIGHT_GAIN = 1.1
# A source no more significant than this in a row of the collapsed image is not followed safely; a
# parabola is looked for which shows it by so much more.
FAINT, SEARCHED_GAIN = 30.0, 1.02


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
    n_bright : int
        Number of parts of the spectrum, of twelve, that tell of trace and width.
    n_binned : int
        Number of neighbouring columns whose light, taken together, stands out most.
    is_cut : bool
        Whether the image ends within the full width of a source.
    further : tuple of ndarray, each of shape (n_column,)
        Rows of traces that are not parallel to these, as of other orders.
    """

    shape: np.ndarray
    trace_degree: int
    centers: np.ndarray
    snr: np.ndarray
    fwhm: float
    extent: float = 0.0
    n_bright: int = N_BLOCKS
    n_binned: int = 1
    is_cut: bool = False
    further: tuple = ()

    @property
    def traces(self):
        """Row of each source in each column, shape (n_source, n_column), the further ones last."""
        return np.stack([*(self.shape + center for center in self.centers), *self.further])

    @property
    def least_distance(self):
        """Rows between the two traces that come nearest to one another; infinite of one alone."""
        rows = self.traces if self.further else self.centers
        return np.min(np.diff(np.sort(rows, axis=0), axis=0), initial=np.inf)


def find_sources(image, *, n_sources=None, trace_degree=None):
    """Find traces in an image.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
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
    seen = _straightened(data, weights, shape)
    profile, error = _collapsed(*seen)
    if trace_degree is None and degree > 0:
        straight = _collapsed(data, weights)
        if _contrast(*straight) > STRAIGHT_GAIN * _contrast(profile, error):
            seen, (profile, error) = (data, weights), straight
            shape, degree = np.zeros_like(shape), 0
    searched = False
    if _contrast(profile, error) < FAINT:
        data = data - (profile - without_trend(profile, error))[:, None]
        seen = _straightened(data, weights, shape)
        profile, error = _collapsed(*seen)
        if trace_degree is None:
            other = brightest_trace(*_binned(data, weights), image.shape[1])
            along = _straightened(data, weights, other)
            parabola = _collapsed(*along)
            searched = _contrast(*parabola) > SEARCHED_GAIN * _contrast(profile, error)
        if searched:
            shape, degree, (profile, error), seen = other, 2, parabola, along
    if not stands_out(profile, error):
        lines = data - ndimage.median_filter(data, size=(1, LINE_WINDOW))
        line_profile, line_error = _collapsed(lines, weights)
        if stands_out(line_profile, line_error):
            shape, degree, seen = np.zeros_like(shape), 0, (data, weights)
            profile, error = line_profile, line_error
    profile = without_trend(profile, error)
    light, noise = light_of_columns(*seen, profile)
    n_bright = bright_parts(light / noise)
    if trace_degree is None and degree >= n_bright and not searched:
        degree, shape = n_bright - 1, _of_degree(shape, n_bright - 1)
        # Along another trace the light adds up in another row.
        profile, error = _collapsed(*_straightened(data, weights, shape))
        profile = without_trend(profile, error)
    centers, snr, fwhm = find_peaks(profile, error, n_sources)
    extent = light_extent(profile, error, centers)
    rows = np.interp(centers, np.arange(len(image.y)), image.y)
    cut = min(rows.min() - image.y[0], image.y[-1] - rows.max()) < fwhm
    return Guess(shape, degree, rows, snr, fwhm, extent, n_bright, columns_to_bin(light, noise),
                 bool(cut))  # fmt: skip


def _of_degree(shape, degree):
    """Polynomial of a lower degree through a trace, its mean zero."""
    t = np.linspace(-1, 1, len(shape))
    values = legendre.legval(t, legendre.legfit(t, shape, degree)) if degree > 0 else 0 * t
    return values - values.mean()


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
    root = np.sqrt(weights)
    weights[_isolated(np.abs(data - smooth) * root)] = 0.0
    weights[sharp_pixels(data * root, good)] = 0.0
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
            moved = np.interp(rows - known - trial[:, None], rows, template)
            norm = np.einsum("sy,sy->s", moved, moved)
            match = moved @ smooth[:, b] / np.sqrt(norm + 1e-300)
            best = int(np.argmax(match))
            known += trial[best] + vertex(match, best) / SHIFT_STEPS
            shift[b] = known
            weight[b] = min(strength[b], 100.0) ** 2
            aligned = np.interp(rows + known, rows, smooth[:, b])
            fraction = 0.3 * (strength[b] / max(strength[start], strength[b]))
            template = (1 - fraction) * template + fraction * aligned
    return shift, weight


def _best_polynomial(t, shift, weight, degree):
    """Legendre coefficients by robust fits; the degree by the Bayesian information criterion."""
    degrees = range(min(LARGEST_TRACE_DEGREE, len(t) - 2) + 1) if degree is None else [degree]
    best, best_score = np.zeros(1), np.inf
    for d in degrees:
        robust, basis = np.ones(len(t)), legendre.legvander(t, d)
        for _ in range(5):
            root = np.sqrt(weight * robust)
            coefficients = np.linalg.lstsq(basis * root[:, None], shift * root, rcond=None)[0]
            residual = shift - basis @ coefficients
            scale = max(1.4826 * median_of_few(np.abs(residual)), 0.03)
            robust = 1 / (1 + (residual / (2 * scale)) ** 2) ** 2
        score = len(t) * 2 * np.log(np.mean(np.abs(residual)) + 0.01) + 2 * (d + 1) * np.log(len(t))
        if score < best_score:
            best, best_score = coefficients, score
    return best


def _collapsed(straight, weight):
    """Mean profile of a straightened image and its standard error.

    The columns are weighted by their light, found in two rounds, so that a source that shows in a
    few emission lines is not drowned by the columns between them.
    """
    light = _structure(straight, weight)
    for _ in range(3):
        total = weight @ light**2
        used = total > 0
        profile = np.zeros(len(straight))
        profile[used] = ((weight * straight) @ light)[used] / total[used]
        profile[used] -= median_of_few(profile[used]) if used.any() else 0.0
        norm = np.maximum((profile**2) @ weight, 1e-300)
        raw = (profile @ (weight * straight)) / norm
        raw = ndimage.uniform_filter1d(raw, 3)
        typical = median_of_few(np.abs(raw))
        light = _normalised(np.clip(np.abs(raw), 0.2 * typical, 20 * typical))
    error = np.full(len(straight), np.inf)
    error[used] = 1 / np.sqrt(total[used])
    return profile, error


def _contrast(profile, error):
    """Height of the collapsed profile over the standard error of its rows, but for the ends."""
    usable = np.flatnonzero(np.isfinite(error))
    inner = usable[EDGE_ROWS:-EDGE_ROWS]
    return np.max(np.abs(profile[inner]) / error[inner], initial=0.0)


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
    weighted = weights * data
    weight, total = (sum(f * own[r, columns] for f, r in parts) for own in (weights, weighted))
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return mean, np.where(inside, weight, 0.0)
