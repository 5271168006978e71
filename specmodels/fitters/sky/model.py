"""The sky of many slits as any model that is linear in its parameters, fitted to all pixels.

The spectrum is a term of the one forward model, each pixel times its throughput; the levels of the
slits are found in turn with it.
"""

from dataclasses import dataclass

import numpy as np
from astropy.modeling import Model

from ...models.composition import Composition, Coordinate
from ...models.linear_form import LinearForm, design_matrix
from ...spectral_image import SpectralImage
from ..linear import LinearFitter
from .fit import SkyFit, SlitFit, SlitSkyFitter
from .slits import local_misfit, misfit_of, worst_slit

__all__ = ["ModelCurve", "SkyModelFitter"]

TOLERANCE = 1e-6
POINTS_AT_ONCE = 20_000


class SkyModelFitter(SlitSkyFitter):
    r"""Fit :math:`d_i = f_s T_i\,S(\lambda_i)` with any model :math:`S` of the wavelength.

    The model is an astropy model or compound of one input; what it is linear in is fitted, with the
    priors it has, and other parameters keep their values. Outliers are rejected, and slits that
    disagree with the others left out, one by one.

    Parameters
    ----------
    sigma : float
        Pixels that deviate by more standard deviations are left out.
    fit_throughput : bool
        Whether the levels of the slits are fitted, their mean being one; else they are one.
    disagreement : float or None
        As for `SkyFitter`.
    max_rounds : int
        Largest number of fits.

    Raises
    ------
    ValueError
        If a setting is out of range.
    """

    def __init__(self, *, sigma=4.0, fit_throughput=True, disagreement=0.03, max_rounds=20):
        if not sigma > 0 or max_rounds < 1:
            raise ValueError(f"expected sigma > 0 and max_rounds >= 1, got {sigma}, {max_rounds}")
        if disagreement is not None and not disagreement > 0:
            raise ValueError(
                f"disagreement: expected a positive number or None, got {disagreement!r}"
            )
        self.sigma, self.fit_throughput = float(sigma), bool(fit_throughput)
        self.disagreement, self.max_rounds = disagreement, int(max_rounds)

    def __call__(self, model, slits):
        """Fit the sky; see `SlitSkyFitter`."""
        _check(model)
        left_out = {p.name: SlitFit(reason="no usable pixel") for p in slits if not p.size}
        used = [pixels for pixels in slits if pixels.size]
        while used:
            rounds = _Rounds(self, model, used)
            rounds.run()
            worst, reason = worst_slit([p.name for p in used], rounds.misfits,
                                       limit=self.disagreement)  # fmt: skip
            if worst is None or len(used) == 1:
                return rounds.result(slits, left_out, reason if len(used) == 1 else "")
            left_out[used[worst].name] = rounds.slit_fits(reason)[used[worst].name]
            used = used[:worst] + used[worst + 1 :]
        raise ValueError("slits: no background slit has a usable pixel")


def _check(model):
    if not isinstance(model, Model) or model.n_inputs != 1 or model.n_outputs != 1:
        raise TypeError(f"model: expected a model of the wavelength, got {model!r}")
    form = LinearForm(model)
    if not form.linear:
        raise ValueError(f"model: expected a free linear parameter among {list(form.names)}; for "
                         "others derive a fitter of your own from SlitSkyFitter")  # fmt: skip


