"""A model of several spectral orders of one star: traces as told, a profile learnt from all.

The orders may overlap: in each column the fluxes of all orders are solved for together, and which
order a pixel's light belongs to is known from where the profile of each lies.
"""

from dataclasses import dataclass

import numpy as np
from astropy.modeling import Model

from ...models import BSplineProfile, ColumnPolynomial, Profile, Source, TiedTo
from ...models.orders import Orders, with_shared_spectrum
from .guess.leaves import leaves_of
from .shapes import with_shared_shape, with_wing_priors

__all__ = ["OrdersBuilder"]

# Width of the bins of the first profile, in pixels; its core is where it has so much of its peak.
BIN, CORE_LEVEL = 1.0, 0.02
# Distance of knots in the core, in pixels; wings reach so many times as far, each knot so much
# farther from the last.
CORE_SPACING, WINGS, GROWTH = 1.0, 8.0, 1.35
# Part of the rows, those farthest from all orders, whose median is a first level of the sky.
SKY_ROWS = 0.1


@dataclass(frozen=True)
class OrdersBuilder:
    """Settings by which a model of several orders is made.

    Attributes
    ----------
    orders : `~specmodels.Orders`
    profile : `~specmodels.Profile`, optional
        Profile of all orders; default: a B-spline that is learnt.
    sky : `~astropy.modeling.Model`, optional
        Sky of a column; default: one level.

    Raises
    ------
    TypeError, ValueError
        If something else is given.
    """

    orders: Orders
    profile: object = None
    sky: object = None

    def __post_init__(self):
        if not isinstance(self.orders, Orders):
            object.__setattr__(self, "orders", Orders(self.orders))
        for key, kind in (("profile", Profile), ("sky", Model)):
            value = getattr(self, key)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"{key}: expected a {kind.__name__}, got {value!r}")

    def build(self, image):
        """Model of `image`: a source for each order, and the sky.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`

        Returns
        -------
        `~astropy.modeling.Model`
        """
        traces = [order.trace_model(image.x, self.orders.distortion) for order in self.orders]
        rows = np.array([np.broadcast_to(trace(image.x), image.x.shape) for trace in traces])
        profile = first_profile(image, rows) if self.profile is None else self.profile
        names = self.orders.names
        sources = [Source(profile, trace, name=name)
                   for trace, name in zip(traces, names, strict=True)]  # fmt: skip
        model = sources[0]
        for source in sources[1:]:
            model = model + source
        sky = self.sky
        if sky is None:
            sky = ColumnPolynomial(0, limits=(image.y[0], image.y[-1]), name="sky")
        model = self._with_own_traces(with_shared_shape(model + sky))
        if self.profile is None:
            _hold_frame(model)
        return model

    def _with_own_traces(self, model):
        """Model in which orders share the profile, and traces where they have one distortion."""
        sources = [leaf for leaf in leaves_of(model) if isinstance(leaf, Source)]
        arrays = [not isinstance(order.trace, Model) for order in self.orders]
        common = self.orders.common_distortion and arrays[0]
        for source, array in zip(sources[1:], arrays[1:], strict=True):
            for n in [n for n in source.param_names if n.startswith("trace_")]:
                tie = TiedTo(f"{n}_0") if common and array else False
                source.tied[n] = tie
                getattr(source, n).tied = tie
        return model

    def shared(self, model, image):
        """Model of orders of one spectrum, with the traces and profiles of a fitted model, held.

        Parameters
        ----------
        model : `~astropy.modeling.Model`
            As `build` makes it, with fitted values.
        image : `~specmodels.SpectralImage`
        """
        leaves = leaves_of(model)
        sources = [leaf.copy() for leaf in leaves if isinstance(leaf, Source)]
        for source in sources:
            for n in source.param_names:
                source.tied[n] = getattr(source, n).tied = False
                getattr(source, n).fixed = True
        rest = [leaf for leaf in leaves if not isinstance(leaf, Source)]
        out = with_shared_spectrum(sources, self.orders, self.orders.spectrum, image.x)
        for leaf in rest:
            out = out + leaf
        return out


