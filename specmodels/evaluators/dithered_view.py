"""Where the light of a source falls in one exposure, and the spectrum it is multiplied by."""

import re
from dataclasses import dataclass

from ..models import (
    ColumnPolynomial,
    LinearForm,
    SlitFunction,
    Source,
    TiedTo,
    on_pixels,
    repeated_over,
)
from ..models.composition import Composition
from .automatic import leaves_of

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

    def model(self, first):
        """The spectrum times the lobes.

        Parameters
        ----------
        first : int
            Number of elementary models before it in the composition.

        Returns
        -------
        `~astropy.modeling.Model`
        """
        seen = None
        for number, (lobe, weight) in enumerate(zip(self.lobes, self.weights, strict=True)):
            source = repeated_over(lobe)
            source.flux = weight * self.throughput
            source.flux.fixed = self.held
            if number:
                source.flux.fixed = False
                source.flux.tied = TiedTo(f"flux_{first + 1}", factor=weight / self.weights[0])
            seen = source if seen is None else seen + source
        return Composition("*", on_pixels(self.spectrum), seen)


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
    leaves, numbers, after = leaves_of(model), {}, 0
    remaining = iter(views)
    starts = []
    for number, leaf in enumerate(leaves):
        starts.append(after)
        if isinstance(leaf, Source):
            numbers[number] = after + 1  # behind its spectrum
            after += 1 + len(next(remaining).lobes)
        else:
            numbers[number] = after
            after += 1
    new = _wrapped(model, iter(views), iter(starts))
    _renumber(leaves_of(new), numbers, len(leaves) == 1)
    return new


def _wrapped(model, views, starts):
    if hasattr(model, "op"):
        left = _wrapped(model.left, views, starts)
        right = model.right if model.op == "fix_inputs" else _wrapped(model.right, views, starts)
        return Composition(model.op, left, right, name=model.name)
    start = next(starts)
    return next(views).model(start) if isinstance(model, Source) else model


def _renumber(leaves, numbers, alone):
    """Let ties by name lead where the parameters are now; those of lobes do so already."""
    for leaf in leaves:
        for n in leaf.param_names:
            tie = leaf.tied[n]
            if not isinstance(tie, TiedTo) or (n == "flux" and isinstance(leaf, Source)):
                continue
            name, number = NUMBERED.fullmatch(tie.name).groups()
            number = 0 if alone else int(number)
            new = TiedTo(f"{name}_{numbers[number]}", factor=tie.factor, offset=tie.offset)
            leaf.tied[n] = new
            getattr(leaf, n).tied = new


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