class _Rounds:
    """The pixels of some slits, by wavelength, and the rounds of their fit."""

    def __init__(self, settings, model, slits):
        self.settings, self.slits = settings, slits
        names = ("wavelength", "data", "variance", "throughput")
        values = {key: np.concatenate([getattr(p, key) for p in slits]) for key in names}
        self.owner = np.repeat(np.arange(len(slits)), [p.size for p in slits])
        # Neighbours in wavelength see the same coefficients, whichever slit they are of.
        self.order = np.argsort(values["wavelength"], kind="stable")
        self.wavelength, self.data, self.variance, self.throughput = (
            values[key][self.order] for key in names
        )
        self.owner = self.owner[self.order]
        self.model = Composition("|", Coordinate("wavelength"), model) * Coordinate("throughput")
        self.levels, self.errors = np.ones(len(slits)), np.zeros(len(slits))
        self.use, self.converged, self.count = np.ones(len(self.data), bool), False, 0

    def run(self):
        """Alternate the spectrum, levels and rejection until nothing changes."""
        while not self.converged and self.count < self.settings.max_rounds:
            self.count += 1
            self.fit = LinearFitter()(self.model, self._image(), share={})
            before = self.levels, self.use
            self.spectrum = self.fit.predict()[0] / (self.throughput * self.levels[self.owner])
            self._find_levels()
            self.light = self.levels[self.owner] * self.throughput * self.spectrum
            far = np.abs(self.data - self.light) > self.settings.sigma * np.sqrt(self.variance)
            self.use = np.isfinite(self.light) & ~far
            settled = np.max(np.abs(self.levels - before[0])) < TOLERANCE
            self.converged = bool(settled and np.array_equal(self.use, before[1]))
        self.misfits = self.judged()

    def _image(self):
        """All pixels as one row."""
        throughput = self.throughput * self.levels[self.owner]
        return SpectralImage(
            self.data[None], variance=self.variance[None], mask=~self.use[None],
            wavelength=self.wavelength[None], coordinates={"throughput": throughput[None]},
            name="sky",
        )  # fmt: skip

    def _find_levels(self):
        if not self.settings.fit_throughput or len(self.slits) == 1:
            return
        light = np.where(self.use, np.nan_to_num(self.throughput * self.spectrum), 0.0)
        top, below = (np.bincount(self.owner, light * other / self.variance, len(self.slits))
                      for other in (self.data, light))  # fmt: skip
        known = below > 0
        levels = np.divide(top, below, out=np.ones(len(top)), where=known)
        unit = np.mean(levels[known]) if known.any() else 1.0
        self.levels = levels / unit
        self.errors = np.where(known, 1 / np.sqrt(np.where(known, below, 1.0)) / unit, np.inf)

    def _of_slits(self, values):
        """Values of the pixels of each slit, in their order there."""
        out = np.empty_like(values)
        out[self.order] = values
        return np.split(out, np.cumsum([p.size for p in self.slits])[:-1])

    def judged(self, judge=misfit_of):
        """How each slit departs from the sky, by `misfit_of` or `local_misfit`."""
        lights = self._of_slits(self.light)
        return [judge(p.take(known), light[known], p.variance[known])
                for p, light in zip(self.slits, lights, strict=True)
                for known in [np.isfinite(light)]]  # fmt: skip

    def slit_fits(self, reason=""):
        """The `SlitFit` of each slit, by name."""
        distance = np.where(self.use, (self.data - np.nan_to_num(self.light)) ** 2, 0.0)
        parts = zip(self.slits, self._of_slits(distance / self.variance), self._of_slits(self.use),
                    self.misfits, self.judged(local_misfit), self.levels, self.errors,
                    strict=True)  # fmt: skip
        return {p.name: SlitFit(float(level), float(error), float(chi2.sum()), int(use.sum()),
                                int((~use).sum()), float(misfit[0]), reason, local)
                for p, chi2, use, misfit, local, level, error in parts}  # fmt: skip

    def result(self, slits, left_out, remark):
        """The `SkyFit`."""
        found = {**left_out, **self.slit_fits()}
        message = "" if self.converged else f"the fit still changed after {self.count} rounds"
        message = "; ".join(filter(None, [message, self.fit.message]))
        remark = f"the only slit: {remark}" if remark else ""
        rejected = dict(zip((p.name for p in self.slits), self._of_slits(~self.use), strict=True))
        return SkyFit(
            ModelCurve.of(self.fit, self.model.left.right, self.wavelength[self.use]),
            {p.name: found[p.name] for p in slits}, rejected,
            {p.name: p.index for p in self.slits}, success=not message,
            message=message or remark, n_iterations=self.count,
        )  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class ModelCurve:
    """A fitted model of the wavelength with the covariance of its linear parameters.

    Attributes
    ----------
    model : `~astropy.modeling.Model`
        With the fitted values.
    coefficient_covariance : ndarray, shape (n_terms, n_terms)
        Infinite variances where the data do not determine a parameter.
    limits : tuple of float
        First and last wavelength with data; beyond, nothing is known.
    n_free : float
        Number of parameters that the data determine.
    """

    model: Model
    coefficient_covariance: np.ndarray
    limits: tuple
    n_free: float

    @classmethod
    def of(cls, fit, template, wavelength):
        """The curve of a fit of a model to pixels at these wavelengths."""
        model, form = template.copy(), LinearForm(template)
        for name, value in zip(template.param_names, fit.values, strict=True):
            setattr(model, name, float(np.nan_to_num(value)))
        covariance = fit.covariance_of(*[{fit.names[k]: 1.0} for k in form.linear])
        free = np.count_nonzero(fit.image.weights) - float(np.sum(fit.dof))
        return cls(model, covariance, (float(wavelength.min()), float(wavelength.max())), free)

    @property
    def n_terms(self):
        """Number of linear parameters."""
        return len(self.coefficient_covariance)

    def _rows(self, wavelength):
        """Derivative by the linear parameters, and where nothing is known of one that counts."""
        rows = design_matrix(self.model, wavelength)
        lost = ~np.isfinite(np.diagonal(self.coefficient_covariance))
        return np.where(lost, 0.0, rows), np.any(rows[..., lost] != 0, axis=-1)

    @property
    def _known_covariance(self):
        return np.nan_to_num(self.coefficient_covariance, nan=0.0, posinf=0.0)

    def __call__(self, wavelength):
        """Value and variance, NaN where nothing is known; each of shape (...)."""
        points = np.asarray(wavelength, dtype=float)
        flat = points.ravel()
        value, variance = np.full(flat.shape, np.nan), np.full(flat.shape, np.nan)
        with np.errstate(invalid="ignore"):
            inside = np.flatnonzero((flat >= self.limits[0]) & (flat <= self.limits[1]))
        for start in range(0, inside.size, POINTS_AT_ONCE):
            chunk = inside[start : start + POINTS_AT_ONCE]
            rows, lost = self._rows(flat[chunk])
            own = np.einsum("ni,ij,nj->n", rows, self._known_covariance, rows, optimize=True)
            value[chunk] = np.where(lost, np.nan, self.model(flat[chunk]))
            variance[chunk] = np.where(lost, np.nan, own)
        return value.reshape(points.shape), variance.reshape(points.shape)

    def covariance(self, wavelength):
        """Covariance matrix of the values at the wavelengths, shape (n, n)."""
        rows, _ = self._rows(np.asarray(wavelength, dtype=float))
        return rows @ self._known_covariance @ rows.T

    def mean(self, edges):
        """Mean between neighbouring edges and its variance, by Gauss's rule with five points."""
        nodes, weights = np.polynomial.legendre.leggauss(5)
        edges = np.asarray(edges, dtype=float)
        points = 0.5 * (edges[1:] + edges[:-1])[:, None] + 0.5 * np.diff(edges)[:, None] * nodes
        value, _ = self(points)
        rows, _ = self._rows(points)
        rows = np.einsum("bnk,n->bk", rows, weights / 2)
        variance = np.einsum("bi,ij,bj->b", rows, self._known_covariance, rows, optimize=True)
        value = value @ weights / 2
        return value, np.where(np.isfinite(value), variance, np.nan)
