"""Slits with hard features drawn at random, and the truth behind them."""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf

import specmodels as sm

READ_NOISE = 3.0
FEATURES = (
    "plain", "nods", "rotating", "extended", "lines only", "several", "edge", "dead row",
    "saturated core", "wrong variance", "no variance", "noisy variance", "sky gradient",
    "sky lines", "tilted lines", "wide wings", "second order", "hits",
)  # fmt: skip


@dataclass
class Scene:
    """A simulated slit under construction, and its truth.

    Attributes
    ----------
    feature : str
        What is hard in it.
    flux : list of ndarray, shape (n_column,)
        True flux of each source that is to be extracted.
    rows : list of float
        Mean row of each.
    others : list of float
        Rows of light that may be taken for a source, and must not be judged as one.
    light, dark, sky : ndarray, shape (n_row, n_column)
        Mean counts of sources, of what is subtracted, and of the sky.
    settings : dict
        What the user would tell the extraction.
    """

    feature: str
    rng: np.random.Generator
    shape: tuple
    sigma: float
    wing: float
    snr: float
    level: float
    bend: float
    settings: dict = field(default_factory=dict)
    flux: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    others: list = field(default_factory=list)
    image: object = None

    def __post_init__(self):
        self.light, self.dark = np.zeros(self.shape), np.zeros(self.shape)
        self.sky = np.full(self.shape, self.level)
        self.u = np.linspace(-1, 1, self.shape[1])
        self.y = np.arange(self.shape[0])[:, None]

    def profile(self, row, sigma=None, wing=None):
        """Fraction of the light of a compact source in each pixel."""
        sigma = self.sigma if sigma is None else sigma
        wing = self.wing if wing is None else wing
        trace = row + self.bend * (self.u**2 - 1 / 3)
        width = sigma * (1 + 0.15 * self.u)
        return (1 - wing) * spread(self.y, trace, width) + wing * spread(self.y, trace, 3 * width)

    def brightness(self, snr=None, sigma=None):
        """Flux that has the signal-to-noise ratio in a column."""
        snr, sigma = self.snr if snr is None else snr, self.sigma if sigma is None else sigma
        noise = np.sqrt(4 * np.pi) * sigma * (self.level + READ_NOISE**2)
        return 0.5 * (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * noise))

    def spectrum(self, level):
        """A continuum with a slope and lines."""
        out = 1 + self.rng.uniform(-0.4, 0.4) * self.u
        for _ in range(5):
            center, height = self.rng.uniform(-0.95, 0.95), self.rng.uniform(-0.5, 2)
            out += height * np.exp(-0.5 * ((self.u - center) * len(self.u) / 2 / 1.5) ** 2)
        return level * np.maximum(out, 0.05)

    def add(self, row, flux, image=None):
        """Add a source that is to be extracted."""
        self.flux.append(flux)
        self.rows.append(row)
        self.light += flux * (self.profile(row) if image is None else image)


def spread(y, center, sigma):
    """Fraction of the light of a Gaussian in the pixels `y`."""
    edges = [erf((y + s - center) / sigma / np.sqrt(2)) for s in (0.5, -0.5)]
    return 0.5 * (edges[0] - edges[1])


def draw(seed, feature=None):
    """Draw a slit.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    feature : str, optional
        One of `FEATURES`; default: the one that the seed says.

    Returns
    -------
    Scene
    """
    feature = FEATURES[seed % len(FEATURES)] if feature is None else feature
    rng = np.random.default_rng([seed, FEATURES.index(feature)])
    shape = (int(rng.integers(36, 65)), int(rng.integers(256, 513)))
    scene = Scene(
        feature, rng, shape, sigma=rng.uniform(0.8, 2.2), wing=rng.choice([0.0, 0.05, 0.1]),
        snr=np.exp(rng.uniform(np.log(0.5), np.log(500))), level=rng.choice([0.0, 10.0, 100.0]),
        bend=rng.uniform(-2, 2),
    )  # fmt: skip
    MAKERS.get(feature, _compact)(scene)
    _observe(scene)
    return scene


