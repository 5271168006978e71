"""Where the light of a source falls in one exposure, and the spectrum it is multiplied by."""

import re
from dataclasses import dataclass

from ...models import (
    ColumnPolynomial,
    LinearForm,
    SlitFunction,
    Source,
    TiedTo,
    on_pixels,
    repeated_over,
)
from ...models.composition import Composition
from ..extraction.guess.leaves import leaves_of

__all__ = [
    "View", "checked_sources", "free_names", "joint_model", "named", "shared_names", "slit_names",
    "source_names",
]  # fmt: skip

NUMBERED = re.compile(r"(.*?)(?:_(\d+))?")


@dataclass(frozen=True, eq=False)
class View:
    """A source in one exposure: its lobes, which see the same spectrum.

    Attributes
    ----------
    spectrum : `~astropy.modeling.Model`
        Of all exposures.
    lobes : list of `~specmodels.models.Source`
    weights : list of float
        Of the lobes, signs included; other sources have one of weight one.
    throughput : float
        Factor of this exposure.
    held : bool
        Whether the factor is held.
    """

    spectrum: object
    lobes: list
    weights: list
    throughput: float = 1.0
    held: bool = True

    @property
    def seen(self):
        """The spectrum as a model of column and row."""
        return on_pixels(self.spectrum)

    @property
    def place(self):
        """Number of elementary models before the first lobe."""
        return len(leaves_of(self.seen))

    @property
    def model(self):
        """The spectrum times the lobes."""
        lobes = None
        for lobe, weight in zip(self.lobes, self.weights, strict=True):
            source = repeated_over(lobe)
            source.flux = weight * self.throughput
            source.flux.fixed = self.held
            lobes = source if lobes is None else lobes + source
        return Composition("*", self.seen, lobes)

    def tie(self, leaves, first):
        """Let all lobes have the shape and the throughput of the first, but rows of their own.

        Parameters
        ----------
        leaves : list of `~astropy.modeling.Model`
            Elementary models of the composition.
        first : int
            Number of the first lobe among them.
        """
        lobes = leaves[first + 1 : first + len(self.lobes)]
        for weight, source in zip(self.weights[1:], lobes, strict=True):
            for n in source.param_names:
                parameter = getattr(source, n)
                parameter.fixed = False
                if n != "trace_c0":
                    factor = weight / self.weights[0] if n == "flux" else 1.0
                    parameter.tied = TiedTo(f"{n}_{first}", factor=factor)


def joint_model(model, views):
    """Composition in which each source is a spectrum times where its light falls.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Composition with sources that have fluxes, ties of which are renumbered.
    views : list of View
        One for each of its sources.

    Returns
    -------
    `~astropy.modeling.Model`
    """
    leaves, remaining = leaves_of(model), iter(views)
    numbers, firsts, after = [], [], 0
    for leaf in leaves:
        if isinstance(leaf, Source):
            view = next(remaining)
            firsts.append(after + view.place)
            numbers.append(firsts[-1])
            after += view.place + len(view.lobes)
        else:
            numbers.append(after)
            after += 1
    new = _wrapped(model, iter(views))
    _renumber(leaves_of(new), numbers)
    for view, first in zip(views, firsts, strict=True):
        view.tie(leaves_of(new), first)
    return new


def _wrapped(model, views):
    if hasattr(model, "op"):
        left = _wrapped(model.left, views)
        right = model.right if model.op == "fix_inputs" else _wrapped(model.right, views)
        return Composition(model.op, left, right, name=model.name)
    return next(views).model if isinstance(model, Source) else model


def _renumber(leaves, numbers):
    """Let ties by name lead where the parameters are now."""
    for leaf in leaves:
        for n in leaf.param_names:
            tie = getattr(leaf, n).tied  # the mapping of astropy is made anew at each access
            if isinstance(tie, TiedTo):
                name, number = NUMBERED.fullmatch(tie.name).groups()
                number = numbers[0 if len(numbers) == 1 else int(number)]
                getattr(leaf, n).tied = TiedTo(
                    f"{name}_{number}", factor=tie.factor, offset=tie.offset
                )


def shared_names(model, free, together):
    """Which non-linear parameters exposures share: a mapping as fitters understand it.

    Parameters
    ----------
    model : `~astropy.modeling.Model`
        Of one of the exposures.
    free : set of str
        Names of the free non-linear parameters.
    together : bool
        Whether exposures share all of trace and width of a source but their means.

    Returns
    -------
    dict of str to bool
    """
    out = {}
    for number, leaf in enumerate(leaves_of(model)):
        for n in leaf.param_names if isinstance(leaf, Source) else ():
            name = f"{n}_{number}"
            own = n.startswith(("trace_", "width_")) or n in (leaf.width_parameter, "flux")
            if own and name in free:
                out[name] = together and bool(re.fullmatch(r"(trace|width)_c[1-9]\d*", n))
    return out


def slit_names(model, free):
    """Names of the free coefficients of slit functions."""
    return [f"{n}_{number}" for number, leaf in enumerate(leaves_of(model))
            if isinstance(leaf, ColumnPolynomial | SlitFunction) for n in leaf.param_names
            if f"{n}_{number}" in free]  # fmt: skip


def free_names(models):
    """Names of the non-linear parameters that are free in some of the models."""
    forms = [LinearForm(model, follow_ties=True) for model in models]
    return {form.names[k] for form in forms for k in form.nonlinear}


def checked_sources(sources):
    """Sources of a user's model, whose fluxes are to become spectra.

    Raises
    ------
    ValueError
        If the flux of one is fixed or tied.
    """
    for source in sources:
        if source.flux.fixed or source.flux.tied:
            raise ValueError(
                f"model: expected sources with a free flux, which becomes their spectrum in all "
                f"exposures, got {source.name or source!r} with one that is fixed or tied"
            )
    return sources


def source_names(sources):
    """Names of sources: their own, or numbers."""
    if len(sources) == 1:
        return [sources[0].name or "source"]
    return [source.name or f"source {number + 1}" for number, source in enumerate(sources)]


def named(lobes, name):
    """Copies of the lobes of a source, called by its name."""
    out = []
    for number, lobe in enumerate(lobes):
        new = lobe.copy()
        new.name = name if not number else f"{name} lobe {number + 1}"
        out.append(new)
    return out
