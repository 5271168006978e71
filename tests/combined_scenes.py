"""Parts of several jobs on one detector: models, images drawn from them, and the jobs in steps.

Each scene has the `model` of all parts, `images`, the `truth` of some coefficients, and what it has
`measured` of them in a fit or by the best sequence of separate steps, `in_steps`.
"""

import numpy as np
from astropy.modeling.models import Const2D, Identity

import specmodels as sm
from specmodels.datasets.slitless import analytic_grism

SIDE, HARMONICS, STRENGTH, OFFSET = 160, 3, 4.0, 1.0
FAR = 4.0  # standard deviations of a source, beyond which steps see sky and noise alone


def _flicker(period=SIDE):
    noise = sm.FourierNoise(n_harmonics=HARMONICS, period=float(period), name="flicker")
    noise.coefficient_prior = sm.FlickerPrior(offset=OFFSET)
    return noise


def fourier_stripes(rng, shape, n_harmonics=HARMONICS, strength=STRENGTH, offset=OFFSET):
    """Noise of rows, drawn from a `FlickerPrior` of this strength."""
    k = np.arange(1, n_harmonics + 1)[:, None]
    phase = 2 * np.pi * k * np.arange(shape[1]) / shape[1]
    terms = np.concatenate([np.cos(phase), np.sin(phase)])
    spread = np.tile((strength * k[:, 0]) ** -0.5, 2)
    offsets = rng.normal(0, (offset / strength) ** 0.5, (shape[0], 1))
    return offsets + rng.normal(0, spread, (shape[0], len(spread))) @ terms


def _image(data, fast_axis=-1, **settings):
    return sm.SpectralImage(data, variance=np.ones(data.shape),
                            readout=sm.Readout(fast_axis=fast_axis), **settings)  # fmt: skip