def first_profile(image, rows):
    """Profile from the pixels nearest to each of several traces, as a B-spline.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
    rows : ndarray, shape (n_order, n_column)
        Traces.

    Returns
    -------
    `~specmodels.BSplineProfile`

    Raises
    ------
    ValueError
        If there is no light along the traces.
    """
    places, density = _mean_profile(image, rows)
    peak = float(density.max(initial=0.0))
    if not peak > 0:
        raise ValueError(f"image {image.name!r}: no light along the traces of the orders")
    bright = places[density > CORE_LEVEL * peak]
    core = max(float(np.max(np.abs(bright))) + 1.0, 3 * CORE_SPACING)
    profile = BSplineProfile(_knots(core, min(WINGS * core, float(np.ptp(image.y)))))
    for j, value in enumerate(
        profile._table.project(lambda t: np.interp(t, places, density, left=0.0, right=0.0))
    ):
        setattr(profile, f"c{j}", value)
    profile.scale.fixed = True
    return with_wing_priors(profile)


def _knots(core, reach):
    """Even breakpoints in the core and ever wider ones beyond, symmetric."""
    n = int(np.ceil(core / CORE_SPACING))
    half, step = list(np.arange(1, n + 1) * CORE_SPACING), CORE_SPACING
    while half[-1] < reach:
        step *= GROWTH
        half.append(half[-1] + step)
    half = np.array(half)
    return np.concatenate([-half[::-1], [0.0], half])


def _mean_profile(image, rows):
    """Light at each distance from the nearest trace, over that of the order, where they are apart.

    Returns
    -------
    places : ndarray, shape (n,)
        Distances from the trace, in pixels.
    density : ndarray, shape (n,)
    """
    apart = _separation(rows, image)
    distance = image.y[:, None] - rows[:, None]
    nearest = np.argmin(np.abs(distance), axis=0)
    t = np.take_along_axis(distance, nearest[None], axis=0)[0]
    chosen = apart >= np.median(apart, axis=1)[:, None]
    reach = np.take_along_axis(apart, nearest, axis=0) / 2
    own = ~image.mask & (np.abs(t) < reach)
    own &= np.take_along_axis(chosen, nearest, axis=0)
    data = np.where(image.mask, 0.0, image.data - _level(image, np.abs(t)))
    half = max(float(np.min(apart[chosen])) / 2, 1.5)
    inner = own & (np.abs(t) < half)
    light = np.array([np.where(inner & (nearest == k), data, 0.0).sum(axis=0)
                      for k in range(len(rows))])  # fmt: skip
    flux = np.take_along_axis(light, nearest, axis=0)
    own &= flux > 0
    bins = np.round(t[own] / BIN).astype(int)
    low = bins.min(initial=0)
    # Sums over sums: columns and orders count by their light.
    total, norm = (np.bincount(bins - low, values) for values in (data[own], flux[own]))
    known = norm > 0
    return (np.flatnonzero(known) + low) * BIN, total[known] / norm[known]


def _separation(rows, image):
    """Distance of each order from its nearest neighbour, at most the height of the image."""
    height = float(np.ptp(image.y)) + 1
    out = np.full(rows.shape, height)
    for k, own in enumerate(rows):
        others = np.delete(rows, k, axis=0)
        out[k] = np.min(np.abs(others - own), axis=0, initial=height)
    return out


def _level(image, distance):
    """Level of the sky in each column: that of the rows farthest from all orders."""
    data = np.where(image.mask, np.nan, image.data)
    far = distance >= np.quantile(distance, 1 - SKY_ROWS, axis=0)
    known = (far & ~image.mask).any(axis=0)
    level = np.zeros(data.shape[1])
    level[known] = np.nanmedian(np.where(far, data, np.nan)[:, known], axis=0)
    return level


def _hold_frame(model):
    """Hold the mean position of the first order, which a free profile has in itself."""
    first = next(leaf for leaf in leaves_of(model) if isinstance(leaf, Source))
    free = [n for n in first.param_names if n.startswith("trace_") and not first.fixed[n]]
    if free:
        getattr(first, free[0]).fixed = True
