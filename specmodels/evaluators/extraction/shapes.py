"""Shapes of the sources of a model: shared, held, drifting, and what is expected of wings."""

import numpy as np

from ...models import (
    BSplineProfile,
    DriftingBSplineProfile,
    GaussianPrior,
    MoffatProfile,
    PolynomialTrace,
    Source,
    TiedTo,
)
from .guess.leaves import leaves_of, replace_leaf
from .guess.trace_search import BOW, SLOPE

__all__ = [
    "star_profile",
    "with_drifting_shape",
    "with_fixed_frame",
    "with_held_shape",
    "with_shared_shape",
    "with_symmetric_shape",
    "with_trace_priors",
    "with_wing_priors",
]

# Steepness of the wings of stars, which data without a view of wings cannot tell from any other.
MOFFAT_ALPHA = GaussianPrior(3.5, 2.0)
# Range in which its coefficients are expected: relative to themselves, and the part of all light
# that each may bring.
RELATIVE_PRIOR, LIGHT_PRIOR = 0.5, 3e-3


def star_profile():
    """A Moffat profile whose wings are expected to be those of stars."""
    profile = MoffatProfile(alpha=MOFFAT_ALPHA.mean)
    profile.alpha.prior = MOFFAT_ALPHA
    return profile


def with_drifting_shape(model, image):
    """Model whose empirical profiles may change along the dispersion; None where there are none."""
    sources = [leaf for leaf in leaves_of(model) if isinstance(leaf, Source)]
    empirical = all(isinstance(source.profile, BSplineProfile) for source in sources)
    # Neighbours would exchange light by a drift, which no column by itself forbids.
    if not empirical or len(image.x) < 2 or len(sources) > 1:
        return None
    if any(sources[0].tied[n] for n in sources[0].param_names if _is_coefficient(n)):
        return None
    limits = (image.x[0], image.x[-1])
    for source in sources:
        profile = DriftingBSplineProfile.from_profile(source.part("profile"), limits)
        for n in profile.param_names:
            if n.endswith("_x1"):
                sigma = getattr(profile, n.removesuffix("_x1")).prior.sigma
                getattr(profile, n).prior = GaussianPrior(0.0, sigma)
        model = replace_leaf(model, source.name, source.with_parts(profile=profile))
    return with_fixed_frame(with_shared_shape(model), degree=1)


def with_wing_priors(profile):
    """Spline whose coefficients are expected within a wide range of their values.

    Where the data say something the prior does not matter; where they do not, in wings that the sky
    absorbs, the parametric shape is kept but for a small part of the light.
    """
    names = [n for n in profile.param_names if n not in ("center", "scale")]
    values = np.array([float(getattr(profile, n).value) for n in names])
    light = values @ profile.areas
    for n, value, area in zip(names, values, profile.areas, strict=True):
        sigma = RELATIVE_PRIOR * abs(value) + LIGHT_PRIOR * light / area
        getattr(profile, n).prior = GaussianPrior(value, sigma)
    return profile


def with_trace_priors(trace):
    """Polynomial whose slope, bow, … are expected to be those that instruments make."""
    for k in range(1, trace.degree + 1):
        getattr(trace, f"c{k}").prior = GaussianPrior(0.0, SLOPE if k == 1 else BOW)
    return trace


def with_shared_shape(model, further=()):
    """Tie shape, width and distortion of all sources to those of the first: one instrument.

    Those of the names `further` are of another order: traces and mean widths are their own.
    """
    leaves = leaves_of(model)
    numbers = [j for j, leaf in enumerate(leaves) if isinstance(leaf, Source)]
    for j in numbers[1:]:
        for n in leaves[j].param_names:
            own = n in ("flux", "trace_c0")
            own |= n.startswith("trace_") and not _is_polynomial(leaves[j])
            if leaves[j].name in further:
                own |= n.startswith("trace_") or n == "width_c0"
            if not own:
                leaves[j].tied[n] = TiedTo(f"{n}_{numbers[0]}")
                getattr(leaves[j], n).tied = TiedTo(f"{n}_{numbers[0]}")
    return model


def with_symmetric_shape(model):
    """Model whose empirical profile is the same on both sides, so that one may tell of the other.

    Where it lies is then known by itself; its width is in the coefficients.
    """
    leaves = leaves_of(model)
    number = next(j for j, leaf in enumerate(leaves) if isinstance(leaf, Source))
    first, suffix = leaves[number], f"_{number}" if len(leaves) > 1 else ""
    names = [n for n in first.param_names if _is_coefficient(n)]
    for own, mirrored in zip(names[: len(names) // 2], names[::-1], strict=False):
        first.tied[own] = getattr(first, own).tied = TiedTo(f"{mirrored}{suffix}")
    if "width_c0" in first.param_names:
        first.width_c0.fixed = True
    return model


def _is_coefficient(name):
    """Whether a parameter of a source is a coefficient of an empirical profile."""
    return name.startswith("c") and name[1:].isdigit()


def _is_polynomial(source):
    """Whether it is known which parameters of the trace are its position and slope."""
    return isinstance(source.trace, PolynomialTrace)


def with_fixed_frame(model, *, degree=0):
    """Fix position and width of the first source, to a degree that a free profile has in itself.

    A trace that is no polynomial is fixed as a whole, where the parametric profile had it.
    """
    first = next(leaf for leaf in leaves_of(model) if isinstance(leaf, Source))
    for n in () if _is_polynomial(first) else first.param_names:
        if n.startswith("trace_"):
            getattr(first, n).fixed = True
    for k in range(degree + 1):
        for n in (f"trace_c{k}", f"width_c{k}"):
            if n in first.param_names:
                getattr(first, n).fixed = True
    return model


def with_held_shape(model):
    """Fix traces, widths and shapes of all sources at their values; their fluxes stay free."""
    for source in leaves_of(model):
        if isinstance(source, Source):
            for n in source.param_names:
                if n != "flux" and not source.tied[n]:
                    getattr(source, n).fixed = True
    return model
