r"""Normal equations of data whose noise is correlated in the order of readout.

With the covariance :math:`N = V + K` of the data, white noise and that which is correlated, they
are :math:`A^T N^{-1} A`, dense, as every pixel has to do with every other. The noise itself is no
unknown but its conditional mean, :math:`K N^{-1} (d - A c)`. All is as in a fit in which each pixel
had a number of its own with the prior :math:`K`. They are factorised here; where they are too many
they are solved by conjugate gradients, see `iterated_equations`.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ...numerics.semiseparable_gram import gram
from .equations import Equations
from .structure import Structure

__all__ = ["CorrelatedEquations", "FactorisedEquations"]

VECTORS_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class CorrelatedEquations(Equations):
    """Equations in the metric of a `~specmodels.fitters.system.noise.Noise`.

    Attributes
    ----------
    noise : Noise
    """

    noise: object = None

    @classmethod
    def of(cls, equations, noise):
        """Those of other equations with the noise added to the white noise of the data."""
        own = {each.name: getattr(equations, each.name) for each in fields(Equations)}
        return cls(**own | cls._changed(equations), noise=noise)

    @staticmethod
    def _changed(equations):
        """Fields that differ from those of the equations without the noise, or with another."""
        return {"known": {}}

    def _words(self, solver):
        size = self.covariance_of_data.amplitudes.size
        return f"{solver}, noise of {size} exponentials in the order of readout"

    @property
    def covariance_of_data(self):
        """Factorised covariance of the data."""
        if "metric" not in self.known:
            self.known["metric"] = self.noise.covariance(self.weights)
        return self.known["metric"]

    @property
    def _kept(self):
        """What neither strengths nor bounds change."""
        return {"matrix": self.data_matrix, "metric": self.covariance_of_data}

    def _of_image(self, number, pixels):
        """Fields that are those of one image."""
        own = super()._of_image(number, pixels)
        return own | {"noise": self.noise.of_image(number, pixels), "known": {}}

    def weighted(self, values, part=slice(None)):
        """Inverse covariance of the data times values, shape (..., n_pixel), of an image's part."""
        full = np.zeros((*values.shape[:-1], len(self.weights)))
        full[..., part] = values
        return self.covariance_of_data.solve(full)[..., part]

    def gradient(self, data, coefficients):
        """Sum over pixels of the weighted data less their model times entries, shape (n,)."""
        return self.transposed(self.weighted(data - self.image(coefficients)))

    def data_product(self, coefficients):
        """Matrix of the data alone times coefficients."""
        return self.transposed(self.weighted(self.image(coefficients)))

    def noise_image(self, residual):
        """Correlated noise of each pixel given what the coefficients leave of the data."""
        return self.covariance_of_data.correlated(self.weighted(residual))

    def followed(self, change, part):
        """What changes of a model, (n, n_pixel), leave when the correlated noise follows them."""
        weights = self.weights[part]
        return np.where(weights > 0, self.weighted(change, part) / np.maximum(weights, 1e-300), 0)

    def weighted_sums(self, sums):
        """Inverse covariance of the data times sums of pixels, shape (n_sum, n_pixel)."""
        return self.weighted(sums.toarray())

    def noise_beyond(self, sums):
        """Of sums of pixels without weight what the correlated noise is to them."""
        if not sums.nnz:
            return super().noise_beyond(sums)
        sums = sums.toarray()
        noise = self.covariance_of_data.correlated(sums)
        told = self.weighted(noise)
        return np.sum(noise * (sums - told), axis=1), sums - told

    def border_part(self, rows):
        """None: the noise couples all coefficients."""

    def projected(self, vectors):
        """Sums over pixels of values times entries, (n_vector, n), for rows of pixels."""
        return np.stack([self.transposed(one) for one in vectors])

    def without_model(self, vectors):
        """Precision of the data with the coefficients free, times vectors (n_vector, n_pixel)."""
        weighted = self.weighted(vectors)
        moved = self.solve(self.projected(weighted).T)
        return weighted - self.weighted(np.stack([self.image(c) for c in moved.T]))


class FactorisedEquations(CorrelatedEquations):
    """Those whose normal matrix is factorised."""

    @staticmethod
    def _changed(equations):
        return {"structure": Structure.dense(equations.n), "known": {}}

    @property
    def kind(self):
        """How they are solved, in words."""
        return self._words(self.structure.kind)

    def _assembled(self):
        """Band, coupling and border of the data alone: all is border."""
        return np.zeros((0, 1)), np.zeros((0, self.n)), self._gram(slice(None))

    def _gram(self, part):
        """Normal matrix of one image's part of the pixels."""
        value = np.zeros(self.value.shape)
        value[part] = self.value[part]
        return gram(self.covariance_of_data, self.index, value, self.n)

    def taken(self, parts):
        """Degrees of freedom that the coefficients take of each image's part of the pixels."""
        inverse = self.factor.border_inverse
        return [float(np.sum(inverse * self._gram(part))) for part in parts]

    def leverages(self):
        """How much each datum is its own model, the noise included, shape (n_pixel,).

        That is one less the variance of the residual over that of the white noise.
        """
        own = self.covariance_of_data.inverse_diagonal.copy()
        root = self.factor.border_root.T
        for start in range(0, len(root), VECTORS_AT_ONCE):
            images = np.stack([self.image(c) for c in root[start : start + VECTORS_AT_ONCE]])
            own -= np.sum(self.weighted(images) ** 2, axis=0)
        return np.clip(1 - own / np.maximum(self.weights, 1e-300), 0.0, 1.0) * (self.weights > 0)

    @cached_property
    def log_determinant(self):
        """Logarithm of the determinant of the matrix, of what it determines."""
        factor = self.factor
        free = ~factor.out
        pivots = np.diagonal(factor.schur)[free]
        return 2 * float(np.sum(np.log(pivots)) - np.sum(np.log(factor.scale[free])))
