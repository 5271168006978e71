"""Any linear model of the time within a line as a noise model: fitted to each line by itself."""

from dataclasses import replace

import numpy as np

from ...numerics import NormalEquations
from ..linear import BasisModel
from .plan import NoisePlan

__all__ = ["LineModel", "as_noise_model"]

# Of coefficients that do not scatter, over the variance of a pixel.
LEAST_SCATTER = 1e-6


def as_noise_model(model):
    """What flicker noise is fitted by: the model itself, or a `LineModel` of it.

    Raises
    ------
    TypeError
        If it is neither a noise model nor a linear model of the time.
    """
    if not isinstance(model, type):
        if hasattr(model, "plan"):
            return model
        if isinstance(model, BasisModel) and getattr(model, "coordinates", None) == ("time",):
            return LineModel(model)
    raise TypeError(
        "noise_model: expected a noise model with a method plan, or a BasisModel whose coordinates "
        f"are ('time',), got {model!r}"
    )


class LineModel:
    """Noise model whose lines are sums of the functions of a `~specmodels.BasisModel`.

    Parameters
    ----------
    model : `~specmodels.BasisModel`
        Of the time within a line, in pixel times.
    """

    weighs = False

    def __init__(self, model):
        self.model = model

    def __repr__(self):
        return f"LineModel({self.model!r})"

    def plan(self, readout, use, *, white=np.nan, sample=None, variance=None):
        """Plan for frames with this mask; see `~specmodels.NoisePlan`."""
        return _LinePlan(self.model, readout.along_stripes(), use, white, sample)


class _LinePlan(NoisePlan):
    """Functions of the time, fitted to all lines at once.

    Coefficients are drawn to zero by as much as they scatter from line to line in a sample frame:
    those of which the pixels of a line tell little do not extrapolate.
    """

    def __init__(self, model, readout, use, white, sample):
        super().__init__(readout, use, white)
        lines = readout.lines(use)
        parts, positions = readout.parts(lines.shape[1])
        times = np.empty(lines.shape[1])
        for part, own in zip(parts, positions, strict=True):
            times[part] = own
        self.basis = np.asarray(model.terms(times), dtype=float)
        self.prior = np.zeros(self.basis.shape[1])
        if sample is not None and use.any():
            self.prior = self._learnt_prior(readout.lines(sample), lines)

    def _solved(self, lines, used):
        """Coefficients, shape (n_term, n_line), and covariance over the variance of a pixel."""
        columns = [term[:, None] for term in self.basis.T]
        data = np.where(used, lines, 0.0).astype(float).T
        equations = NormalEquations.from_columns(columns, data, used.T.astype(float))
        return replace(equations, matrix=equations.matrix + np.diag(self.prior)[..., None]).solve()

    def _learnt_prior(self, lines, used):
        """Variance of a pixel over that of each coefficient, shape (n_term,)."""
        lines = lines - self._level(np.where(used, lines, 0.0), used)
        found = self._solved(lines, used)
        residual = np.where(used, lines - self._lines_of(found), 0.0)
        freedom = max(np.count_nonzero(used) - np.isfinite(found.values).sum(), 1)
        white = max(float(np.sum(residual**2)) / freedom, 1e-150)  # its square is a number
        noise = white * np.einsum("kkb->kb", found.covariance)
        known = np.isfinite(noise) & np.isfinite(found.values)
        weight = np.where(known, np.where(known, noise, 1.0) ** -2.0, 0.0)
        excess = np.where(known, np.nan_to_num(found.values) ** 2 - np.nan_to_num(noise), 0.0)
        total = np.maximum(weight.sum(axis=1), 1e-300)
        scatter = np.sum(weight * excess, axis=1) / total
        return white / np.maximum(scatter, LEAST_SCATTER * white)

    def _lines_of(self, solved):
        return (self.basis @ np.nan_to_num(solved.values)).T

    def __call__(self, frame, bad=None, near=None):
        lines, used = self._masked(frame, bad)
        out = np.empty(self.use.shape, "f4")
        found = self._solved(lines - self._level(lines, used), used)
        self.readout.lines(out)[...] = self._lines_of(found)
        return out

    @property
    def variance(self):
        used = self.readout.lines(self.use)
        covariance = np.nan_to_num(self._solved(np.zeros(used.shape), used).covariance)
        out = np.empty(self.use.shape, "f4")
        self.readout.lines(out)[...] = self.white * np.einsum(
            "tk,klb,tl->bt", self.basis, covariance, self.basis, optimize=True
        )
        return out
