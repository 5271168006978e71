"""Light in wings so wide that the sky took it: foretold from the wings that are seen.

A sky that is fitted with a source takes what the source brings to the rows far from it. How much
that is the rows in between tell, if it is known how wings fall off. That is not known, so that many
shapes are tried, and each counts for as much as the data are in favour of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

__all__ = ["NOTHING_HIDDEN", "FittedLight", "HiddenWings", "hidden_wings", "light_inside",
           "outer_light", "some_fractions"]  # fmt: skip

# Shapes of wings, of the distance in full widths at half maximum.
SHAPES = (
    *(lambda t, q=q: (1 + t**2) ** (-q / 2) for q in (2, 3, 4, 6, 8)),
    *(lambda t, s=s: np.exp(-t / s) for s in (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)),
    *(lambda t, s=s: np.exp(-0.5 * (t / s) ** 2) for s in (0.5, 0.7, 1.0, 1.4)),
)
# Where wings begin, in the same unit, and the part of the light that they are expected to have.
CORE, EXPECTED = 1.5, 0.1
# Neither the model nor a shape is right by more than this part of itself. No column counts for more
# than by so many times the usual flux: lines may have other wings than the rest.
RELATIVE, LARGEST_FLUX = 0.1, 3.0
# Where no wings are seen, wings of the model are right by this part of themselves.
OF_MODEL = 0.3
# Shapes of which less than this part lies in the rows that are seen tell nothing there.
LEAST_SEEN = 1e-9
# Rows that tell the sky; rows of less than this part of the usual weight are left out.
LEAST_DARK, LEAST_WEIGHT = 6, 0.05
N_ROUNDS = 4
# Columns that are needed to see whether a level follows the source, and what part of itself may
# differ in a level that is the same in all columns.
LEAST_COLUMNS, FLAT = 100, 1e-9
# What is foretold and what is seen are of the same wings if they differ by so many errors.
AGREE = 3.0
# Light in wings, over that in the profile.
LARGEST_PART = 1.0
OUTER_ROWS = 0.15
# What wings that the sky has may have more of them at the ends of the spectrum than in the mean.
DRIFT = 0.5


@dataclass(frozen=True)
class HiddenWings:
    """Part of the light of all sources that lies in the sky: mean and standard deviation."""

    part: float = 0.0
    error: float = 0.0

    def combined(self, part, error):
        """What is foretold together with what is seen; either, if more is seen than foretold.

        A sky that is darker where a source is bright has no wings: its noise is correlated, or it
        has the light of a negative source. Nor has one with more light than the source: it has
        lines of its own, of which one lies upon what noise has made of the flux.
        """
        variance = self.error**2 + error**2
        if part < -AGREE * error or part > LARGEST_PART or not 0 < variance < np.inf:
            return self
        apart = abs(part - self.part)
        if apart > AGREE * np.sqrt(variance):
            if part < self.part:
                return self
            middle = 0.5 * (part + self.part)
            return HiddenWings(middle, float(np.hypot(0.5 * apart, np.sqrt(0.5 * variance))))
        weight = self.error**2 / variance
        return HiddenWings(self.part + weight * (part - self.part), np.sqrt(weight) * error)

    def errors(self, flux):
        """Errors of a flux that all its samples have in common, shape (2, n_sample).

        That of the part, and that it may change along the spectrum, as the wings of a galaxy do.
        """
        drift = DRIFT * self.part * np.linspace(-1, 1, len(flux))
        return np.stack([self.error * flux, drift * flux])


NOTHING_HIDDEN = HiddenWings()


@dataclass(frozen=True, eq=False)
class FittedLight:
    """What a fit says of the light in a slit.

    Attributes
    ----------
    image : `~specmodels.SpectralImage`
    sky : ndarray, shape (n_row, n_column)
        Image of all of the model that is no source.
    n_terms : int
        Terms that it has in a column.
    fluxes, traces : ndarray, shape (n_source, n_column)
    fwhm : float
    zones : ndarray of bool, shape (n_row, n_column)
        Pixels to which sources reach.
    light : `~specmodels.evaluators.extraction.fluxes.coherent_light.CoherentLight`
        What the fit leaves.
    """

    image: object
    sky: np.ndarray
    n_terms: int
    fluxes: np.ndarray
    traces: np.ndarray
    fwhm: float
    zones: np.ndarray
    light: object


def hidden_wings(fitted):
    r"""Part of the light of the sources that the sky has taken.

    Data less sky, over the flux, are averaged over the columns at each distance :math:`r` from the
    trace. Beyond the cores that is :math:`a W(r) - \sum_k c_k P_k(r)`, with a shape :math:`W` and
    the terms of the sky that hide in it. The wings that the dark rows have in excess of the model
    are what the sky takes there, and below the source. The prior of :math:`a` is such that the
    model is right. Where the sky is the same in all columns, its light is also seen to follow that
    of the source.

    Parameters
    ----------
    fitted : FittedLight

    Returns
    -------
    HiddenWings
    """
    fluxes = np.nan_to_num(fitted.fluxes)
    totals = np.sum(fluxes, axis=1)
    if not np.min(totals) > 0:  # wings of both signs
        return NOTHING_HIDDEN
    flux = np.sum(fluxes, axis=0)
    rows = _Rows.of(fitted, flux)
    if rows is None:
        return NOTHING_HIDDEN
    places = [np.mean(trace - fitted.traces[0]) for trace in fitted.traces]
    distances = np.abs(rows.offset - np.array(places)[:, None]) / fitted.fwhm
    found = _foretold(rows, distances, totals / totals.sum(), fitted.n_terms)
    sky = np.nan_to_num(fitted.sky)
    if np.ptp(sky) > FLAT * np.max(np.abs(sky)):
        return found
    return found.combined(*_seen(fitted, flux))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Light over flux at each distance from the trace, each of shape (n,).

    Attributes
    ----------
    offset : ndarray
        Rows from the first trace.
    seen, model, variance : ndarray
        Data less sky, model less sky, and the variance of the first.
    dark : ndarray of bool
        Rows without a source.
    """

    offset: np.ndarray
    seen: np.ndarray
    model: np.ndarray
    variance: np.ndarray
    dark: np.ndarray

    @classmethod
    def of(cls, fitted, flux):
        """Means over the columns of an image; None where too few rows are left."""
        image, light, zones = fitted.image, fitted.light, fitted.zones
        offset = np.round(image.y[:, None] - fitted.traces[0]).astype(int)
        first = offset.min()
        bins = (offset - first).ravel()
        other = light.found & ~zones & (light.residual < 0)  # what is dark is no wing
        counted = np.minimum(flux, LARGEST_FLUX * np.median(np.abs(flux)))
        weights = np.where(other, 0.0, image.weights) * counted
        above = np.nan_to_num(image.data - fitted.sky)  # of unusable pixels the weight is zero
        parts = (weights * flux, weights * above, weights * (above - light.residual))
        parts = (*parts, weights * counted)
        power, seen, lit, squares = (np.bincount(bins, a.ravel()) for a in parts)
        number = np.bincount(bins)
        dark = np.bincount(bins[~zones.ravel()], minlength=len(number))
        used = power > LEAST_WEIGHT * np.max(power)
        if np.count_nonzero(used) < 2 * LEAST_DARK:
            return None
        sums = (power, seen, lit, squares, dark, number)
        power, seen, lit, squares, dark, number = (a[used] for a in sums)
        offset = (first + np.arange(len(used)))[used]
        return cls(offset, seen / power, lit / power, squares / power**2, dark > 0.5 * number)


