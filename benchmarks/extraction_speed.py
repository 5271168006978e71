"""Seconds of extractions, and the flux that comes out: Horne's sum, given profiles, all automatic.

Times are per slit.
"""

from functools import partial

import numpy as np
from astropy import units as u
from specreduce.extract import HorneExtract
from specreduce.tracing import FlatTrace

import specmodels as sm
from specmodels.evaluators.extraction.guess.first_guess import find_sources

from . import methods
from .comparison import Way, compare
from .inputs import make_slit

N_SLITS = 100
SHAPE = (50, 2000)
SIGMA, READ_NOISE = 1.6, 5.0
PROFILE = sm.GaussianProfile()


def run(*, quick=False):
    """One row for each job and each way to do it."""
    repeat = 2 if quick else 7
    return [*_horne(repeat, 10 if quick else N_SLITS), *_given_profile(repeat),
            *_automatic(repeat), *_default(repeat, quick), *_trace(repeat)]  # fmt: skip


# Horne's extraction: straight trace, its row known, a Gaussian whose width is fitted, no sky.


class HorneSlits:
    """Slits with a straight trace and no sky: the arrays that every package is given."""

    def __init__(self, n_slits):
        rng = np.random.default_rng(1)
        self.rows = 24.5 + rng.uniform(-0.5, 0.5, n_slits)
        self.flux = 2000 * (1 + 0.3 * np.sin(np.arange(SHAPE[1]) / 100))
        self.data, self.variance = [], []
        for row in self.rows:
            light = self.flux * PROFILE.evaluate(np.arange(SHAPE[0])[:, None], row, SIGMA)
            variance = light + READ_NOISE**2
            self.data.append(light + np.sqrt(variance) * rng.normal(size=SHAPE))
            self.variance.append(variance)

    def exposure(self, n_slits):
        """The first slits as an exposure."""
        return sm.Exposure([
            sm.SpectralImage(self.data[k], variance=self.variance[k], name=str(k))
            for k in range(n_slits)
        ])  # fmt: skip

    def truth(self, fluxes):
        """Median of flux over truth."""
        return {"flux/truth": float(np.median([np.median(f / self.flux) for f in fluxes]))}


def _horne(repeat, n_slits):
    slits = HorneSlits(n_slits)
    way = partial(Way, truth=slits.truth, n_units=n_slits)
    peer = Way("specreduce HorneExtract, Gaussian", partial(_horne_specreduce, slits), 3,
               slits.truth)  # fmt: skip
    ours = [
        way(
            "OptimalExtraction(model, VarProFitter())",
            partial(_horne_evaluator, slits, sm.VarProFitter()),
            goal=150,
        ),
        way("the same, and Spectrum objects", partial(_horne_spectra, slits)),
        way(
            "OptimalExtraction(model, KernelSliceFitter())",
            partial(_horne_evaluator, slits, sm.KernelSliceFitter()),
            goal=150,
        ),
        way("VarProFitter on mean columns, LinearFitter", partial(_horne_fitters, slits), goal=150),
    ]
    return compare("Horne, 50 × 2000", [peer], ours, repeat=repeat)


def _horne_specreduce(slits, n_slits):
    mask = np.zeros(SHAPE, dtype=bool)
    return [
        HorneExtract(
            slits.data[k], FlatTrace(slits.data[k], slits.rows[k]), variance=slits.variance[k],
            mask=mask, unit=u.DN, spatial_profile="gaussian",
        )().flux.value
        for k in range(n_slits)
    ]  # fmt: skip


def _horne_source(row):
    source = sm.Source(sm.GaussianProfile(stddev=1.3), sm.PolynomialTrace(0, c0=row), name="source")
    source.trace_c0.fixed = True
    return source


def _horne_results(slits, fitter, n_slits):
    for row, image in zip(slits.rows, slits.exposure(n_slits).values(), strict=False):
        yield sm.OptimalExtraction(_horne_source(row), fitter)(image)


def _horne_evaluator(slits, fitter, n_slits):
    return [result.fit["flux"] for result in _horne_results(slits, fitter, n_slits)]


def _horne_spectra(slits, n_slits):
    results = _horne_results(slits, sm.VarProFitter(), n_slits)
    return [result.spectrum.flux.value for result in results]


def _horne_fitters(slits, n_slits):
    """Widths from the mean column of each slit, as columns of one image; then one linear fit."""
    images = list(slits.exposure(n_slits).values())
    mean = sm.SpectralImage(
        np.stack([image.data.mean(axis=1) for image in images], axis=1),
        variance=np.stack([image.variance.mean(axis=1) for image in images], axis=1) / SHAPE[1],
    )
    source = sm.Source(
        sm.GaussianProfile(stddev=1.3), sm.TabulatedTrace(mean.x, slits.rows[:n_slits])
    )
    widths = sm.VarProFitter(shared=False)(source, mean)["stddev"]
    fit, out = sm.LinearFitter(), []
    held = _horne_source(0.0)
    held.stddev.fixed = True
    for row, width, image in zip(slits.rows, widths, images, strict=False):
        held.trace_c0, held.stddev = row, width
        out.append(fit(held, image)["flux"])
    return out


