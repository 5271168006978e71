"""What a system fit gives: values, errors and covariances of any composition, on its images."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from astropy.table import Table

from ...models.composition import bound
from ..base import FitResult
from .fitted import FittedModel
from .problem import SystemProblem

__all__ = ["SystemFitResult"]

# Parameters up to this number of repetitions take part in the table of correlations.
MOST_CORRELATED = 200
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
    images : list of `~specmodels.exposure.SpectralImage`
        The data fitted.
    theta : ndarray, shape (n_free, 1)
        Values of the free non-linear parameters.
    coefficients : ndarray, shape (n_coefficient,)
        All linear coefficients, finite also where the data do not determine them.
    offset : ndarray, shape (n_pixel,)
        What does not depend on the coefficients, of the pixels of all images.
    equations : `~specmodels.fitters.system.equations.Equations`
        Their factorised normal equations.
    response : ndarray, shape (n_coefficient, n_free)
        Derivative of the coefficients by the non-linear parameters, with the sign turned.
    """

    images: list = field(default_factory=list)
    theta: np.ndarray = None
    coefficients: np.ndarray = None
    offset: np.ndarray = None
    equations: object = None
    response: np.ndarray = None
    fitted: SystemProblem = None

    def __repr__(self):
        return super().__repr__().replace("<FitResult of", f"<SystemFitResult ({self.solver}) of")

    @property
    def solver(self):
        """How the linear system was solved, in words."""
        return self.equations.kind

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

    def repeats_over(self, name):
        """What a linear parameter repeats over: a mapping of names to the values of each axis."""
        group, _ = self._place(name)
        return dict(zip(group.over, group.labels, strict=True))

    def _place(self, name):
        k = self._position(name)
        if k not in self.layout.place:
            raise KeyError(f"{name!r} is no free linear parameter")
        return self.layout.place[k]

    @cached_property
    def _variances(self):
        own = self.equations.variances
        if not len(self.theta):
            return own
        extra = self.response @ self._known_covariance
        own = own + np.einsum("kp,kp->k", extra, self.response)
        lost = ~np.isfinite(np.diagonal(self.shared_covariance[..., 0]))
        moved = (self.response[:, lost] ** 2).sum(axis=1) > LEAST_MOVED * own
        return np.where(moved, np.inf, own)

    @property
    def _known_covariance(self):
        """Covariance of the non-linear parameters, zero where it is infinite."""
        return np.nan_to_num(self.shared_covariance[..., 0], posinf=0.0)

    def error(self, name):
        """Standard error of a parameter, in the shape of its value; infinite if undetermined."""
        k = self._position(name)
        if k in self.layout.place:
            group, term = self.layout.place[k]
            error = np.sqrt(self._variances[group.numbers(term)]) * abs(group.factor[term])
            return error.reshape(group.shape) if group.over else float(error[0])
        entries = [n for n, (position, _) in enumerate(self.fitted.parameters.entries)
                   if position == k]  # fmt: skip
        errors = np.sqrt([self.shared_covariance[n, n, 0] for n in entries])
        return (float(errors[0]) if len(entries) == 1 else errors) if entries else 0.0

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
            own = np.broadcast_to(np.asarray(own, dtype=float), group.shape).ravel()
            np.add.at(row, group.numbers(term), own * group.factor[term])
        return row

    def covariance_of(self, *sums):
        """Covariance of weighted sums of linear parameters, that of the others included.

        Parameters
        ----------
        *sums : mapping of str to array_like, or str
            Weights by parameter, as for `functional`; a name stands for all values of a parameter.

        Returns
        -------
        ndarray, shape (n_sum, n_sum)
        """
        return self.covariance_of_rows(np.concatenate([self._rows(one) for one in sums]))

    def covariance_of_rows(self, rows):
        """As `covariance_of`, for weights of all coefficients, shape (n_sum, n_coefficient)."""
        solved = self.equations.solve(np.ascontiguousarray(rows.T))
        if self.equations.held is not None:
            solved[self.equations.held] = 0.0
        covariance = rows @ solved
        ranked = np.empty(rows.shape)
        ranked[:, self.equations.structure.rank] = rows
        bad = ~self.equations.factor.determines(ranked)
        if len(self.theta):
            moved = rows @ self.response
            covariance = covariance + moved @ self._known_covariance @ moved.T
        covariance[bad] = covariance[:, bad] = np.nan
        covariance[bad, bad] = np.inf
        return covariance

    def _rows(self, one):
        if not isinstance(one, str):
            return self.functional(one)[None]
        group, term = self._place(one)
        rows = np.zeros((group.size, len(self.coefficients)))
        rows[np.arange(group.size), group.numbers(term)] = group.factor[term]
        return rows

    def correlations(self, least=0.5):
        """Pairs of parameters that the data can hardly tell apart.

        Parameters
        ----------
        least : float
            Smallest absolute correlation that is listed.

        Returns
        -------
        `~astropy.table.Table`
            ``first``, ``second`` and ``correlation``, the strongest first.
        """
        names, rows = [], []
        for group in self.layout.groups:
            if group.size * len(group.positions) > MOST_CORRELATED:
                continue
            for term, k in enumerate(group.positions):
                if k in self.form.followers:
                    continue
                for number in group.numbers(term):
                    names.append(self.layout.name(number))
                    rows.append(number)
        covariance = self._joint_covariance(np.array(rows, dtype=int))
        names += self.fitted.parameters.names
        error = np.sqrt(np.diagonal(covariance))
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = covariance / np.multiply.outer(error, error)
        i, j = np.nonzero(np.triu(np.abs(np.nan_to_num(correlation)) >= least, 1))
        order = np.argsort(-np.abs(correlation[i, j]), kind="stable")
        return Table({"first": [names[k] for k in i[order]], "second": [names[k] for k in j[order]],
                      "correlation": correlation[i, j][order]})  # fmt: skip

    def _joint_covariance(self, numbers):
        """Covariance of some coefficients and all non-linear parameters."""
        unit = np.zeros((len(self.coefficients), len(numbers)))
        unit[numbers, np.arange(len(numbers))] = 1.0
        inner = self.equations.solve(unit)[numbers]
        outer = self._known_covariance
        response = self.response[numbers]
        mixed = -response @ outer
        return np.block([[inner + response @ outer @ response.T, mixed], [mixed.T, outer]])

    @cached_property
    def model(self):
        """The fitted model of column and row, bound to the (first) image: evaluates by itself."""
        return self.model_of(0)

    def model_of(self, number):
        """The fitted model, bound to one of the images."""
        base = self.fitted.parameters.of(number, self.theta)[0]
        if self.fitted.noise is not None or any(group.over for group in self.layout.groups):
            return FittedModel(self.fitted.forms[number], self.layout, self.coefficients, base,
                               number, self.images[number])  # fmt: skip
        model = bound(self.template.copy(), self.images[number])
        for name, value in zip(self.names, self.layout.local(self.coefficients, base, number),
                               strict=True):  # fmt: skip
            setattr(model, name, value)
        return model

    def predict(self, image=None):
        """Value of the fitted model in each pixel, of the image or of each; NaN where unknown.

        Parameters
        ----------
        image : `~specmodels.exposure.SpectralImage`, optional
            One with the pixels of the image fitted. Default: all that were fitted.

        Raises
        ------
        ValueError
            If the image has other pixels than the one fitted.
        """
        found = [self._predicted(number) for number in range(len(self.images))]
        if image is None:
            return found if len(found) > 1 else found[0]
        for own, predicted in zip(self.images, found, strict=True):
            same = np.array_equal(own.x, image.x) and np.array_equal(own.y, image.y)
            if same and own.name == image.name:
                return predicted
        raise ValueError(f"image: expected the pixels of {[i.name for i in self.images]}, got those"
                         f" of {image.name!r}")  # fmt: skip

    def _predicted(self, number):
        part = self.fitted.slices[number]
        equations = self.equations
        unseen = equations.factor.scale[equations.structure.rank] == 0
        value = equations.value[part]
        unknown = ((value != 0) & unseen[equations.index[part]]).any(axis=1)
        total = self.offset[part] + equations.image(self.coefficients)[part]
        return np.where(unknown, np.nan, total).reshape(self.images[number].shape)

    def residual(self, image=None):
        """Data minus model, of the image or of each image."""
        if image is not None:
            return image.data - self.predict(image)
        found = [one.data - self._predicted(n) for n, one in enumerate(self.images)]
        return found if len(found) > 1 else found[0]

    def prediction_error(self):
        """Standard error of the model in each pixel, of the image or of each image."""
        equations = self.equations
        weights = np.maximum(equations.weights, 1e-300)
        variance = equations.leverages() / weights
        out = []
        for number, part in enumerate(self.fitted.slices):
            own = variance[part]
            if len(self.theta):
                place = self.fitted.parameters.places[number]
                slopes = self.fitted._slopes(number, self.theta, self.coefficients)
                pulled = np.stack([equations.image(r)[part] for r in self.response[:, place].T])
                net = equations.followed(slopes - pulled, part)
                outer = self._known_covariance[np.ix_(place, place)]
                own = own + np.einsum("pn,pq,qn->n", net, outer, net)
            own = np.where(equations.weights[part] > 0, own, np.nan)
            out.append(np.sqrt(own).reshape(self.images[number].shape))
        return out if len(out) > 1 else out[0]

    def components(self):
        """Image of each elementary model with all factors that act on it, by name (or number)."""
        out = {}
        for number, (form, image) in enumerate(zip(self.fitted.forms, self.images, strict=True)):
            base = self.fitted.parameters.of(number, self.theta)[0]
            values = self.layout.local(self.coefficients, base, number)
            for name, part in _named(form.components(values, self.fitted.inputs[number])):
                out.setdefault(name, []).append(np.broadcast_to(part, image.shape))
        return out if len(self.images) > 1 else {name: own[0] for name, own in out.items()}

    def parts(self, n_images=None):
        """As of other results, in one piece; of the first image."""
        base = self.fitted.parameters.of(0, self.theta)[0]
        values, inputs = self.layout.local(self.coefficients, base, 0), self.fitted.inputs[0]
        shape = self.image.shape
        images = [
            (leaf, positions, np.broadcast_to(image, shape))
            for leaf, positions, image in self.form.components(values, inputs)
        ]
        yield slice(0, shape[1]), inputs, values, images

    def propagate(self, variance):
        """Variance of each linear parameter that a variance of the pixels brings.

        Parameters
        ----------
        variance : ndarray
            Variance of each pixel, shape of the image: the read, Poisson or flat part, say.

        Returns
        -------
        list of ndarray
            One for each linear parameter, in the shape of its value.
        """
        self._check_shape(variance)
        equations = self.equations
        root = np.sqrt(np.nan_to_num(np.ravel(variance)))
        out = []
        for k in self.form.linear:
            group, term = self.layout.place[k]
            own = np.empty(group.size)
            for start in range(0, group.size, MOST_CORRELATED):
                numbers = group.numbers(term)[start : start + MOST_CORRELATED]
                unit = np.zeros((equations.n, len(numbers)))
                unit[numbers, np.arange(len(numbers))] = 1.0
                solved = equations.solve(unit)
                images = (equations.weighted(equations.image(c)) for c in solved.T)
                own[start : start + len(numbers)] = [np.sum((root * one) ** 2) for one in images]
            out.append(own.reshape(group.shape) if group.over else own)
        return out


def _named(components):
    """Components by name; models without one have their number."""
    for number, (leaf, _, image) in enumerate(components):
        yield leaf.name or str(number), image