def _foretold(rows, distances, shares, n_terms):
    """Hidden wings by the shapes of wings that hold in the rows that are seen."""
    near = np.min(distances, axis=0)
    terms = legendre.legvander(rows.offset / np.max(np.abs(rows.offset)), n_terms - 1)
    dark = rows.dark
    if np.count_nonzero(dark) < LEAST_DARK:
        dark = near >= np.sort(near)[-LEAST_DARK]
    root = np.sqrt(rows.variance[dark])
    # What a sky through the dark rows has in all rows.
    sky = np.sum(terms, axis=0) @ np.linalg.pinv(terms[dark] / root[:, None]) / root
    known = sky @ rows.model[dark]
    use = near > CORE
    if np.count_nonzero(use) < n_terms + 2:
        return HiddenWings(0.0, OF_MODEL * abs(known))
    wings = np.array([shares @ shape(distances) for shape in SHAPES])
    seen = np.sum(wings[:, use], axis=1)
    told = seen > LEAST_SEEN * np.sum(wings, axis=1)  # others are seen far away only
    wings = wings[told] * (EXPECTED / seen[told])[:, None]
    in_sky = wings[:, dark] @ sky
    prior = np.divide(known, in_sky, out=np.zeros(in_sky.size), where=in_sky > 0)
    prior = np.clip(prior, 0.0, 1 / EXPECTED)
    height, error, evidence = _fitted(rows, use, wings, terms, prior)
    found = np.isfinite(evidence)
    if not found.any():
        return HiddenWings(0.0, OF_MODEL * abs(known))
    part, error, evidence = (
        (height * in_sky - known)[found],
        (error * in_sky)[found],
        evidence[found],
    )
    weight = np.exp(evidence - np.max(evidence))
    weight /= np.sum(weight)
    mean = weight @ part
    variance = weight @ (error**2 + (part - mean) ** 2)
    # Wings that end where they are not seen hide nothing; each term of a sky takes its own part.
    return HiddenWings(float(0.5 * mean), float(np.hypot(np.sqrt(variance), 0.5 * n_terms * mean)))