# The profile is given, as a pipeline takes it from a reference file; flux and sky are solved for.


class GivenProfile(sm.BasisModel):
    """An image as the basis of one linear parameter: the flux of a known profile."""

    n_inputs = 2

    def __init__(self, image, **parameters):
        self.image = image
        super().__init__(1, **parameters)

    def basis(self, x, y):
        """The image, at the columns and rows asked for."""
        rows, columns = np.asarray(y)[:, 0].astype(int), np.asarray(x)[0].astype(int)
        if len(rows) == len(self.image) and len(columns) == columns[-1] - columns[0] + 1:
            return self.image[:, columns[0] : columns[-1] + 1, None]
        return self.image[np.ix_(rows, columns)][..., None]


def _given_profile(repeat):
    slit = make_slit(0, shape=SHAPE, flagged=True)

    def judged(flux):
        flux = np.atleast_2d(flux)[:1]
        return {"flux/truth": slit.judged(flux, np.ones_like(flux))[0]["flux_ratio"]}

    way = partial(Way, truth=judged)
    peer = way("jwst extract1d, optimal", lambda _: methods.jwst_optimal(slit)[0])
    model = GivenProfile(slit.profiles[0], name="source")
    model = model + sm.ColumnPolynomial(0, limits=(0, SHAPE[0] - 1))
    ours = [
        way("LinearFitter", lambda _: sm.LinearFitter()(model, _fresh(slit.image)).values[0],
            goal=12),
        way("NormalEquations", lambda _: _solved(slit), goal=12),
    ]  # fmt: skip
    return compare("profile given, 50 × 2000", [peer], ours, repeat=3 * repeat)


def _fresh(image):
    """The image made anew from its arrays, with nothing worked out beforehand."""
    return sm.SpectralImage(image.data, variance=image.variance, mask=image.mask)


def _solved(slit):
    image = _fresh(slit.image)
    data = np.where(image.mask, 0.0, image.data)
    columns = [slit.profiles[0], np.ones((SHAPE[0], 1))]
    return sm.NormalEquations.from_columns(columns, data, image.weights).solve().values[0]


# All from the data alone.


def _automatic(repeat):
    rows = []
    for name, options in (("one source", {}), ("three blended", {"n_sources": 3})):
        slit = make_slit(0, **options)

        def judged(result, slit=slit):
            figures = slit.judged(*result)
            return {
                "flux/truth": " ".join(f"{f['flux_ratio']:.3f}" for f in figures),
                "efficiency": " ".join(f"{f['efficiency']:.2f}" for f in figures),
            }

        way = partial(Way, truth=judged)
        peer = way("specreduce FitTrace, Background, HorneExtract",
                   lambda _, slit=slit: methods.specreduce_gaussian(slit))  # fmt: skip
        ours = [way("OptimalExtraction, tables",
                    lambda _, slit=slit: methods.specmodels_automatic(slit))]  # fmt: skip
        rows += compare(f"automatic, 60 × 2048, {name}", [peer], ours, repeat=repeat)
    return rows


# As it comes: nothing set, every slit from its pixels to its table, with the status of the source.

DEFAULTS = {"30 × 400": ((30, 400), 12), "60 × 2048": ((60, 2048), 4),
            "an order of 30 × 4096": ((30, 4096), 4)}  # fmt: skip
BRIGHTNESS = (3.0, 10.0, 30.0, 60.0)


def _default(repeat, quick):
    rows = []
    for name, (shape, n_slits) in DEFAULTS.items():
        n_slits = 4 if quick else n_slits
        slits = [make_slit(seed, shape=shape, snr=BRIGHTNESS[seed % 4]) for seed in range(n_slits)]

        def judged(results, slits=slits):
            figures = [slit.judged(*methods.ordered(result))[0]
                       for slit, result in zip(slits, results, strict=True)]  # fmt: skip
            return {
                "flux/truth": f"{np.mean([f['flux_ratio'] for f in figures]):.3f}",
                "efficiency": f"{np.mean([f['efficiency'] for f in figures]):.2f}",
            }

        way = Way("OptimalExtraction(), tables, report",
                  lambda _, slits=slits: [_as_it_comes(slit.image) for slit in slits],
                  n_units=n_slits, truth=judged)  # fmt: skip
        rows += compare(f"default, {name}", [], [way], repeat=repeat)
    return rows


def _as_it_comes(image):
    result = sm.OptimalExtraction()(image)
    result.tables()
    result.report()
    return result


def _trace(repeat):
    slit = make_slit(0)
    image = methods.spectrum_2d(slit)

    def judged(trace):
        return {"trace, rms pixel": float(np.std(trace - slit.trace[0]))}

    def ours(_):
        guess = find_sources(slit.image, n_sources=1)
        return guess.shape + guess.centers[0]

    peer = Way("specreduce FitTrace, 64 bins",
               lambda _: np.asarray(methods.specreduce_trace(slit, image).trace),
               truth=judged)  # fmt: skip
    return compare("trace, 60 × 2048", [peer], [Way("find_sources", ours, truth=judged)],
                   repeat=repeat)  # fmt: skip
