"""The normal equations of all pixels and priors: assembled, factorised, and solved."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...numerics.bordered_band import BorderedBand
from ...numerics.sparse_rows import border_leverages, leverages, normal_equations

__all__ = ["Equations"]

# Corrections by what a solution leaves of the data: normal equations alone lose half of the digits.
REFINEMENTS = 1
BORDER_AT_ONCE = 32  # coefficients of the border whose leverages are looked at together


@dataclass(frozen=True, eq=False)
class Equations:
    """Entries and weights of all pixels, with their factorised normal matrix.

    Factorised once, it serves for any data.

    Attributes
    ----------
    entries : Entries
        Coefficient numbers and values of the entries of each pixel.
    weights : ndarray, shape (n_pixel,)
    structure : Structure
    penalties : Penalties
    strengths : ndarray, shape (n_penalty,)
    ridge : float
        Relative to the diagonal of the data's matrix.
    held : ndarray of bool, shape (n,), optional
        Coefficients that are held at a bound.
    """

    entries: object
    weights: np.ndarray
    structure: object
    penalties: object
    strengths: np.ndarray
    ridge: float = 0.0
    held: np.ndarray | None = None
    known: dict = field(default_factory=dict)
    noise = None  # that is correlated: see `correlated_equations`

    def with_strengths(self, strengths):
        """The same pixels with other strengths of the priors."""
        # Strengths that are given are set once: the matrix would be kept for nothing.
        known = self._kept if self.penalties.learnt else {}
        return replace(self, strengths=strengths, known=known)

    def holding(self, held):
        """The same with these coefficients held."""
        return replace(self, held=held, known=self._kept)

    @property
    def unbounded(self):
        """The same before any coefficient was held at a bound, which its errors are those of."""
        return self.known.get("unbounded", self)

    def reweighted(self, weights):
        """The same pixels with other weights, none where there was none."""
        return replace(self, weights=weights, known={})

    @property
    def _kept(self):
        """What neither strengths nor bounds change."""
        return {"matrix": self.data_matrix}

    def forget_matrix(self):
        """Let go of the matrix, of which the factor is kept."""
        for one in (self, self.unbounded):
            one.known.pop("matrix", None)

    @property
    def kind(self):
        """How they are solved, in words."""
        return self.structure.kind

    @property
    def direct(self):
        """Equations whose solutions take no iterations: these, or what they are close to."""
        return self

    def covariance_times(self, rows):
        """Covariance of the coefficients times sums of them, (n_sum, n): shape (n, n_sum)."""
        out = self.solve(np.ascontiguousarray(rows.T))
        if self.held is not None:
            out[self.held] = 0.0
        return out

    def determines(self, rows):
        """Whether the data and the priors determine sums of coefficients, (n_sum, n)."""
        ranked = np.empty(rows.shape)
        ranked[:, self.structure.rank] = rows
        return self.factor.determines(ranked)

    def weighted(self, values, part=slice(None)):
        """Inverse covariance of the data times values, shape (..., n_pixel), of an image's part."""
        return values * self.weights[part]

    def weighted_sums(self, sums):
        """Inverse covariance of the data times sums of pixels, (n_sum, n_pixel), sparse."""
        return sums * self.weights

    def noise_beyond(self, sums):
        """Of sums of pixels without weight what the correlated noise is to them.

        Parameters
        ----------
        sums : sparse array, shape (n_sum, n_pixel)

        Returns
        -------
        variance : ndarray, shape (n_sum,)
            Of the noise in them, given that of the other pixels.
        net : sparse array or ndarray, shape (n_sum, n_pixel)
            The sums less what the other pixels tell of their noise.
        """
        return np.zeros(sums.shape[0]), sums

    def of_image(self, number, pixels):
        """The same coefficients and factors, with the entries of one image alone."""
        one = replace(self, **self._of_image(number, pixels))
        one.__dict__["factor"] = self.factor
        return one

    def _of_image(self, number, pixels):
        """Fields that are those of one image."""
        return {"entries": self.entries.of_image(number), "weights": self.weights[pixels],
                "known": self.known}  # fmt: skip

    @property
    def n(self):
        """Number of coefficients."""
        return self.entries.n

    @property
    def index(self):
        """Coefficient numbers of the entries of each pixel, shape (n_pixel, n_entry)."""
        return self.entries.index

    @property
    def value(self):
        """Values of the entries of each pixel, shape (n_pixel, n_entry)."""
        return self.entries.value

    @property
    def data_matrix(self):
        """Band, coupling and border of the data alone, kept from when it is asked for."""
        if "matrix" not in self.known:
            self.known["matrix"] = self._assembled()
        return self.known["matrix"]

    def _assembled(self):
        """Band, coupling and border of the data alone, made anew."""
        s, out = self.structure, None
        for pixels, index, value in self.entries:
            own = normal_equations(index, value, self.weights[pixels], s.rank, s.n_band, s.width,
                                   s.n_border)  # fmt: skip
            out = own if out is None else tuple(a + b for a, b in zip(out, own, strict=True))
        return out

    @property
    def diagonal(self):
        """Diagonal of the data's matrix in the order of the coefficients."""
        band, _, border = self.data_matrix
        return np.concatenate([band[:, 0], np.diagonal(border)])[self.structure.rank]

    @cached_property
    def factor(self):
        """The factorised matrix, priors included, as a `BorderedBand` in the order of ranks."""
        held = None
        if self.held is not None:
            held = np.zeros(self.n, dtype=bool)
            held[self.structure.rank[self.held]] = True
        return BorderedBand.of(*self._matrix(), held, again=self._matrix)

    def _matrix(self):
        """Band, coupling and border, ridge and priors included, which may be overwritten."""
        # Kept apart only where it is needed again: it is the largest of all arrays.
        again = "matrix" in self.known or self.penalties.learnt or self.ridge
        own = [part.copy() for part in self.data_matrix] if again else self._assembled()
        band, coupling, border = own
        band[:, 0] += self.ridge * band[:, 0]
        border[np.diag_indices(len(border))] += self.ridge * np.diagonal(border)
        for penalty, strength in zip(self.penalties.all, self.strengths, strict=True):
            penalty.add_to(own, self.structure, strength)
        return band, coupling, border

    def transposed(self, pixels):
        """Sum over pixels of values times entries, shape (n,)."""
        return self.entries.transposed(pixels)

    def image(self, coefficients):
        """Model of each pixel, shape (n_pixel,)."""
        return self.entries.image(coefficients)

    def solve(self, vectors):
        """Solution for right-hand sides, shape (n,) or (n, n_vector)."""
        out = np.empty(vectors.shape)
        order = self.structure.rank
        ranked = np.empty(vectors.shape)
        ranked[order] = vectors
        out[:] = self.factor.solve(ranked)[order]
        return out

    def gradient(self, data, coefficients):
        """Sum over pixels of the weighted data less their model times entries, shape (n,)."""
        return self.entries.gradient(self.weights, data, coefficients)

    def data_product(self, coefficients):
        """Matrix of the data alone times coefficients."""
        return self.entries.product(self.weights, coefficients)

    def vector(self, data, coefficients=None):
        """Right-hand side for data, shape (n_pixel,), the means of priors included.

        Where coefficients are given, their model is taken from the data.
        """
        if coefficients is None or not coefficients.any():
            vector = self.transposed(self.weighted(data))
        else:
            vector = self.gradient(data, coefficients)
        for penalty, strength in zip(self.penalties.all, self.strengths, strict=True):
            vector += strength * penalty.pull(self.n)
        return vector

    def solved(self, data, at=None):
        """Coefficients for data, shape (n_pixel,), finite everywhere.

        `at` are the values at which coefficients are held.
        """
        fixed = np.zeros(self.n) if self.held is None else np.where(self.held, at, 0.0)
        coefficients = fixed
        for _ in range(1 + REFINEMENTS):
            left = self.vector(data, coefficients)
            for penalty, strength in zip(self.penalties.all, self.strengths, strict=True):
                left -= strength * penalty.product(coefficients)
            left -= self.ridge * self.diagonal * coefficients if self.ridge else 0.0
            step = self.solve(left if self.held is None else np.where(self.held, 0.0, left))
            coefficients = coefficients + step
        return coefficients if self.held is None else np.where(self.held, fixed, coefficients)

    def product(self, coefficients):
        """Matrix, priors included, times coefficients."""
        out = self.data_product(coefficients)
        out += self.ridge * self.diagonal * coefficients
        for penalty, strength in zip(self.penalties.all, self.strengths, strict=True):
            out += strength * penalty.product(coefficients)
        return out

    @property
    def seen(self):
        """Whether a pixel with weight, or a prior, sees each coefficient, shape (n,)."""
        return self.factor.scale[self.structure.rank] > 0

    @property
    def determined(self):
        """Whether data and priors determine each coefficient, shape (n,)."""
        known = self.factor.determined[self.structure.rank]
        return known if self.held is None else known | self.held

    @property
    def variances(self):
        """Variance of each coefficient, shape (n,); infinite where it is not determined."""
        return self.factor.variances[self.structure.rank]

    def covariance(self, first, second):
        """Covariances of pairs of coefficients, within the band or the border."""
        rank, n = self.structure.rank, self.structure.n_band
        low, high = np.sort(rank[np.stack([first, second])], axis=0)
        out = np.full(len(low), np.nan)
        inside, border = high < n, low >= n
        out[inside] = self.factor.inverse_band[low[inside], (high - low)[inside]]
        if border.any():
            inverse = self.factor.border_inverse
            out[border] = inverse[low[border] - n, high[border] - n]
        across = ~inside & ~border
        if across.any():
            out[across] = self._any_covariance(first[across], second[across])
        return out

    def _any_covariance(self, first, second):
        """Covariances of any pairs, by a solution for each second coefficient."""
        which, place = np.unique(second, return_inverse=True)
        unit = np.zeros((self.n, len(which)))
        unit[which, np.arange(len(which))] = 1.0
        return self.solve(unit)[first, place]

    def taken(self, parts):
        """Degrees of freedom that the coefficients take of each image's part of the pixels."""
        leverages = self.leverages()
        return [leverages[part].sum() for part in parts]

    def followed(self, change, part):
        """What changes of a model, (n, n_pixel), leave when the correlated noise follows them."""
        return change

    def noise_image(self, residual):
        """Correlated noise of each pixel given what the coefficients leave of the data."""
        return np.zeros(residual.shape)

    def leverages(self):
        """How much each datum is its own model, shape (n_pixel,): between zero and one."""
        return np.clip(self.weights * self.predicted_variances(), 0.0, 1.0)

    def predicted_variances(self):
        """Variance of the model in each pixel, of those without weight too, shape (n_pixel,)."""
        s = self.structure
        band = self.factor.inverse_band if s.n_band else np.zeros((0, 1))
        out = np.empty(len(self.weights))
        for pixels, index, value in self.entries:
            out[pixels] = leverages(index, value, s.rank, s.n_band, band)
        for start in range(0, s.n_border, BORDER_AT_ONCE):
            own = slice(start, min(start + BORDER_AT_ONCE, s.n_border))
            cross, inverse = self.factor.cross_inverse(own), self.factor.border_inverse[:, own]
            for pixels, index, value in self.entries:
                # The band of the inverse has the border's part already, but in what pixels see.
                out[pixels] += border_leverages(index, value, s.rank, cross, inverse, start)
        return out

    def border_part(self, rows):
        """What the border does to the covariance of sums of coefficients, as a root of it.

        The rest is that of the band alone, in which coefficients that are far apart hardly know of
        each other.

        Parameters
        ----------
        rows : ndarray or sparse array, shape (n_sum, n)

        Returns
        -------
        ndarray, shape (n_sum, n_border), or None
            None where no band is factorised, or the border is larger than the number of sums.
        """
        factor, n = self.factor, self.structure.n_band
        if self.structure.n_border > rows.shape[0]:
            return None
        ranked = rows[:, np.argsort(self.structure.rank)]
        inside = (ranked[:, :n] * factor.scale[:n]) @ factor.reduced
        root = factor.border_root
        return ranked[:, n:] @ root - inside @ (root / factor.scale[n:, None].clip(1e-300))