def _fitted(rows, use, wings, terms, prior):
    """Heights of wings, their errors, and the logarithms of the evidence, each of shape (n_shape,).

    All shapes, (n_shape, n), are fitted at once, each by itself.
    """
    n_shape, n_use = len(wings), np.count_nonzero(use)
    shared = np.broadcast_to(terms[use], (n_shape, n_use, terms.shape[1]))
    design = np.concatenate([wings[:, use, None], shared], axis=2)
    of_prior, height = np.eye(design.shape[2])[0], np.zeros(n_shape)
    for _ in range(N_ROUNDS):
        light = rows.model**2 + (height[:, None] * wings) ** 2
        root = np.sqrt((rows.variance + RELATIVE**2 * light)[:, use])
        weighted, data = design / root[:, :, None], rows.seen[use] / root
        matrix = np.einsum("skp,skq->spq", weighted, weighted) + np.diag(of_prior)
        inverse = np.linalg.pinv(matrix, hermitian=True)
        vector = np.einsum("skp,sk->sp", weighted, data) + prior[:, None] * of_prior
        values = np.einsum("spq,sq->sp", inverse, vector)
        height = values[:, 0]
    left = data - np.einsum("skp,sp->sk", weighted, values)
    chi2 = np.sum(left**2, axis=1) + (height - prior) ** 2
    determinant = np.linalg.slogdet(inverse)[1] - 2 * np.sum(np.log(root), axis=1)
    return height, np.sqrt(inverse[:, 0, 0]), 0.5 * (determinant - chi2)


def _seen(fitted, flux):
    """Part of the light by which a level without lines follows the source, and its error.

    What the model leaves in rows without sources is :math:`s + h F_x` of the flux :math:`F`. The
    error is infinite where the data do not tell.
    """
    image, light = fitted.image, fitted.light
    good = ~image.mask
    dark = good & ~fitted.zones
    n_dark, n_row = np.count_nonzero(dark, axis=0), np.median(np.count_nonzero(good, axis=0))
    use = (n_dark >= LEAST_DARK) & np.isfinite(flux)
    if np.count_nonzero(use) < LEAST_COLUMNS:
        return 0.0, np.inf
    weights = np.where(dark, image.weights, 0.0)[:, use]
    known = np.sum(weights, axis=0)
    left = np.sum(weights * light.residual[:, use], axis=0) / known
    flux, level = flux[use] - np.mean(flux[use]), left - np.mean(left)
    power = np.sum(flux**2)
    if not power > 0:
        return 0.0, np.inf
    slope = np.sum(flux * level) / power
    # What is left may scatter by more than the noise of its pixels, but tells no more than these.
    scatter = np.sum(flux**2 * (level - slope * flux) ** 2)
    error = np.sqrt(max(scatter, np.sum(flux**2 / known))) / power
    return slope * n_row, error * n_row


def outer_light(leaf, values, image, trace):
    """Light that the model of a source has in the outermost rows, times the number of rows.

    Parameters
    ----------
    leaf : `~specmodels.models.Source`
    values : list
        Of its parameters.
    image : `~specmodels.SpectralImage`
    trace : ndarray, shape (n_column,)

    Returns
    -------
    float
        The part of its light that a level of the sky can take.
    """
    rows = np.flatnonzero((~image.mask).any(axis=1))
    if not rows.size:
        return 0.0
    light = some_fractions(leaf, values, image)[1][rows]
    distance = np.abs(image.y[rows] - np.median(trace))
    outer = np.argsort(distance)[-max(int(OUTER_ROWS * len(rows)), 1) :]
    return float(np.max(np.mean(light[outer], axis=0))) * len(rows)


def light_inside(leaf, values, image):
    """Part of the light of a source that lies in the rows of an image; see `outer_light`."""
    return float(np.median(np.sum(some_fractions(leaf, values, image)[1], axis=0)))


def some_fractions(leaf, values, image):
    """Three of the columns, and the part of the light of a source in each row of them."""
    some = np.array([0, len(image.x) // 2, len(image.x) - 1])
    own = [v[some] if np.ndim(v) else v for v in values]
    light = leaf.fraction(image.x[some][None], image.y[:, None], own)
    return some, np.broadcast_to(np.nan_to_num(light), (len(image.y), len(some)))