def _compact(scene, row=None):
    middle = 0.5 * (scene.shape[0] - 1) + scene.rng.uniform(-5, 5)
    row = middle if row is None else row
    scene.add(row, scene.spectrum(scene.brightness()))
    return row


def _nods(scene):
    row = _compact(scene)
    throw = scene.rng.uniform(8, 14)
    for place in (row - throw, row + throw):
        if scene.rng.random() < 0.8:
            scene.others.append(place)
            scene.dark += 0.5 * scene.flux[0] * scene.profile(place)


def _rotating(scene):
    """Stars and a line in rotation that is more extended than they are."""
    scene.snr = max(scene.snr, 5.0)
    row = 0.5 * (scene.shape[0] - 1)
    stars = scene.rng.uniform(2, 4)
    flux = scene.brightness(sigma=stars) * (1 + 0.3 * scene.u)
    scene.add(row, flux, scene.profile(row, stars, 0.0))
    x = np.arange(scene.shape[1])
    slope, width = scene.rng.uniform(-0.8, 0.8), scene.rng.uniform(1.2, 2.5)
    center = scene.rng.uniform(0.25, 0.75) * len(x)
    along = np.exp(-0.5 * ((x - center - slope * (scene.y - row)) / width) ** 2)
    line = along * spread(scene.y, row, stars * scene.rng.uniform(1.0, 1.5))
    line *= scene.rng.uniform(2, 15) * np.median(flux)
    scene.light += line
    scene.flux[0] = scene.flux[0] + line.sum(axis=0)


def _extended(scene):
    """An exponential disk with a bulge, whose shape changes along the dispersion."""
    row = 0.5 * (scene.shape[0] - 1) + scene.rng.uniform(-3, 3)
    scale = scene.rng.uniform(2, 4)
    disk = np.exp(-np.abs(scene.y - row) / scale)
    disk = disk / disk.sum()
    share = 0.5 + 0.3 * scene.rng.uniform(-1, 1) * scene.u
    image = share * scene.profile(row, wing=0.0) + (1 - share) * disk
    scene.add(row, scene.spectrum(scene.brightness(sigma=2 * scale)), image)


def _lines_only(scene):
    row = scene.rng.uniform(10, scene.shape[0] - 11)
    x, flux = np.arange(scene.shape[1]), np.zeros(scene.shape[1])
    for center in scene.rng.uniform(15, len(x) - 16, scene.rng.integers(1, 4)):
        peak = scene.brightness(max(scene.snr, 10.0)) * scene.rng.uniform(0.3, 1)
        flux += peak * np.exp(-0.5 * ((x - center) / scene.rng.uniform(1.0, 2.0)) ** 2)
    scene.add(row, flux)


def _several(scene):
    """Sources of which the user says the number where they overlap."""
    number = int(scene.rng.integers(2, 6))
    distance = np.exp(scene.rng.uniform(0, np.log(20), number - 1))
    distance = np.minimum(distance, (scene.shape[0] - 16) / (number - 1))
    rows = 0.5 * (scene.shape[0] - 1 - distance.sum()) + np.append(0, np.cumsum(distance))
    for row in rows:
        scene.add(row, scene.spectrum(scene.brightness() * scene.rng.uniform(0.2, 1)))
    if distance.min() < 5 * scene.sigma or scene.rng.random() < 0.5:
        scene.settings["n_sources"] = number


def _edge(scene):
    depth = scene.rng.uniform(0, 3)
    scene.bend = 0.2 * scene.bend
    _compact(scene, depth if scene.rng.random() < 0.5 else scene.shape[0] - 1 - depth)


def _dead_row(scene):
    row = _compact(scene)
    scene.bend, scene.light[:] = 0.0, 0.0
    scene.light += scene.flux[0] * scene.profile(row)


