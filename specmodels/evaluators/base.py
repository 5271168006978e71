"""The one protocol by which every job works: ``evaluator(data)`` returns a result.

An evaluator puts together a model, a fitter and what is done with the fit. It keeps settings only;
nothing of the data or of a result is stored on it.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from astropy.modeling import Model
from astropy.table import QTable, Table, vstack

from ..dithers import Dithers
from ..exposure import Exposure
from ..fitters import Fitter
from ..io import read
from ..io.planes import unique_names
from ..io.provenance import steps_done
from ..numerics.cores import checked_jobs, in_order
from .chain.passing import handed_on, taken_in
from .chain.result import ChainResult

__all__ = ["Chain", "Evaluator", "ImageEvaluator", "ResultSet", "check_number", "read_alone"]

log = logging.getLogger(__name__)


class Evaluator(ABC):
    """Base of all evaluators.

    A subclass *must* define ``evaluate(fit, exposure)``. It *may* define the attributes
    ``default_fitter``, ``product`` (how files of its results are called), ``step`` (what its result
    does to the data, as ``meta.cal_step`` of datamodels calls it; none where it leaves them as they
    are) and ``data_product`` (how files of the data are called that it has made, where those of
    results are of other things), and the methods ``build_model(exposure)`` and ``fit(exposure)``.
    ``first | second`` is a `Chain`.

    Parameters
    ----------
    model : `~astropy.modeling.Model`, optional
        The model to fit. Default: what `build_model` makes of the data.
    fitter : `~specmodels.fitters.Fitter`, optional
        Default: the class's ``default_fitter``.
    n_jobs : int, optional
        Cores for what is independent (slits, slices, frames), -1 for all; results do not depend on
        their number. Default: all that this process may use (its cores, and ``OMP_NUM_THREADS``
        where that is set), where the work takes longer than to start others.

    Raises
    ------
    TypeError
        If `model` is no model, `fitter` no fitter or `n_jobs` no integer.
    ValueError
        If `n_jobs` is zero or below -1.
    """

    default_fitter = None
    product = "result"
    step = None
    data_product = None

    def __init__(self, model=None, fitter=None, *, n_jobs=None):
        if model is not None and not isinstance(model, Model):
            raise TypeError(f"model: expected an astropy model, got {model!r}")
        if fitter is not None and not isinstance(fitter, Fitter):
            raise TypeError(f"fitter: expected a Fitter, got {fitter!r}")
        self.model = model
        self.fitter = self.default_fitter if fitter is None else fitter
        self.n_jobs = checked_jobs(n_jobs)

    def __getstate__(self):
        """State to pickle. That a fitter was left to the class stays known in other processes."""
        state = dict(vars(self))
        if state.get("fitter") is self.default_fitter:
            state.pop("fitter", None)
        return state

    def __setstate__(self, state):
        vars(self).update({"fitter": self.default_fitter} | state)

    def __call__(self, data):
        """Apply to anything that `~specmodels.read` understands."""
        exposure = read_alone(data, type(self).__name__)
        return self.evaluate(self.fit(exposure), exposure)

    def __repr__(self):
        settings = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if v is not None)
        return f"{type(self).__name__}({settings})"

    def __or__(self, other):
        """The chain of this evaluator and another."""
        return Chain(self, other) if isinstance(other, Evaluator) else NotImplemented

    def build_model(self, exposure):
        """Model with initial values for these data."""
        if self.model is None:
            raise ValueError(f"{type(self).__name__}: expected a model, got None")
        return self.model

    def fit(self, exposure):
        """Fit the model to every image; the fits by name."""
        model = self.build_model(exposure)
        return {name: self.fitter(model, image) for name, image in exposure.items()}

    @abstractmethod
    def evaluate(self, fit, exposure):
        """Make the result of a fit."""


class Chain(Evaluator):
    """Evaluators one after the other: each takes the data that the one before has made.

    They hand on datamodels where such came in, else exposures with their variances, masks,
    wavelengths and notes. Datamodels say in ``meta.cal_step`` and their history what was done, and
    images in their notes: a step that the data have behind them is left out.

    Parameters
    ----------
    *steps : Evaluator
        In their order; chains among them are joined. Only the last may make spectra of the data.
    keep : bool
        Whether `specmodels.map` writes what each step hands on as well.

    Raises
    ------
    TypeError
        If a step is no evaluator.
    ValueError
        If there is none.

    Examples
    --------
    >>> import specmodels as sm
    >>> slit, truth = sm.datasets.make_undersampled_slit()
    >>> chain = sm.PixelReplacement() | sm.OptimalExtraction(n_sources=1)
    >>> result = chain(slit)
    >>> list(result)
    ['filled', 'spectrum']
    """

    def __init__(self, *steps, keep=False):
        super().__init__()
        if not steps:
            raise ValueError("steps: expected at least one evaluator, got none")
        for step in steps:
            if not isinstance(step, Evaluator):
                raise TypeError(f"steps: expected evaluators, got {step!r}")
        chains = [one.steps if isinstance(one, Chain) else (one,) for one in steps]
        self.steps, self.keep = sum(chains, ()), bool(keep)

    def __repr__(self):
        return f"Chain({', '.join(repr(step) for step in self.steps)})"

    @property
    def product(self):
        """How files of its results are called: as those of the last step."""
        return self.steps[-1].product

    @property
    def data_product(self):
        """How files of the data are called that it has made: as those of the last step."""
        return self.steps[-1].data_product

    @property
    def named(self):
        """The steps by the names of their products."""
        names = unique_names([step.product for step in self.steps])
        return dict(zip(names, self.steps, strict=True))

    def __call__(self, data):
        """Do all steps that have not been done.

        Returns
        -------
        `~specmodels.evaluators.ChainResult`
        """
        return self.evaluate(None, taken_in(data))

    def evaluate(self, fit, exposure):
        """Do the steps with data that were read."""
        data, results, passed, left_out = exposure, {}, {}, {}
        for number, (name, evaluator) in enumerate(self.named.items(), start=1):
            if evaluator.step in steps_done(data):
                left_out[name] = f"{evaluator.step} was done before"
                log.info("%s: %s", name, left_out[name])
                continue
            results[name] = evaluator(data)
            if number < len(self.steps):
                data = passed[name] = handed_on(results[name])
        return ChainResult(results, passed, left_out, exposure)


def read_alone(data, job):
    """What `~specmodels.read` makes of data; a job that takes no list of exposures says so.

    Raises
    ------
    TypeError
        If there are several exposures of the same sources.
    """
    exposure = read(data)
    if isinstance(exposure, Dithers):
        raise TypeError(
            f"data: {job} takes one exposure at a time, got a list of {len(exposure)}; "
            "images of different slits are an Exposure"
        )
    return exposure


class ImageEvaluator(Evaluator):
    """Base of evaluators that treat every image by itself.

    A subclass defines ``evaluate(fit, image)``; ``build_model`` and ``fit`` take an image, too.
    The result is that of the image where there is one, else a `ResultSet`, in which images that
    could not be treated are named with the reason. A subclass whose results have their own kind of
    set defines ``collect``.
    """

    def __call__(self, data):
        """Apply to anything that `~specmodels.read` understands, but for ramps."""
        exposure = read_alone(data, type(self).__name__)
        if not isinstance(exposure, Exposure):
            raise TypeError(
                f"data: {type(self).__name__} expected two-dimensional spectra, such as a slope "
                f"image, got {exposure.kind} of shape {exposure.data.shape}"
            )
        if len(exposure) == 1:
            return self._one(exposure.single, exposure)
        results, failures = {}, {}
        found = in_order(lambda image: self._tried(image, exposure), exposure.values(),
                         self.n_jobs, shared=[exposure])  # fmt: skip
        for name, (result, reason) in zip(exposure, found, strict=True):
            if result is None:
                log.warning("%s: %s", name, reason)
                failures[name] = reason
            else:
                results[name] = result
        return self.collect(results, failures, exposure)

    def _tried(self, image, exposure):
        """Result of one image, or None and the reason."""
        try:
            return self._one(image, exposure), ""
        except ValueError as error:
            return None, str(error)

    def fit(self, image):
        """Fit the model to one image."""
        return self.fitter(self.build_model(image), image)

    def collect(self, results, failures, exposure):
        """Set of the results, and of the reasons why there are no others, by name."""
        return ResultSet(results, failures, source_exposure=exposure)

    def _one(self, image, exposure):
        result = self.evaluate(self.fit(image), image)
        return result.with_exposure(exposure) if hasattr(result, "with_exposure") else result


def check_number(name, value, *, least=-np.inf, most=np.inf):
    """Refuse a setting that is not a single number within limits.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is out of range, or NaN.
    """
    if np.ndim(value) or np.asarray(value).dtype.kind not in "iuf" or hasattr(value, "unit"):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if not least <= value <= most:
        limits = "" if least == -np.inf else f" from {least:g}"
        limits += "" if most == np.inf else f" to {most:g}"
        raise ValueError(f"{name}: expected a number{limits}, got {value!r}")


class ResultSet(Mapping):
    """Results of several images, by name.

    Attributes
    ----------
    failures : dict of str to str
        Images without a result, and why.
    source_exposure : `~specmodels.Exposure`
        What the results were made from.
    """

    def __init__(self, results, failures=None, *, source_exposure=None):
        self._results = dict(results)
        self.failures = dict(failures or {})
        self.source_exposure = source_exposure

    def __getitem__(self, name):
        try:
            return self._results[name]
        except KeyError:
            reason = self.failures.get(name, f"there are {list(self)}")
            raise KeyError(f"no result {name!r}: {reason}") from None

    def __iter__(self):
        return iter(self._results)

    def __len__(self):
        return len(self._results)

    def __repr__(self):
        lines = [f"  {name!r}: {result!r}" for name, result in self.items()]
        lines += [f"  {name!r}: failed: {reason}" for name, reason in self.failures.items()]
        return "\n".join([f"<ResultSet of {len(self)}, {len(self.failures)} failed", *lines]) + ">"

    @property
    def spectra(self):
        """All spectra, by ``"image/source"``."""
        return {f"{name}/{source}": spectrum for name, result in self.items()
                for source, spectrum in result.spectra.items()}  # fmt: skip

    def tables(self):
        """All tables, by ``"image/source"``."""
        return {f"{name}/{source}": table for name, result in self.items()
                for source, table in result.tables().items()}  # fmt: skip

    def report(self):
        """One row for each source of each image, and one for each image that failed."""
        parts = []
        for name, result in self.items():
            part = Table(result.report())
            part.add_column([name] * len(part), name="image", index=0)
            parts.append(part)
        for name, reason in self.failures.items():
            parts.append(Table({"image": [name], "status": ["failed"], "reason": [reason]}))
        if not parts:
            return QTable(names=("image", "status", "reason"), dtype=(str, str, str))
        return QTable(vstack(parts, metadata_conflicts="silent"))

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw all results, one beneath the other; see `specmodels.plotting`."""
        from ..plotting import plot_results

        return plot_results(self, figure, panel=panel, ax=ax)
