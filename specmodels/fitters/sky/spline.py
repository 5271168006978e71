"""One B-spline sky for many slits: banded normal equations summed over the slits, solved jointly.

The pixels are fitted where they are: nothing is extracted, resampled or binned. Tilted and curved
slits sample the sky more finely than their pixels, which is what resolves features narrower than
two pixels (Kelson 2003, PASP 115, 688).
"""

import numpy as np

from ...models.background import MasterBackgroundSpectrum
from ...numerics.adaptive_smoothing import SmoothnessPrior
from ...numerics.bsplines import BandedSolution, EquationStack
from ...numerics.cloud import cloud_outliers
from ...numerics.hidden_lines import expected_squares
from .curves import SplineCurve
from .fit import SkyFit, SlitFit, SlitSkyFitter
from .sampling import finest_breaks, gaps_between
from .slits import deviant_rows, local_misfit, misfit_of, worst_slit
from .state import SlitState

__all__ = ["SkyFitter"]

TOLERANCE = 1e-5
MAX_ALTERNATIONS = 50
# Rounds before slits are judged for the first time.
FIRST_ROUNDS = 2
# Rounds after which what was rejected stays so, and variances go half of the way.
FREE_ROUNDS = 5
# A level that is negative by so many standard deviations is not that of a sky.
LEVEL_SIGMA = 5.0