def _wide_wings(scene):
    scene.wing = scene.rng.uniform(0.1, 0.3)
    row = _compact(scene)
    scene.light[:] = 0.0
    wings = 1 / (1 + ((scene.y - row) / (3 * scene.sigma)) ** 2) ** scene.rng.uniform(1.2, 2)
    far = np.arange(-2000, 2001)
    total = 1 / (1 + (far / (3 * scene.sigma)) ** 2) ** 1.5
    image = (1 - scene.wing) * scene.profile(row, wing=0.0) + scene.wing * wings / total.sum()
    scene.flux[0] = scene.flux[0] * image.sum(axis=0)
    scene.light += scene.flux[0] * image / image.sum(axis=0)


def _second_order(scene):
    """Another order that runs into the trace at one end."""
    row = _compact(scene)
    side, distance = scene.rng.choice([-1, 1]), scene.rng.uniform(4, 12)
    trace = row + side * (3 * scene.sigma + distance * (1 + scene.u * scene.rng.choice([-1, 1])))
    flux = scene.rng.uniform(0.02, 0.3) * np.median(scene.flux[0]) * (scene.u > -0.3)
    scene.light += flux * spread(scene.y, trace, 1.2 * scene.sigma)
    scene.others += list(np.linspace(trace.min(), trace.max(), 12))


def _sky_gradient(scene):
    _compact(scene)
    t = (scene.y / scene.shape[0] - 0.5) * 2
    slope, bow = scene.rng.uniform(-0.5, 0.5), scene.rng.uniform(-0.3, 0.3)
    scene.sky = (scene.level + 20) * (1 + slope * t + bow * t**2) * (1 + 0.3 * scene.u)


def _sky_lines(scene):
    _compact(scene)
    scene.sky += _lines(scene, 0.0)


def _tilted_lines(scene):
    _compact(scene)
    scene.sky += _lines(scene, scene.rng.uniform(-8, 8))


def _lines(scene, tilt):
    x = np.arange(scene.shape[1]) - tilt * (scene.y / scene.shape[0] - 0.5)
    return sum(
        scene.rng.uniform(0.2, 5) * (scene.level + 20) * np.exp(-0.5 * ((x - c) / 1.3) ** 2)
        for c in scene.rng.uniform(0, scene.shape[1], 12)
    )


MAKERS = {
    "nods": _nods, "rotating": _rotating, "extended": _extended, "lines only": _lines_only,
    "several": _several, "edge": _edge, "dead row": _dead_row, "wide wings": _wide_wings,
    "second order": _second_order, "sky gradient": _sky_gradient, "sky lines": _sky_lines,
    "tilted lines": _tilted_lines,
}  # fmt: skip


def _observe(scene):
    """Draw the noise, and give the image the variance, the mask and the hits of its feature."""
    rng, mean = scene.rng, scene.light + scene.sky
    data = rng.poisson(mean) - rng.poisson(scene.dark) + rng.normal(0, READ_NOISE, scene.shape)
    variance = mean + scene.dark + READ_NOISE**2
    mask = rng.random(scene.shape) < 0.003
    hits = rng.random(scene.shape) < (rng.uniform(0, 0.03) if scene.feature == "hits" else 0.001)
    data = data + np.where(hits, 30 * READ_NOISE * (1 + rng.pareto(1.5, scene.shape)), 0.0)
    if scene.feature == "dead row":
        mask[round(scene.rows[0]) + int(rng.integers(-1, 2))] = True
    if scene.feature == "saturated core":
        core = scene.profile(scene.rows[0])
        start = rng.integers(0, scene.shape[1] // 2)
        columns = slice(start, start + int(rng.integers(10, scene.shape[1] // 2)))
        mask[:, columns] |= core[:, columns] > rng.uniform(0.3, 0.8) * core.max()
    data[mask] = np.nan
    scene.image = sm.SpectralImage(data, mask=mask, variance=_stated(scene, data, variance))


def _stated(scene, data, variance):
    if scene.feature == "no variance":
        return None
    if scene.feature == "wrong variance":
        return variance * np.exp(scene.rng.uniform(np.log(0.3), np.log(3)))
    if scene.feature == "noisy variance":
        return np.maximum(np.nan_to_num(data), 0) + READ_NOISE**2
    return variance
