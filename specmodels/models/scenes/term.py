"""A scene as a term of the one forward model, and images as terms of a scene.

All its sources are one linear model of the detector. What is fitted with it, a sky, the lines of
the readout, is composed with ``+``; afterwards the scene takes its coefficients and their
covariance from the fit.
"""

from dataclasses import replace

import numpy as np
from astropy.modeling import Model
from astropy.table import QTable
from scipy import sparse

from ..composition import OPERATORS
from ..priors import GaussianPrior, RidgePrior
from ..spectra import LegendreSpectrum
from .entry import SceneEntry
from .grism import DispersedSource

__all__ = ["SceneTerm"]

TERM_NAME = "scene"


class SceneTerm:
    """Mixin of `~specmodels.GrismScene`."""

    def to_model(self, *, name=TERM_NAME, prior=None):
        """All sources as one model, to be composed and fitted with others.

        ``scene + sky`` does it by itself.

        Parameters
        ----------
        name : str
            Name of the model in compounds and results.
        prior : `~specmodels.CoefficientPrior`, optional
            Of all coefficients, such as `prior`. Default: none.

        Returns
        -------
        `~specmodels.DispersedSource`
            With the coefficients of all sources; those that orders share are there once.

        Raises
        ------
        ValueError
            If there is no source in the scene.
        """
        if not self.n_parameters:
            raise ValueError("scene: expected at least one source on the detector, got none")
        columns = by_parameter(self.columns, self.parameters, self.n_parameters)
        values = {f"c{k}": value for k, value in enumerate(self._by_parameter())}
        model = DispersedSource(columns.indices, columns.data, columns.indptr, self.shape,
                                name=name, **values)  # fmt: skip
        if prior is not None:
            model.coefficient_prior = prior
        return model

    def with_image(self, image, label=0, *, prior=None):
        """Copy in which light that is known but for its level is one more source.

        Contamination by sources outside of the image, say, or a background. Its level, relative to
        the image, is fitted with the spectra; light whose level is known belongs to the exposure,
        as its ``known_light``.

        Parameters
        ----------
        image : array_like, shape (n_y, n_x)
        label : int
            By which it is found in results; of no other source. Exposures that are fitted together
            share the level of one label.
        prior : `~specmodels.GaussianPrior`, optional
            Of the level; by default one, give or take one.

        Raises
        ------
        ValueError
            If the image has another shape, is not finite or zero everywhere, or the label is taken.
        """
        image = np.asarray(image, dtype=float)
        if image.shape != self.shape:
            raise ValueError(f"image: expected the shape {self.shape}, got {image.shape}")
        if not np.all(np.isfinite(image)) or not image.any():
            raise ValueError("image: expected finite values, not all of them zero")
        if any(entry.label == label for entry in self.entries):
            raise ValueError(f"label: expected one of no source of the scene, got {label}")
        level = LegendreSpectrum(0, limits=self._limits())
        level.c0.prior = GaussianPrior(1, 1) if prior is None else prior
        n = self.columns.shape[1]
        entry = SceneEntry(int(label), 1, n, n + 1, level, float(np.abs(image).sum()))
        column = sparse.csc_array(image.reshape(-1, 1))
        return replace(
            self, entries=(*self.entries, entry), coefficients=np.append(self.coefficients, 1.0),
            columns=sparse.csc_array(sparse.hstack([self.columns, column], format="csc")),
            parameters=np.append(self.parameters, self.n_parameters),
            decisions=self._with_decision(entry),
        )  # fmt: skip

    def _with_decision(self, entry):
        """The decisions on all sources, and on a further one that was not chosen by anything."""
        if self.decisions is None:
            return None
        rows = [dict(zip(self.decisions.colnames, row, strict=True)) for row in self.decisions]
        own = {"label": entry.label, "order": entry.order, "magnitude": np.nan, "snr": np.nan,
               "dispersed": True, "reason": ""}  # fmt: skip
        return QTable(rows=[*rows, own], names=list(own))

    def _limits(self):
        """Wavelengths of all sources."""
        limits = [entry.spectrum.limits for entry in self.entries] or [(-1.0, 1.0)]
        return min(low for low, _ in limits), max(high for _, high in limits)

    def prior(self, strength=None):
        r"""Prior by which spectra are like their initial ones, relative to their levels.

        Chi-square grows by :math:`\lambda \sum_k (c_k - m_k)^2 / l_k^2` with the coefficients
        :math:`m` of the scene and the level :math:`l` of each source.

        Parameters
        ----------
        strength : float, optional
            :math:`\lambda`, one over the relative variance; None: learnt from the data.

        Returns
        -------
        `~specmodels.RidgePrior`
        """
        level = np.ones(self.n_parameters)
        for entry in self.entries:
            basis = entry.spectrum.basis(np.linspace(*entry.spectrum.limits, 101)).mean(axis=0)
            own = abs(basis @ self.coefficients[entry.terms])
            level[self.parameters[entry.terms]] = own or 1.0
        return RidgePrior(strength, mean=self._by_parameter(), scale=level)

    def fitted(self, fit, *, name=TERM_NAME):
        """The scene with the coefficients that a fit has found.

        Sources that the data do not determine keep their spectra.

        Parameters
        ----------
        fit : `~specmodels.FitResult`
            Of a model with this scene in it.
        name : str
            Of the scene in the model.

        Raises
        ------
        ValueError
            If there is no such scene in the fit.
        """
        positions = self._positions(fit, name)
        found = np.array([float(fit.values[k]) for k in positions])
        values = np.where(np.isfinite(found), found, self._by_parameter())
        return self.with_coefficients(values[self.parameters])

    def coefficient_covariance(self, fit, key, *, name=TERM_NAME):
        """Covariance of the coefficients of a source, that of all else included.

        Parameters
        ----------
        fit : `~specmodels.FitResult`
            Of a model with this scene in it.
        key : tuple of int, int or str
            Label and order of the source, or its label.
        name : str
            Of the scene in the model.

        Returns
        -------
        ndarray, shape (n_terms, n_terms)
            Infinite variances where the data do not determine a coefficient.
        """
        positions = self._positions(fit, name)
        own = [positions[k] for k in self.parameters[self.entry(key).terms]]
        return fit.covariance_of(*[{fit.names[k]: 1.0} for k in own])

    def _by_parameter(self):
        """Coefficients by free parameter, shape (n_parameters,)."""
        values = np.zeros(self.n_parameters)
        values[self.parameters] = self.coefficients
        return values

    def _positions(self, fit, name):
        found = [list(positions) for leaf, positions in fit.form.leaves()
                 if isinstance(leaf, DispersedSource) and leaf.name == name]  # fmt: skip
        if len(found) != 1 or len(found[0]) != self.n_parameters:
            names = [leaf.name for leaf, _ in fit.form.leaves()]
            raise ValueError(
                f"fit: expected a scene {name!r} of {self.n_parameters} coefficients among its "
                f"terms, got {names}"
            )
        return found[0]


def by_parameter(columns, parameters, n_parameters):
    """Sparse columns of terms, added up where they share a parameter: (n_pixel, n_parameters)."""
    if len(parameters) == n_parameters and np.array_equal(parameters, np.arange(n_parameters)):
        return columns
    matrix = sparse.csc_array((np.ones(len(parameters)), (np.arange(len(parameters)), parameters)),
                              shape=(len(parameters), n_parameters))  # fmt: skip
    out = sparse.csc_array(columns @ matrix)
    out.sort_indices()
    return out


def _as_left(operator):
    def composed(scene, other):
        return operator(scene.to_model(), other) if isinstance(other, Model) else NotImplemented

    return composed


def _as_right(operator):
    def composed(scene, other):
        return operator(other, scene.to_model()) if isinstance(other, Model) else NotImplemented

    return composed


for _name, _operator in OPERATORS.items():
    if _name != "__and__":
        setattr(SceneTerm, _name, _as_left(_operator))
        setattr(SceneTerm, _name.replace("__", "__r", 1), _as_right(_operator))
