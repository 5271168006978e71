"""Many coefficients in correlated noise: solved by conjugate gradients, nothing is factorised.

The preconditioner are the same equations without the correlated part of the noise, which are banded
or bordered; what these do not determine is not determined by the others either.
"""

from dataclasses import dataclass, replace

import numpy as np

from .correlated_equations import CorrelatedEquations, FactorisedEquations

__all__ = ["IteratedEquations", "with_noise"]

# Coefficients beyond which the dense normal matrix is not formed.
MOST_DENSE = 7000
# Iterations end where what is left of the right-hand side is this part of it, in the metric of the
# preconditioner.
TOLERANCE, MOST_ITERATIONS = 1e-9, 5000
VECTORS_AT_ONCE, N_SIMULATED = 64, 128


def with_noise(equations, noise):
    """Equations with a noise added to the white noise of the data."""
    kind = FactorisedEquations if equations.n <= MOST_DENSE else IteratedEquations
    return kind.of(equations, noise)


@dataclass(frozen=True, eq=False)
class IteratedEquations(CorrelatedEquations):
    """Those that are solved by conjugate gradients; covariances cost a solution for each row.

    Attributes
    ----------
    plain : Equations
        The same without the correlated part of the noise, of any structure: the preconditioner.
    whole : IteratedEquations, optional
        Where these have the pixels of one image alone, those of all, which are solved.
    """

    plain: object = None
    whole: object = None
    log_determinant = np.nan  # not known

    @staticmethod
    def _changed(equations):
        return {"known": {}, "plain": getattr(equations, "plain", equations)}

    def with_strengths(self, strengths):
        """The same pixels with other strengths of the priors."""
        plain = self.plain.with_strengths(strengths)
        return replace(self, strengths=strengths, plain=plain, known=self._kept)

    def holding(self, held):
        """The same with these coefficients held."""
        return replace(self, held=held, plain=self.plain.holding(held), known=self._kept)

    def reweighted(self, weights):
        """The same pixels with other weights."""
        return replace(self, weights=weights, plain=self.plain.reweighted(weights), known={})

    @property
    def _kept(self):
        """What neither strengths nor bounds change."""
        return {"metric": self.covariance_of_data}

    def of_image(self, number, pixels):
        """The same coefficients and solutions, with the entries of one image alone."""
        own = {"entries": self.entries.of_image(number), "weights": self.weights[pixels]}
        own |= {"noise": self.noise.of_image(number, pixels), "known": {}}
        return replace(self, **own, whole=self)

    @property
    def diagonal(self):
        """Diagonal of the preconditioner, for lack of that of the data's matrix."""
        return self.plain.diagonal

    @property
    def factor(self):
        """Factors of the preconditioner, which tell what is determined."""
        return self.plain.factor

    @property
    def direct(self):
        """The preconditioner."""
        return self.plain

    @property
    def kind(self):
        """How they are solved, in words."""
        return self._words(f"conjugate gradients, preconditioned: {self.structure.kind}")

    def solve(self, vectors):
        """Solution for right-hand sides, shape (n,) or (n, n_vector).

        Raises
        ------
        ArithmeticError
            If conjugate gradients do not converge.
        """
        if self.whole is not None:
            return self.whole.solve(vectors)
        wide = vectors.reshape(self.n, -1)
        parts = [self._iterated(wide[:, k : k + VECTORS_AT_ONCE])
                 for k in range(0, wide.shape[1], VECTORS_AT_ONCE)]  # fmt: skip
        out = np.concatenate(parts, axis=1) if parts else np.zeros(wide.shape)
        return out.reshape(vectors.shape)

    def _iterated(self, left):
        """Conjugate gradients for all columns (n, n_vector) at once, each with its own steps."""
        left = self._determined_part(left)
        out = np.zeros(left.shape)
        solved = self.plain.solve(left)
        direction, power = solved, np.sum(left * solved, axis=0)
        goal = TOLERANCE**2 * power
        for _ in range(MOST_ITERATIONS):
            going = power > goal
            if not going.any():
                return out
            product = self._determined_part(self._product(direction))
            curvature = np.sum(direction * product, axis=0)
            step = np.divide(power, curvature, where=going, out=np.zeros(len(power)))
            out = out + step * direction
            left = left - step * product
            solved = self.plain.solve(left)
            power, before = np.sum(left * solved, axis=0), power
            ratio = np.divide(power, before, where=going, out=np.zeros(len(power)))
            direction = solved + ratio * direction
        raise ArithmeticError(f"conjugate gradients: not converged in {MOST_ITERATIONS} steps")

    def _determined_part(self, vectors):
        """Columns (n, n_vector) without directions that nothing determines, and what is held."""
        rank, null = self.structure.rank, self.factor.null
        scale = self.factor.scale[rank, None]
        there = scale > 0 if self.held is None else (scale > 0) & ~self.held[:, None]
        if null.shape[1]:
            null = null[rank]
            scaled = vectors * scale
            vectors = (scaled - null @ (null.T @ scaled)) / np.where(scale > 0, scale, 1.0)
        return np.where(there, vectors, 0.0)

    def _product(self, vectors):
        """Matrix, priors included, times columns (n, n_vector)."""
        images = np.stack([self.image(c) for c in vectors.T])
        out = self.projected(self.weighted(images)).T
        if self.ridge:
            out += self.ridge * self.diagonal[:, None] * vectors
        for penalty, strength in zip(self.penalties.all, self.strengths, strict=True):
            out += strength * np.stack([penalty.product(c) for c in vectors.T], axis=1)
        return out

    @property
    def variances(self):
        """Variance of each coefficient, shape (n,): a solution for each."""
        if "variances" not in self.known:
            every = np.arange(self.n)
            found = self._any_covariance(every, every)
            self.known["variances"] = np.where(self.determined, found, np.inf)
        return self.known["variances"]

    def _any_covariance(self, first, second):
        """Covariances of pairs of coefficients, by a solution for each second one."""
        which, place = np.unique(second, return_inverse=True)
        out = np.empty(len(first))
        for start in range(0, len(which), VECTORS_AT_ONCE):
            some = which[start : start + VECTORS_AT_ONCE]
            unit = np.zeros((self.n, len(some)))
            unit[some, np.arange(len(some))] = 1.0
            mine = (place >= start) & (place < start + len(some))
            out[mine] = self.solve(unit)[first[mine], place[mine] - start]
        return out

    def covariance(self, first, second):
        """Covariances of pairs of coefficients."""
        return self._any_covariance(np.asarray(first), np.asarray(second))

    def leverages(self):
        """How much each datum is its own model, the noise included, shape (n_pixel,).

        From simulations: what coefficients add to the noise's own is known to an eighth of itself.
        """
        added = np.mean(self.weighted(self._simulated_images()) ** 2, axis=0)
        own = self.covariance_of_data.inverse_diagonal - added
        return np.clip(1 - own / np.maximum(self.weights, 1e-300), 0.0, 1.0) * (self.weights > 0)

    def taken(self, parts):
        """Degrees of freedom that the coefficients take of each image, from simulations."""
        images = self._simulated_images()
        products = np.mean(images * self.weighted(images), axis=0)
        return [float(products[part].sum()) for part in parts]

    def _simulated_images(self):
        """Errors of what the coefficients make of pixels, (n_simulated, n_pixel).

        Raises
        ------
        ValueError
            If there are priors, whose part is not simulated.
        """
        if self.penalties or self.ridge:
            raise ValueError(
                f"expected no priors and no ridge for leverages and errors of predictions of more "
                f"than {MOST_DENSE} coefficients in correlated noise"
            )
        rng = np.random.default_rng(self.noise.leaves[0].seed)
        unit = rng.standard_normal((N_SIMULATED, len(self.weights)))
        draws = self.weighted(self.covariance_of_data.coloured(unit))
        return np.stack([self.image(c) for c in self.solve(self.projected(draws).T).T])
