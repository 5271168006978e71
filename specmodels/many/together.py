"""`fit_together`: one model for many exposures, of which some parameters are the same in all.

Each exposure stays where it was read. Between passes a few numbers travel: values of parameters to
the exposures, and back the normal equations in which the spectra and the sky are eliminated.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from astropy.modeling import Model
from astropy.table import QTable

from ..fitters import Fitter, Projection, SigmaClipFitter, VarProFitter
from ..fitters.added import AddedEquations, shared_minimum
from ..fitters.system.fit import not_determined, with_infinite_variances
from ..io import read
from ..models.linear_form import LinearForm
from ..numerics.cores import alone
from .inputs import named_inputs
from .schedule import workers
from .task import failure

__all__ = ["TogetherResult", "fit_together"]


@dataclass(frozen=True, eq=False)
class TogetherResult:
    """What `fit_together` returns.

    Attributes
    ----------
    parameters : `~astropy.table.QTable`
        ``name``, ``value`` and ``error`` of the parameters that all exposures share.
    covariance : ndarray, shape (n_shared, n_shared)
        Of these; the variance of one that the data do not determine is infinite.
    fits : dict of str to `~specmodels.FitResult`
        The fit of each exposure, whose errors include those of what is shared.
    failures : dict of str to str
        The traceback of each exposure that could not be used, by name.
    success : bool
        Whether the fit converged and the data determine what is shared.
    message : str
        What there is to complain of.
    n_iterations : int
        Passes over all exposures.
    """

    parameters: QTable
    covariance: np.ndarray
    fits: dict = field(repr=False)
    failures: dict = field(repr=False)
    success: bool = True
    message: str = ""
    n_iterations: int = 1

    def __repr__(self):
        state = "converged" if self.success else f"failed: {self.message}"
        names = ", ".join(self.parameters["name"])
        return (f"<TogetherResult of {len(self.fits)} exposures that share {names}; "
                f"{len(self.failures)} left out, {state}>")  # fmt: skip

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom of all exposures."""
        chi2, dof, n_shared = 0.0, 0.0, len(self.parameters)
        for fit in self.fits.values():
            chi2 += np.sum(fit.chi2)
            dof += np.sum(fit.dof) - (len(fit.form.nonlinear) - n_shared)
        dof -= n_shared
        return float(chi2 / dof) if dof > 0 else np.nan


def fit_together(model, inputs, *, share=True, fitter=None, client=None, n_jobs=None):
    r"""Fit exposures of which each has its own spectrum and sky, but some shapes are those of all.

    One profile for a night, for instance, of which faint exposures alone tell little. The linear
    parameters of each exposure are eliminated where it lies, and the normal equations of the others
    are added up, :math:`H = \sum_i H_i`: the same minimum and errors as those of one fit of all
    exposures in one process, whose memory is that of a few.

    Parameters
    ----------
    model : `~astropy.modeling.Model` or callable
        Of column and row; or ``model(image)``, which makes that of an exposure, with the same
        parameters for all.
    inputs : iterable, mapping or path
        As of `~specmodels.map`; each of one image.
    share : bool or mapping of str to bool
        Whether exposures share parameters that are not linear; for some names (patterns such as
        ``"trace_*"`` are understood) or for all.
    fitter : `~specmodels.Fitter`, optional
        Fits each exposure by itself at first, which finds hits and where its trace lies. Default:
        `~specmodels.SigmaClipFitter` of a `~specmodels.VarProFitter`.
    client, n_jobs
        Where the work is done, as of `~specmodels.map`.

    Returns
    -------
    TogetherResult

    Raises
    ------
    TypeError
        If `model` is none and makes none, or `fitter` is none.
    ValueError
        If no exposure can be used, none of the parameters is left to be shared, or a name in
        `share` is that of none.

    Examples
    --------
    >>> import specmodels as sm
    >>> night = [sm.datasets.make_slit(seed=seed, shape=(24, 60))[0] for seed in (1, 2, 3)]
    >>> model = sm.Source(sm.MoffatProfile(), sm.PolynomialTrace(1, c0=12), name="star")
    >>> model = model + sm.ColumnPolynomial(0, name="sky")
    >>> found = sm.fit_together(model, night, share={"trace_*": False}, n_jobs=1)
    >>> found.parameters["name"].tolist()
    ['gamma_0', 'alpha_0']
    """
    if not isinstance(model, Model) and not callable(model):
        raise TypeError(f"model: expected a model, or a function of an image, got {model!r}")
    fitter = SigmaClipFitter(VarProFitter()) if fitter is None else fitter
    if not isinstance(fitter, Fitter):
        raise TypeError(f"fitter: expected a Fitter, got {fitter!r}")
    named = named_inputs(inputs)
    with workers(n_jobs, len(named), client) as place:
        exposures = _Exposures(place, partial(_prepared, model, fitter), named)
        found = shared_minimum(exposures.equations(share))
        return _result(exposures, found)