def _mean(parts):
    """Weighted mean of values with errors, shapes (n,) each."""
    values, errors = (np.array([part[k] for part in parts]) for k in (0, 1))
    weights = errors**-2.0
    values = np.where(weights > 0, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # what no part tells is NaN
        return (weights * values).sum(0) / weights.sum(0), weights.sum(0) ** -0.5


class Rolls:
    """A field of a grism, in one orientation or several, under stripes and a sky."""

    def __init__(self, seed, vertical=(False,)):
        _, field = sm.datasets.make_slitless(seed=seed, n_sources=5, shape=(SIDE, SIDE),
                                             field=(80, 80))  # fmt: skip
        rng = np.random.default_rng([seed, 1])
        self.scenes, self.images = [], []
        self.truth = field.scene.coefficients
        for number, turned in enumerate(vertical):
            grism = analytic_grism((SIDE, SIDE), vertical=turned)
            scene = sm.GrismScene.from_direct_image(field.direct, grism=grism)
            light = scene.with_coefficients(self.truth).simulated_image + 5 + 3 * number
            data = light + fourier_stripes(rng, scene.shape) + rng.normal(size=scene.shape)
            self.scenes.append(scene)
            self.images.append(_image(data, name=f"roll {number}"))
        self.stacked = sm.StackedScene.of(self.scenes)
        self.exposures, self.images = self.images, self.stacked.on(self.images)
        sky = sm.repeated_over(Const2D(name="sky"), "exposure")
        self.model = self.stacked + sky + _flicker()

    def measured(self, fit):
        """Coefficients of all sources, and their errors."""
        return _coefficients(self.stacked, fit)

    def in_steps(self):
        """Stripes cleaned by the job of flicker noise; each roll by itself; their mean."""
        parts = []
        for scene, image in zip(self.scenes, self.exposures, strict=True):
            ramp = sm.Ramp(image.data[None], readout=image.readout)
            noise = sm.FlickerNoiseSubtraction(sm.FourierNoise(n_harmonics=HARMONICS))(ramp).noise
            cleaned = image.replace(data=image.data - np.asarray(noise).reshape(image.shape))
            fit = sm.LinearFitter()(scene + Const2D(name="sky"), cleaned)
            parts.append(_coefficients(scene, fit))
        return _mean(parts)


def _coefficients(scene, fit):
    errors = [np.sqrt(np.diagonal(scene.coefficient_covariance(fit, key))) for key in scene]
    return scene.fitted(fit).coefficients, np.concatenate(errors)


class Slitlets:
    """Eight slits with tilted lines on one detector: one sky, a source in each, stripes across."""

    n_slits, pitch, n_columns, stddev = 8, 20, 256, 1.3

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 2])
        shape = (self.n_slits * self.pitch, self.n_columns)
        x, self.y = np.arange(shape[1]), np.arange(shape[0])[:, None]
        slit = np.broadcast_to(self.y // self.pitch, shape).astype(float)
        wave = 1 + (x + 0.25 * (self.y % self.pitch)) / shape[1]
        breaks = np.linspace(0.99, 2.05, 65)
        sources = sm.sum_of([self._source(k) for k in range(self.n_slits)])
        self.spectra = sm.MasterBackgroundSpectrum(breaks, name="spectra")
        self.sky = sm.MasterBackgroundSpectrum(np.linspace(0.99, 2.05, 129), name="sky")
        self.sources = sources * sm.repeated_over(self.spectra, "slit")
        self.noise = _flicker(shape[0])
        self.model = self.sources + self.sky + self.noise
        true = rng.uniform(40, 80, (self.spectra.n_terms, self.n_slits))
        self.truth = true.ravel()
        light = self.sky.basis(wave) @ rng.uniform(30, 90, self.sky.n_terms)
        spectra = np.take_along_axis(
            self.spectra.basis(wave) @ true, slit[..., None].astype(int), axis=-1
        )[..., 0]
        light += spectra * np.asarray(sources(*np.broadcast_arrays(x, self.y)))
        data = light + fourier_stripes(rng, shape[::-1]).T + rng.normal(size=shape)
        self.images = _image(data, -2, wavelength=wave, coordinates={"slit": slit})

    def _source(self, number):
        low = number * self.pitch
        trace = sm.PolynomialTrace(0, c0=low + self.pitch / 2)
        source = sm.Source(sm.GaussianProfile(stddev=self.stddev), trace, name=f"source {number}",
                           fixed={"flux": True})  # fmt: skip
        source.bounding_box = ((low, low + self.pitch - 1), (0, self.n_columns))
        return source

    def measured(self, fit):
        """Coefficients of the spectra of all slits, and their errors."""
        names = [f"spectra.{name}" for name in self.spectra.param_names]
        return tuple(np.concatenate([np.atleast_1d(of(name)) for name in names])
                     for of in (fit.__getitem__, fit.error))  # fmt: skip

    def in_steps(self):
        """Sky and stripes of the pixels far from sources; then the sources of what is left."""
        place = np.abs(self.y % self.pitch - self.pitch / 2)
        near = np.broadcast_to(place < FAR * self.stddev, self.images.shape)
        far = self.images.replace(mask=self.images.mask | near)
        dark = sm.LinearFitter()(self.sky + self.noise, far)
        rest = sum(dark.components()[name] for name in ("sky", "flicker"))
        left = self.images.replace(data=self.images.data - rest)
        return self.measured(sm.LinearFitter()(self.sources, left))


class Slices:
    """A star in the slices of an integral-field unit, whose sky is the same."""

    n_slices, shape, stddev = 6, (16, 160), 1.4

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 3])
        x, y = np.arange(self.shape[1]), np.arange(self.shape[0])[:, None]
        fractions = np.exp(-0.5 * ((np.arange(self.n_slices) - 2.3) / 0.9) ** 2) + 0.02
        source = sm.Source(sm.GaussianProfile(stddev=self.stddev), trace_c0=8.2, name="star",
                           fixed={"flux": True, "trace_c0": True, "stddev": True})  # fmt: skip
        self.star = sm.MasterBackgroundSpectrum(np.linspace(0.99, 2.05, 81), name="spectrum")
        self.sky = sm.MasterBackgroundSpectrum(np.linspace(0.99, 2.05, 121), name="sky")
        fraction = sm.Coordinate("fraction") | Identity(1)
        self.model = source * self.star * fraction + self.sky
        self.truth = rng.uniform(20, 60, self.star.n_terms)
        dark = rng.uniform(10, 60, self.sky.n_terms)
        profile, self.images = sm.GaussianProfile(stddev=self.stddev)(y - 8.2), []
        for number, part in enumerate(fractions):
            wave = 1 + (x + 0.3 * (y - 8) + number / self.n_slices) / self.shape[1]
            light = part * profile * (self.star.basis(wave) @ self.truth)
            data = light + self.sky.basis(wave) @ dark + rng.normal(size=self.shape)
            self.images.append(_image(
                data, wavelength=wave, name=f"slice {number}",
                coordinates={"fraction": np.full(self.shape, part)},
            ))  # fmt: skip

    def measured(self, fit):
        """Coefficients of the star's spectrum, and their errors."""
        names = [f"spectrum.{name}" for name in self.star.param_names]
        return np.array([fit[n] for n in names]), np.array([fit.error(n) for n in names])

    def in_steps(self):
        """Each slice with a sky of its own; their weighted mean."""
        return _mean([self.measured(sm.LinearFitter()(self.model, one)) for one in self.images])