class SkyFitter(SlitSkyFitter):
    r"""Fit :math:`d_i = f_s T_i\,S(\lambda_i)` to the sky pixels of all slits :math:`s` jointly.

    The spline :math:`S` and the grey factors :math:`f_s` are solved for in turn on the normal
    equations, which is cheap as those are not made again; outliers are rejected and the smoothness
    is learnt anew until nothing changes. Slits that disagree with the others are left out,
    one by one.

    Parameters
    ----------
    sigma : float
        Pixels that deviate by more standard deviations are left out.
    smoothing : bool
        Whether the data decide how smooth the spectrum is, place by place (see
        `~specmodels.numerics.adaptive_smoothing.SmoothnessPrior`), where no model is given; else
        all coefficients are free.
    fit_throughput : bool
        Whether the factors of the slits are fitted; else they are one.
    reference : str, optional
        Name of the slit whose factor is one. Default: the mean of all is one.
    disagreement : float or None
        Slits whose smooth misfit, relative to the sky, exceeds this are left out, none with None;
        the limit is up to five times as high where all slits are alike. Of a lone slit those rows
        are left out, such as of a source or the ends of the slit, with a message.
    max_rounds : int
        Largest number of fits.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, sigma=4.0, smoothing=True, fit_throughput=True, reference=None,
                 disagreement=0.03, max_rounds=8):  # fmt: skip
        if not sigma > 0 or max_rounds < 1:
            raise ValueError(f"expected sigma > 0 and max_rounds >= 1, got {sigma}, {max_rounds}")
        if disagreement is not None and not disagreement > 0:
            raise ValueError(
                f"disagreement: expected a positive number or None, got {disagreement!r}"
            )
        self.sigma, self.smoothing = sigma, bool(smoothing)
        self.fit_throughput, self.reference = bool(fit_throughput), reference
        self.disagreement, self.max_rounds = disagreement, int(max_rounds)

    def __call__(self, model, slits):
        """Fit the sky.

        Parameters
        ----------
        model : `~specmodels.models.MasterBackgroundSpectrum` or None
            Breakpoints, or their number; with None placed by the sampling of the data.
        slits : sequence of `~specmodels.fitters.SkyPixels`
            The sky pixels of each slit, in one unit.

        Returns
        -------
        `~specmodels.fitters.SkyFit`

        Raises
        ------
        TypeError
            If the model is of another kind.
        ValueError
            If no slit has pixels, all disagree, or the reference is not among those used.
        """
        if model is not None and not isinstance(model, MasterBackgroundSpectrum):
            raise TypeError(f"model: expected a MasterBackgroundSpectrum, got {model!r}")
        left_out = {p.name: SlitFit(reason="no usable pixel") for p in slits if not p.size}
        rows = set()
        slits = [pixels for pixels in slits if pixels.size]
        if not slits:
            raise ValueError("slits: no background slit has a usable pixel")
        breaks = finest_breaks(slits, model)
        states = [SlitState(pixels, breaks) for pixels in slits]
        smoothing = self.smoothing and model is None
        judged = self.disagreement is not None
        first_rounds = FIRST_ROUNDS if judged and len(slits) > 1 else self.max_rounds
        _leave_out_far_pixels(states, 1.5 * self.sigma)
        system = None
        while True:
            before = None if system is None else system.prior
            system = _JointFit(self, states, breaks, smoothing, before)
            worst, reason = system.worst(first_rounds)
            if worst is None:
                worst, reason = system.worst(self.max_rounds)
            if worst is not None and len(slits) == 1:
                found = system.leave_out_rows()
                rows |= found
                if found:
                    continue
            if worst is None or len(slits) == 1:
                break
            left_out[states[worst].pixels.name] = states[worst].summary(reason)
            if len(states) == 1:
                reasons = "; ".join(f"{name}: {s.reason}" for name, s in left_out.items())
                raise ValueError(f"slits: no background slit is left: {reasons}")
            states = states[:worst] + states[worst + 1 :]
        reason = f"{_rows_text(rows)}; what is left {reason}" if rows and reason else reason
        return system.result(slits, left_out, reason or _rows_text(rows))


class _JointFit:
    """The slits still in use, and the rounds of their joint fit."""

    def __init__(self, settings, states, breaks, smoothing, prior=None):
        self.settings, self.states, self.breaks = settings, states, breaks
        self.smoothing, self.prior = smoothing, prior
        self.names = [state.pixels.name for state in states]
        self.converged, self.n_rounds, self.hidden = False, 0, None
        if settings.reference is not None and settings.reference not in self.names:
            raise ValueError(
                f"reference: expected one of the slits used, {self.names}, got "
                f"{settings.reference!r}"
            )

    def worst(self, n_rounds):
        """Fit in so many rounds; the number of the slit that disagrees most, and why."""
        self.run(n_rounds)
        least = min(range(len(self.states)), key=lambda k: self.states[k].factor)
        factor, error = self.states[least].factor, self.states[least].error
        if self.settings.disagreement is not None and factor < -LEVEL_SIGMA * error:
            return least, f"its level is {factor:.3g} times that of the others: no sky"
        return worst_slit(
            self.names, [s.misfit for s in self.states], limit=self.settings.disagreement
        )

    def run(self, n_rounds):
        """Alternate fits and rejections until nothing changes, or for so many rounds in all."""
        before = self.n_rounds
        while self.n_rounds < min(n_rounds, self.settings.max_rounds) and not self.converged:
            self.n_rounds += 1
            self._solve()
            self.converged = not self._reject()
        if self.n_rounds > before and self.settings.disagreement is not None:
            for state in self.states:
                state.misfit = state.judged(misfit_of, self._light(state))

    def _solve(self):
        """Solve for the spline and the factors in turn."""
        if not any(state.use.any() for state in self.states):
            raise ValueError(_no_agreement(self.states))
        equations = EquationStack([state.own_equations() for state in self.states])
        factors, errors = (np.array([getattr(state, key) for state in self.states])
                           for key in ("factor", "error"))  # fmt: skip
        if self.smoothing:
            self.prior = SmoothnessPrior.learnt(equations.total(factors), self.prior)
        band = None if self.prior is None else self.prior.band
        for _ in range(MAX_ALTERNATIONS):
            total = equations.total(factors)
            self.solution = (total if band is None else total.penalised(band)).solve()
            if not self.settings.fit_throughput or len(self.states) == 1:
                break
            before = factors
            factors, errors = equations.factors(self.solution.values)
            if np.max(np.abs(factors - before)) < TOLERANCE:
                break
        for state, factor, error in zip(self.states, factors, errors, strict=True):
            state.factor, state.error = float(factor), float(error)
        self.equations = total

    def leave_out_rows(self):
        """Leave out rows of the only slit that depart from the others; their numbers."""
        (state,) = self.states
        found = deviant_rows(state.pixels, self._light(state), state.variance, state.inside,
                             limit=self.settings.disagreement)  # fmt: skip
        if found.size:
            state.leave_out(np.isin(state.pixels.rows, found))
        return {int(row) for row in found}

    def _scale_to_reference(self):
        """Make the factor of the reference one."""
        unit = self.states[self.names.index(self.settings.reference)].factor
        self.solution = BandedSolution(unit * self.solution.values, self.solution.factor / unit)
        self.hidden = None if self.hidden is None else unit**2 * self.hidden
        for state in self.states:
            state.factor, state.error = state.factor / unit, state.error / unit

    def _summary(self, state):
        return state.summary(local=state.judged(local_misfit, self._light(state)))

    def _light(self, state):
        return state.factor * state.pixels.throughput * state.basis(self.solution.values)

    def _reject(self):
        """Reject outliers; whether anything changed."""
        changed = False
        for state in self.states:
            light = self._light(state)
            residual = state.pixels.data - light
            variance = state.smoothed_variance(light)
            distance = residual**2 / variance
            use = state.inside & (distance <= self.settings.sigma**2)
            if self.n_rounds > FREE_ROUNDS:
                # Else pixels at the threshold, and the smoothness with them, come and go for ever.
                use &= state.use
                variance = np.sqrt(variance) * np.sqrt(state.variance)
            state.chi2 = float(np.sum(distance[use]))
            changed |= state.update(use, variance)
        return changed

    def result(self, slits, left_out, remark):
        """The `SkyFit`."""
        if self.prior is not None:
            self.hidden = expected_squares(self.equations, self.solution, self.prior)
        if self.settings.reference is not None:
            self._scale_to_reference()
        used = {state.pixels.name: state for state in self.states}
        found = {**left_out, **{name: self._summary(state) for name, state in used.items()}}
        rejected = {name: ~state.use for name, state in used.items()}
        gaps = gaps_between([s.basis.first[s.use] for s in self.states], self.breaks)
        n_effective = None if self.prior is None else self.prior.n_effective
        curve = SplineCurve(self.breaks, self.solution, gaps, n_effective, self.hidden)
        message = f"the only slit: {remark}" if remark else ""
        if not self.converged:
            message = f"outliers still changed after {self.n_rounds} rounds"
        order = [pixels.name for pixels in slits]
        order += [name for name in found if name not in order]
        indices = {name: state.pixels.index for name, state in used.items()}
        return SkyFit(
            curve, {name: found[name] for name in order}, rejected, indices,
            success=self.converged, message=message, n_iterations=self.n_rounds,
        )  # fmt: skip


def _no_agreement(states):
    """That errors have nothing to do with the data."""
    largest = max(np.abs(state.pixels.data).max() for state in states)
    errors = [np.sqrt(np.median(state.pixels.variance)) for state in states]
    return (f"slits: no pixel of {[state.pixels.name for state in states]} agrees with a smooth "
            f"sky within its error; expected variances in the square of the unit of the data, got "
            f"data up to {largest:.3g} with errors of {np.median(errors):.3g}")  # fmt: skip


def _rows_text(rows):
    """Rows that were left out, as ranges."""
    if not rows:
        return ""
    numbers = np.sort(list(rows))
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    ranges = (f"{p[0]}" if p.size == 1 else f"{p[0]} to {p[-1]}" for p in parts)
    return f"rows {', '.join(ranges)} differ from the sky of the others, and were left out"


def _leave_out_far_pixels(states, limit):
    """Leave out what is far from the median of all slits at its wavelength."""
    bins = np.concatenate([state.basis.first // 2 for state in states])
    values = np.concatenate([state.scaled for state in states])
    errors = np.concatenate([np.sqrt(s.variance) / s.pixels.throughput for s in states])
    outlier = cloud_outliers(bins, values, errors, limit=limit)
    sizes = [state.pixels.size for state in states]
    parts = np.split(outlier, np.cumsum(sizes)[:-1])
    for state, far in zip(states, parts, strict=True):
        state.update(state.inside & ~far, state.variance)