class _Exposures:
    """Exposures that are held where the work is done, by name.

    Parameters
    ----------
    client : `distributed.Client` or None
    prepare : callable
        Makes a `_Held` of an input.
    named : dict
    """

    def __init__(self, client, prepare, named):
        self._client = client
        self._held = self._apply(prepare, named.values(), stay=True)
        told = self._apply(_told, self._held)
        pairs = dict(zip(named, told, strict=True))
        self.failures = {n: one for n, one in pairs.items() if isinstance(one, str)}
        self._held = [held for held, one in zip(self._held, told, strict=True)
                      if not isinstance(one, str)]  # fmt: skip
        self.models = {n: one for n, one in pairs.items() if not isinstance(one, str)}
        if not self.models:
            raise ValueError(f"inputs: none can be used: {_last_lines(self.failures)}")

    def _apply(self, function, items, *more, stay=False):
        """A function of each item, where this is; results come back, if they do not stay there."""
        function = partial(_on_one_core, function)
        if self._client is None:
            return [function(*own) for own in zip(items, *more, strict=True)]
        futures = self._client.map(function, list(items), *more, pure=False)
        return futures if stay else self._client.gather(futures)

    def equations(self, share):
        """`AddedEquations` of all exposures."""
        forms = [LinearForm(model) for model in self.models.values()]
        first = forms[0].names
        for name, form in zip(self.models, forms, strict=True):
            if form.names != first:
                raise ValueError(f"model: expected {list(first)} for all exposures, got "
                                 f"{list(form.names)} for {name!r}")  # fmt: skip
        return AddedEquations(forms, share, partial(self._apply, Projection.normal_equations,
                                                    self._held))  # fmt: skip

    def fits(self, found, message):
        """`FitResult` of each exposure, by name; what is not determined they say themselves."""
        values = [found.values[place] for place in found.places]
        known = [found.covariance[np.ix_(place, place)][..., None] for place in found.places]
        lost = [found.lost[place, None] for place in found.places]
        more = [{"message": message, "success": not message, "n_iterations": found.n_iterations}]
        made = self._apply(_fit_of, self._held, values, known, lost, more * len(values))
        return dict(zip(self.models, made, strict=True))


def _prepared(model, fitter, item):
    """Projection of an exposure without its hits, and the model that fits it by itself.

    A failure is what was raised, as text.
    """
    try:
        image = read(item).single
        if image.mask.all():
            raise ValueError(f"image {image.name!r}: no usable pixel")
        own = model if isinstance(model, Model) else model(image)
        alone_fit = fitter(own, image)
        # Values of an exposure that tells too little are no better than those of the model.
        started = alone_fit.template if alone_fit.success else own
        return Projection(started, alone_fit.image)
    except Exception as error:
        return failure("", error).traceback


def _told(held):
    """The model of an exposure, or why it cannot be used."""
    return held if isinstance(held, str) else held.model


def _fit_of(projection, values, covariance, lost, more):
    return projection.result(values, covariance=covariance, lost=lost, **more)


def _on_one_core(function, *arguments):
    with alone():
        return function(*arguments)


def _last_lines(failures):
    return {name: text.strip().splitlines()[-1] for name, text in failures.items()}


def _result(exposures, found):
    shared = np.flatnonzero(found.shared)
    lost = [found.names[n] for n in np.flatnonzero(found.lost)]
    search = "" if found.success else f"not converged after {found.n_iterations} passes"
    message = "; ".join(filter(None, [search, not_determined(lost) if lost else ""]))
    covariance = with_infinite_variances(found.covariance[..., None], found.lost[:, None])[..., 0]
    errors = np.sqrt(np.diagonal(covariance))
    table = QTable({"name": [found.names[n] for n in shared], "value": found.values[shared],
                    "error": errors[shared]})  # fmt: skip
    return TogetherResult(
        table, covariance[np.ix_(shared, shared)], exposures.fits(found, search),
        exposures.failures, not message, message, found.n_iterations,
    )  # fmt: skip
