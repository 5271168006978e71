"""What a system fit gives: values, errors and covariances of any composition, on its images."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..result import FitResult
from . import answers, images
from .problem import SystemProblem

__all__ = ["SystemFitResult"]

# Coefficients that move with a parameter that is lost, by more than this part of their variance.
LEAST_MOVED = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class SystemFitResult(FitResult):
    """A fitted composition; see `~specmodels.fitters.FitResult` for what is the same.

    Values have one axis for each thing that a parameter repeats over, see `repeats_over`; those of
    non-linear parameters are numbers, or one for each image where these do not share them. Where
    one image was fitted, images are arrays; where several were, lists of arrays.

    Attributes
    ----------
    theta : ndarray, shape (n_free, 1)
        Values of the free non-linear parameters.
    coefficients : ndarray, shape (n_coefficient,)
        All linear coefficients, finite also where the data do not determine them.
    offset : ndarray, shape (n_pixel,)
        What does not depend on the coefficients, of the pixels of all images.
    noise : ndarray, shape (n_pixel,)
        Correlated noise of the pixels, its conditional mean.
    equations : `~specmodels.fitters.system.equations.Equations`
        Their factorised normal equations, without bounds: errors are those that data and priors
        leave.
    held : ndarray of bool, shape (n_coefficient,), optional
        Coefficients that ended at a bound.
    response : ndarray, shape (n_coefficient, n_free)
        Derivative of the coefficients by the non-linear parameters, with the sign turned.
    templates : sequence of `~astropy.modeling.Model`
        The template for each image.
    whole : tuple of (SystemFitResult, int), optional
        Where this is what `of_image` gives: the fit of all images, and the number of this one.
    """

    theta: np.ndarray = None
    coefficients: np.ndarray = None
    offset: np.ndarray = None
    noise: np.ndarray = None
    equations: object = None
    held: np.ndarray | None = None
    response: np.ndarray = None
    fitted: SystemProblem = None
    templates: tuple = ()
    whole: tuple | None = None

    independent_columns = False

    @property
    def images(self):
        """The images fitted."""
        return self.fitted.images

    @property
    def solver(self):
        """How the linear system was solved, in words."""
        return self.equations.kind

    @property
    def options(self):
        """With which options a fitter fits other images the same way."""
        return {"batch": self.fitted.batch, "share": self.fitted.parameters.share}

    @property
    def layout(self):
        """Numbers of the coefficients."""
        return self.fitted.layout

    @property
    def strengths(self):
        """Strengths of the priors, given or learnt, by the names of their models.

        Those of correlated noise are the amplitudes and exponents of its spectra.
        """
        all_, noise = self.fitted.penalties.all, self.fitted.noise
        own = {one.name: float(s) for one, s in zip(all_, self.equations.strengths, strict=True)}
        return own if noise is None else own | noise.strengths

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom, of all images together."""
        dof = np.sum(self.dof) - len(self.theta)
        return float(np.sum(self.chi2) / dof) if dof > 0 else np.nan

    @property
    def total_chi2(self):
        """Chi-square of all images with that of the priors of all parameters."""
        penalties = zip(self.fitted.penalties.all, self.equations.strengths, strict=True)
        of_priors = sum(strength * one.square(self.coefficients) for one, strength in penalties)
        own = self.fitted.parameters.prior_chi2(self.theta)[0] if len(self.theta) else 0.0
        return float(np.sum(self.chi2) + of_priors + own)

    def of_image(self, number):
        """The fit as it is seen in one of its images: with the covariance of all.

        Parameters
        ----------
        number : int
            Of the image, from zero.

        Returns
        -------
        SystemFitResult
        """
        part, fitted = self.fitted.slices[number], self.fitted.of_image(number)
        base = fitted.parameters.of(0, self.theta)[0]
        values = fitted.layout.values(
            np.where(self.equations.seen, self.coefficients, np.nan), base
        )
        several = len(self.images) > 1
        return self.replace(
            image=self.images[number], values=tuple(values),
            template=self.templates[number], templates=[self.templates[number]],
            chi2=self.chi2[number : number + 1], dof=self.dof[number : number + 1],
            rejected=self.rejected[number] if several else self.rejected,
            form=fitted.form, offset=self.offset[part], noise=self.noise[part], fitted=fitted,
            equations=self.equations.of_image(number, part), whole=(self, number),
        )  # fmt: skip

    def repeats_over(self, name):
        """What a parameter repeats over: a mapping of names to the values of each axis."""
        if self.position(name) not in self.layout.place:
            return {"exposure": np.arange(len(self.images))} if np.ndim(self[name]) else {}
        group, _ = self._place(name)
        return dict(zip(group.over, group.labels, strict=True))

    def _place(self, name):
        k = self.position(name)
        if k not in self.layout.place:
            raise KeyError(f"{name!r} is no free linear parameter")
        return self.layout.place[k]

    @cached_property
    def _variances(self):
        own = self.equations.variances
        if not len(self.theta):
            return own
        extra = self.response @ self.known_covariance
        own = own + np.einsum("kp,kp->k", extra, self.response)
        lost = ~np.isfinite(np.diagonal(self.shared_covariance[..., 0]))
        moved = (self.response[:, lost] ** 2).sum(axis=1) > LEAST_MOVED * own
        return np.where(moved, np.inf, own)

    @property
    def known_covariance(self):
        """Covariance of the non-linear parameters, zero where it is infinite."""
        return np.nan_to_num(self.shared_covariance[..., 0], posinf=0.0)

    def error(self, name):
        """Standard error of a parameter, in the shape of its value; infinite if undetermined.

        That of a parameter at a bound is the one that it would have without.
        """
        k = self.position(name)
        if k in self.layout.place:
            group, term = self.layout.place[k]
            error = np.sqrt(self._variances[group.numbers(term)]) * abs(group.factor[term])
            return error.reshape(group.shape) if group.over else float(error[0])
        entries = [self.fitted.parameters.entry(k, number) for number in range(len(self.images))]
        errors = [0.0 if n is None else float(np.sqrt(self.shared_covariance[n, n, 0]))
                  for n in entries]  # fmt: skip
        return errors[0] if len(set(entries)) == 1 else np.array(errors)

    def functional(self, weights):
        """Row of the coefficients for a weighted sum of linear parameters.

        Parameters
        ----------
        weights : mapping of str to array_like
            For each parameter weights in the shape of its value.

        Returns
        -------
        ndarray, shape (n_coefficient,)
        """
        row = np.zeros(len(self.coefficients))
        for name, own in weights.items():
            group, term = self._place(name)
            own = np.asarray(own, dtype=float)
            if own.ndim and own.shape != group.shape:
                raise ValueError(f"{name}: expected weights {group.shape}, got {own.shape}")
            own = np.broadcast_to(own, group.shape).ravel()
            np.add.at(row, group.numbers(term), own * group.factor[term])
        return row

    def covariance_of(self, *sums):
        """As of other fits: covariance of weighted sums, shape (n_sum, n_sum)."""
        return self.covariance_of_rows(np.concatenate([self._rows(one) for one in sums]))

    def covariance_of_rows(self, rows):
        """As `covariance_of`, for weights of all coefficients, shape (n_sum, n_coefficient)."""
        shared = self.shared_part(rows)
        covariance = self.covariance_of_linear_rows(rows) + shared @ shared.T
        bad = ~np.isfinite(np.diagonal(covariance))
        covariance[bad] = covariance[:, bad] = np.nan
        covariance[bad, bad] = np.inf
        return covariance

    def shared_part(self, rows):
        """What non-linear parameters do to sums of coefficients, shape (n_sum, n_free).

        Products of its rows are their part of the covariance.
        """
        if not len(self.theta):
            return np.zeros((rows.shape[0], 0))
        values, vectors = np.linalg.eigh(self.known_covariance)
        return rows @ (self.response @ (vectors * np.sqrt(np.maximum(values, 0.0))))

    def covariance_of_linear_rows(self, rows):
        """As `covariance_of_rows`, with the non-linear parameters held."""
        covariance = rows @ self.equations.covariance_times(rows)
        bad = ~self.equations.determines(rows)
        covariance[bad] = covariance[:, bad] = np.nan
        covariance[bad, bad] = np.inf
        return covariance

    def variance_of_sums(self, weights, summed, position):
        """As of other fits, what shapes add included; of the (first) image."""
        self._check_shape(weights)
        return answers.variance_of_sums(self, weights, summed, position)

    def _rows(self, one):
        if not isinstance(one, str):
            return self.functional(one)[None]
        group, term = self._place(one)
        rows = np.zeros((group.size, len(self.coefficients)))
        rows[np.arange(group.size), group.numbers(term)] = group.factor[term]
        return rows

    def correlations(self, least=0.5):
        """As of other fits; of parameters that repeat not too often each repetition."""
        return answers.correlations(self, least)

    def covariance_within(self, first, second):
        """Covariance of two linear parameters at the same place, in the larger shape of both."""
        (one, i), (two, j) = (self._place(name) for name in (first, second))
        shape = np.broadcast_shapes(one.shape, two.shape)
        a, b = (np.broadcast_to(group.numbers(term).reshape(group.shape), shape).ravel()
                for group, term in ((one, i), (two, j)))  # fmt: skip
        factor = one.factor[i] * two.factor[j]
        held = self.equations.covariance(a, b)
        moved = np.einsum("kp,pq,kq->k", self.response[a], self.known_covariance, self.response[b])
        return (factor * (held + moved)).reshape(shape)

    @cached_property
    def model(self):
        """The fitted model of column and row, bound to the (first) image: evaluates by itself."""
        return self.model_of(0)

    @property
    def bound_model(self):
        """The same."""
        return self.model

    def model_of(self, number):
        """The fitted model, bound to one of the images."""
        return images.bound_model(self, number)

    def predict(self, image=None):
        """Value of the fitted model in each pixel, of the image or of each; NaN where unknown.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`, optional
            One with the pixels of the image fitted. Default: all that were fitted.

        Raises
        ------
        ValueError
            If the image has other pixels than the one fitted.
        """
        found = self.predictions
        if image is None:
            return found if len(found) > 1 else found[0]
        for own, predicted in zip(self.images, found, strict=True):
            same = np.array_equal(own.x, image.x) and np.array_equal(own.y, image.y)
            if same and own.name == image.name:
                return predicted
        raise ValueError(f"image: expected the pixels of {[i.name for i in self.images]}, got those"
                         f" of {image.name!r}")  # fmt: skip

    @property
    def predictions(self):
        """Value of the fitted model in each pixel, a list with an array for each image."""
        return [images.predicted(self, number) for number in range(len(self.images))]

    def _of_images(self):
        return np.asarray(self.chi2), np.asarray(self.dof)

    def leverages(self):
        """As of other fits: how much each pixel is its own model, of the image or of each."""
        return self._by_image(self.equations.leverages())

    def residual_variance(self, variance):
        """As of other fits; a pixel has a small part in the model of others, which is left out."""
        self._check_shape(variance)
        return (1 - self.leverages()) * variance

    def _by_image(self, pixels):
        found = [pixels[part].reshape(image.shape)
                 for part, image in zip(self.fitted.slices, self.images, strict=True)]  # fmt: skip
        return found if len(found) > 1 else found[0]

    def residual(self, image=None):
        """Data minus model, of the image or of each image."""
        if image is not None:
            return image.data - self.predict(image)
        found = [one.data - images.predicted(self, n) for n, one in enumerate(self.images)]
        return found if len(found) > 1 else found[0]

    def prediction_error(self):
        """As of other fits, of the image or of each image."""
        return self._by_image(answers.prediction_error(self))

    def components(self):
        """As of other results, of the image or lists of each image."""
        out = {}
        for number in range(len(self.images)):
            for name, part in images.components(self, number):
                out.setdefault(name, []).append(part)
        return out if len(self.images) > 1 else {name: own[0] for name, own in out.items()}

    def parts(self, n_images=None):
        """As of other results, in one piece; of the first image."""
        yield slice(0, self.image.shape[1]), *images.parts(self)

    def propagate(self, variance):
        """As of other fits: a list with an array for each linear parameter, as its value."""
        self._check_shape(variance)
        return answers.propagated(self, variance)