class Lamp:
    """A lamp through a slit: a profile along it times a throughput of wavelength, and a level."""

    shape, degree = (24, 200), 4

    def __init__(self, seed):
        rng = np.random.default_rng([seed, 4])
        x, y = np.arange(self.shape[1]), np.arange(self.shape[0])[:, None]
        wave = np.broadcast_to(1 + x / self.shape[1], self.shape)
        place = y - self.shape[0] / 2 + 3 * (x / self.shape[1] - 0.5)
        self.trace = sm.BSplineTrace(-14, 14, columns=(0.0,), knot_spacing=1.0, name="trace")
        self.throughput = sm.SlitThroughput(self.degree, limits=(1, 2), name="throughput", c0=1.0,
                                            fixed={"c0": True})  # fmt: skip
        self.model = self.trace * self.throughput + Const2D(name="level")
        self.truth = rng.normal(0, 0.1, self.degree)
        centres = np.linspace(-14, 14, self.trace.n_terms)
        light = self.trace.basis(x, place) @ (20 * np.exp(-0.5 * (centres / 4) ** 2))
        data = light * (self.throughput.basis(wave) @ [1, *self.truth]) + 5
        self.images = _image(data + rng.normal(size=self.shape), wavelength=wave, spatial=place)

    def measured(self, fit):
        """Coefficients of the throughput, and their errors."""
        names = [f"throughput.c{k + 1}" for k in range(self.degree)]
        return np.array([fit[n] for n in names]), np.array([fit.error(n) for n in names])

    def in_steps(self):
        """The throughput from sums of columns, the level of the outermost rows subtracted."""
        data = self.images.data - np.median(self.images.data[[0, 1, -2, -1]])
        line = sm.SpectralImage(data.sum(axis=0)[None], variance=np.full((1, self.shape[1]), 24.0),
                                wavelength=self.images.wavelength[0])  # fmt: skip
        free = sm.SlitThroughput(self.degree, limits=(1, 2), name="throughput")
        fit = sm.LinearFitter()(sm.on_pixels(free), line)
        names = [f"throughput.c{k}" for k in range(self.degree + 1)]
        level, *values = (float(fit[n]) for n in names)
        return np.array(values) / level, np.array([fit.error(n) for n in names[1:]]) / level


COMBINATIONS = {
    "scene + sky + stripes": Rolls,
    "scene in two orientations + skies + stripes": lambda seed: Rolls(seed, (False, True)),
    "sources of slits + one sky + stripes": Slitlets,
    "star in slices + one sky": Slices,
    "trace of a lamp × throughput + level": Lamp,
}
