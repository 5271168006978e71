"""A profile and a parabola fitted to every column by itself. Times are per column."""

from functools import partial

import numpy as np
from astropy.modeling import fitting, models

import specmodels as sm

from .comparison import Way, compare

N_ROWS, N_COLUMNS, N_PEER = 50, 2000, 60
READ_NOISE, SKY = 5.0, 20.0
GOAL = 200


def run(*, quick=False):
    """One row for each profile and fitter."""
    repeat = 2 if quick else 7
    return [*_compared("Gaussian", _gaussian(), repeat), *_compared("Moffat", _moffat(), repeat)]


class Columns:
    """Columns with a profile of their own each; centres are the truth to be found."""

    def __init__(self, profile, shape):
        rng = np.random.default_rng(2)
        rows = np.arange(N_ROWS, dtype=float)[:, None]
        self.rows = rows[:, 0]
        self.center = 24.5 + rng.uniform(-1, 1, N_COLUMNS)
        shape = [value * (1 + 0.1 * rng.uniform(-1, 1, N_COLUMNS)) for value in shape]
        flux = 3000 * rng.uniform(0.5, 1.5, N_COLUMNS)
        sky = SKY + 0.1 * (rows - 25) + 0.002 * (rows - 25) ** 2
        light = flux * profile.evaluate(rows, self.center, *shape) + sky
        self.variance = light + READ_NOISE**2
        self.data = light + np.sqrt(self.variance) * rng.normal(size=light.shape)

    def truth(self, found):
        """Robust width of the errors of the centres, in pixels, of the columns all have fitted."""
        wrong = np.asarray(found)[:N_PEER] - self.center[:N_PEER]
        return {"error of centre": float(1.4826 * np.median(np.abs(wrong)))}


def _gaussian():
    columns = Columns(sm.GaussianProfile(), (2.0,))
    stock = models.Gaussian1D(600.0, 24.5, 2.3) + models.Polynomial1D(2)
    source = sm.Source(sm.GaussianProfile(stddev=2.3), sm.PolynomialTrace(0, c0=24.5))
    return columns, stock, "mean_0", source


def _moffat():
    columns = Columns(sm.MoffatProfile(), (3.0, 3.0))
    stock = models.Moffat1D(600.0, 24.5, 3.3, 2.5) + models.Polynomial1D(2)
    source = sm.Source(sm.MoffatProfile(gamma=3.3, alpha=2.5), sm.PolynomialTrace(0, c0=24.5))
    return columns, stock, "x_0_0", source


def _compared(name, inputs, repeat):
    columns, stock, center, source = inputs
    peer = partial(Way, n_units=N_PEER, truth=columns.truth)
    own = partial(Way, n_units=N_COLUMNS, truth=columns.truth, goal=GOAL)
    peers = [
        peer(f"astropy {fitter.__name__}", partial(_loop, fitter, stock, center, columns))
        for fitter in (fitting.TRFLSQFitter, fitting.LevMarLSQFitter)
    ]
    full = source + sm.ColumnPolynomial(2, limits=(0, N_ROWS - 1))
    ours = [
        own("VarProFitter, the same model", partial(_batch, stock, center, columns)),
        own("VarProFitter, integrated over pixels", partial(_batch, full, "trace_c0_0", columns)),
    ]
    return compare(f"{name} + parabola, 50 pixels", peers, ours, repeat=repeat)


def _loop(fitter_class, model, center, columns, n_columns):
    fitter, found = fitter_class(), []
    weights = 1 / np.sqrt(columns.variance)
    for k in range(n_columns):
        fit = fitter(model, columns.rows, columns.data[:, k], weights=weights[:, k])
        found.append(getattr(fit, center).value)
    return found


def _batch(model, center, columns, n_columns):
    image = sm.SpectralImage(columns.data[:, :n_columns], variance=columns.variance[:, :n_columns])
    return sm.VarProFitter(shared=False)(model, image)[center]
