"""What the fit of a scene returns: fitted scenes, covariance, and the decision on every source."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import QTable

from ...numerics.blocks import Blocks
from ...numerics.scene_pixels import lit_pixels, pixel_variance

__all__ = ["SceneFit", "SourceFit"]


@dataclass(frozen=True)
class SourceFit:
    """What became of one source.

    Attributes
    ----------
    key : tuple of int
        Label and order; for shared orders the first.
    terms : slice
        Its parameters.
    success : bool
    reason : str
        Why it kept its initial spectrum, if it did.
    n_pixels : int
        Pixels with weight that its light reaches.
    chi2 : float
        Of the whole scene, there.
    n_clipped : int
        Pixels of its light that were left out of the fit as outliers.
    """

    key: tuple
    terms: slice
    success: bool
    reason: str
    n_pixels: int
    chi2: float
    n_clipped: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class SceneFit:
    """Fitted scenes of one or more exposures.

    Attributes
    ----------
    scenes : tuple of GrismScene
        With the fitted coefficients.
    exposures : tuple of SlitlessExposure
    index : tuple of ndarray
        For each scene the parameter of each of its terms.
    values : ndarray, shape (n_parameters,)
    covariance : ndarray or `~specmodels.numerics.blocks.Blocks`
        Of all parameters, shape (n_parameters, n_parameters), or within each source with its
        neighbours held. Zero for sources that kept their initial spectrum: nothing was learnt of
        them; see `errors` and `coefficient_covariance`, where they are infinite.
    sources : tuple of SourceFit
    chi2 : float
        Over all pixels with weight that any source reaches.
    dof : int
        Their number less that of the fitted parameters.
    noise : float
        Standard deviation of the pixels, estimated where none is known; else one.
    n_iterations : int
    converged : bool
    clipped : tuple of ndarray of int
        For each exposure, indices on the flattened detector of the pixels left out as outliers.
    model_error : float
        Relative error of the shapes of the sources that was assumed.
    """

    scenes: tuple
    exposures: tuple
    index: tuple
    values: np.ndarray
    covariance: object
    sources: tuple
    chi2: float
    dof: int
    noise: float
    n_iterations: int
    converged: bool
    clipped: tuple = ()
    model_error: float = 0.0

    def __repr__(self):
        n_good = sum(source.success for source in self.sources)
        reduced = self.chi2 / max(self.dof, 1)
        return (
            f"<SceneFit: {n_good} of {len(self.sources)} sources fitted, "
            f"{len(self.values)} parameters, chi2 / dof {reduced:.3g}>"
        )

    @property
    def scene(self):
        """The fitted scene of the first exposure."""
        return self.scenes[0]

    @property
    def errors(self):
        """Standard deviation of each parameter, infinite where not fitted; (n_parameters,)."""
        blocks = isinstance(self.covariance, Blocks)
        variances = self.covariance.variances if blocks else np.diagonal(self.covariance)
        out = np.sqrt(variances)
        for source in self.sources:
            if not source.success:
                out[source.terms] = np.inf
        return out

    def source(self, key):
        """The fit of a source.

        Raises
        ------
        KeyError
            If it is not in the scene.
        """
        return self.sources[self._block(key)]

    def _block(self, key, exposure=0):
        entry = self.scenes[exposure].entry(key)
        first = self.index[exposure][entry.first]
        return next(b for b, one in enumerate(self.sources) if one.terms.start == first)

    def coefficient_covariance(self, key, exposure=0):
        """Covariance of the coefficients of a source, shape (n_terms, n_terms).

        Infinite variances where it was not fitted and kept its initial spectrum.
        """
        block = self._block(key, exposure)
        terms = self.sources[block].terms
        if not self.sources[block].success:
            return np.diag(np.full(terms.stop - terms.start, np.inf))
        if not isinstance(self.covariance, Blocks):
            return self.covariance[terms, terms]
        n = terms.stop - terms.start
        at = self.covariance.offset[block]
        return self.covariance.inverses[at : at + n * n].reshape(n, n)

    def residual(self, exposure=0):
        """Data minus the fitted scene, zero where masked, shape (n_y, n_x)."""
        image = self.exposures[exposure]
        model = self.scenes[exposure].simulated_image + image.known_light
        return np.where(image.mask, 0.0, image.data - model)

    @cached_property
    def _rows(self):
        """Columns of each scene by lit pixel, and the number of each pixel, negative if dark."""
        out = []
        for scene in self.scenes:
            pixels, columns = lit_pixels(scene.columns)
            rows = columns.tocsr()
            rows.sort_indices()
            # Zero for dark pixels, so that only memory of those lit is ever touched.
            number = np.zeros(scene.columns.shape[0], dtype=np.int32)
            number[pixels] = np.arange(1, len(pixels) + 1)
            out.append((rows, number.reshape(scene.shape)))
        return out

    def contamination_variance(self, key, window, exposure=0):
        """Variance of the model of all but one source in one order, from that of the parameters.

        Parameters
        ----------
        key : tuple of int, int or str, optional
            None for all sources.
        window : tuple of slice
        exposure : int

        Returns
        -------
        ndarray, shape of the window
        """
        rows, number = self._rows[exposure]
        chosen = number[window] - 1
        entry = None if key is None else self.scenes[exposure].entry(key)
        skip = slice(0, 0) if entry is None else slice(entry.first, entry.stop)
        covariance = self.by_term(exposure)
        return pixel_variance(rows, chosen.ravel(), covariance, skip).reshape(chosen.shape)

    def by_term(self, exposure):
        """Covariance of the terms of a scene."""
        index = self.index[exposure]
        if np.array_equal(index, np.arange(len(self.values))):
            return self.covariance
        if not isinstance(self.covariance, Blocks):
            return self.covariance[np.ix_(index, index)]
        return _blocks_of_terms(self.covariance, index, self.scenes[exposure].entries)

    def report(self):
        """One row for each source: level, coefficients, errors, chi-square, reason.

        Returns
        -------
        `~astropy.table.QTable`
        """
        rows = []
        errors = self.errors
        for one in self.sources:
            rows.append({
                "label": one.key[0], "order": one.key[1], "fitted": one.success,
                "reason": one.reason, "n_pixels": one.n_pixels,
                "n_clipped": one.n_clipped,
                "chi2_per_pixel": one.chi2 / one.n_pixels if one.n_pixels else np.nan,
                "coefficients": _text(self.values[one.terms]),
                "errors": _text(errors[one.terms]),
            })  # fmt: skip
        names = ("label", "order", "fitted", "reason", "n_pixels", "n_clipped",
                 "chi2_per_pixel", "coefficients", "errors")  # fmt: skip
        return QTable(rows=rows, names=names) if rows else QTable(names=names)


def _text(values):
    return " ".join(f"{value:.4g}" for value in values)


def _blocks_of_terms(blocks, index, entries):
    """Blocks of the entries of a scene, each with the inverse of its parameters."""
    start = np.array([entry.first for entry in entries] + [len(index)], dtype=np.int64)
    size = np.diff(start)
    offset = np.concatenate([[0], np.cumsum(size**2)])
    block = np.searchsorted(blocks.start, index[start[:-1]], side="right") - 1
    at = np.repeat(blocks.offset[block] - offset[:-1], size**2) + np.arange(offset[-1])
    return Blocks(start, offset, blocks.matrices[at], blocks.inverses[at], blocks.singular[block],
                  blocks.empty[block])  # fmt: skip
