"""Which sources of a direct image are dispersed, and why the others are not."""

from collections.abc import Mapping

import numpy as np

__all__ = ["SourceSelection"]


class SourceSelection:
    """Choice of sources by order, magnitude, number and signal-to-noise ratio.

    Parameters
    ----------
    orders : sequence of int, optional
        Default: all of the grism.
    labels : sequence of int, optional
        Only these sources.
    magnitude_limit : float, optional
        Faintest magnitude in the most sensitive order; in others the limit is brighter by the ratio
        of their highest response to that of the most sensitive one.
    n_brightest : int, optional
        At most this many.
    min_snr : float, optional
        Least signal-to-noise ratio of a segment on the direct image.
    magnitudes : mapping of int to float, or table with columns ``label`` and a magnitude, optional
        Default: from the flux in the segments, with `zero_point`.
    magnitude_column : str
        Column of the table.
    zero_point : float
        Magnitude of unit flux.

    Raises
    ------
    TypeError, ValueError
        If a setting cannot be used, or the table lacks a column.
    """

    def __init__(
        self, *, orders=None, labels=None, magnitude_limit=None, n_brightest=None, min_snr=None,
        magnitudes=None, magnitude_column="isophotal_abmag", zero_point=0.0,
    ):  # fmt: skip
        self.orders = None if orders is None else tuple(int(n) for n in np.atleast_1d(orders))
        self.labels = None if labels is None else tuple(int(n) for n in np.atleast_1d(labels))
        if n_brightest is not None and (int(n_brightest) != n_brightest or n_brightest < 1):
            raise ValueError(f"n_brightest: expected a positive whole number, got {n_brightest!r}")
        self.magnitude_limit, self.n_brightest = magnitude_limit, n_brightest
        self.min_snr, self.zero_point = min_snr, float(zero_point)
        self.magnitudes = None if magnitudes is None else _mapping(magnitudes, magnitude_column)

    def __repr__(self):
        settings = {k: v for k, v in vars(self).items() if v is not None and k != "magnitudes"}
        return f"SourceSelection({', '.join(f'{k}={v!r}' for k, v in settings.items())})"

    def wanted_orders(self, grism):
        """The orders to disperse.

        Raises
        ------
        ValueError
            If the grism has no wavelength range for one of them.
        """
        if self.orders is None:
            return grism.orders
        missing = [order for order in self.orders if order not in grism.orders]
        if missing:
            raise ValueError(f"orders: expected some of {grism.orders}, got {missing} as well")
        return self.orders

    def reasons(self, direct, labels, grism):
        """Why each source is left out of each order; an empty text for those that are not.

        Returns
        -------
        reasons : dict of int to list of str
            By order, in the order of the labels.
        magnitude, snr : ndarray, shape (n_source,)
            NaN where the catalogue has none.
        """
        flux, snr = _fluxes(direct, labels)
        with np.errstate(divide="ignore", invalid="ignore"):
            magnitude = self.zero_point - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
        if self.magnitudes is not None:
            magnitude = np.array([self.magnitudes.get(int(n), np.nan) for n in labels])
        responses = {order: grism.brightest_response(order) for order in self.wanted_orders(grism)}
        highest = max(responses.values(), default=0.0)
        common = self._common(labels, magnitude, snr, flux)
        out = {}
        for order, response in responses.items():
            if response <= 0:
                out[order] = [f"no sensitivity in order {order}"] * len(labels)
                continue
            shift = 2.5 * np.log10(response / highest)
            out[order] = [reason or self._faint(value, shift)
                          for reason, value in zip(common, magnitude, strict=True)]  # fmt: skip
        return out, magnitude, snr

    def _common(self, labels, magnitude, snr, flux):
        """Reasons that hold in all orders."""
        reasons = ["" if np.isfinite(f) and f > 0 else "no light in its segment" for f in flux]
        for k, label in enumerate(labels):
            if self.labels is not None and int(label) not in self.labels:
                reasons[k] = reasons[k] or "not among the labels wanted"
            if self.min_snr is not None and not snr[k] >= self.min_snr:
                reasons[k] = reasons[k] or f"signal-to-noise ratio {snr[k]:.3g} < {self.min_snr:g}"
        if self.n_brightest is not None:
            left = [k for k, reason in enumerate(reasons) if not reason]
            ranked = sorted(left, key=lambda k: (not np.isfinite(magnitude[k]), magnitude[k]))
            for k in ranked[self.n_brightest :]:
                reasons[k] = f"not among the {self.n_brightest} brightest"
        return reasons

    def _faint(self, magnitude, shift):
        if self.magnitude_limit is None:
            return ""
        if not np.isfinite(magnitude):
            return "no magnitude in the catalogue"
        limit = self.magnitude_limit + shift
        return "" if magnitude <= limit else f"magnitude {magnitude:.2f} > {limit:.2f}"


def _mapping(magnitudes, column):
    if isinstance(magnitudes, Mapping):
        return {int(label): float(value) for label, value in magnitudes.items()}
    names = getattr(magnitudes, "colnames", None)
    if names is None:
        raise TypeError(f"magnitudes: expected a mapping or a table, got {magnitudes!r}")
    for name in ("label", column):
        if name not in names:
            raise ValueError(f"magnitudes: expected a column {name!r}, there are {list(names)}")
    values = np.ma.filled(np.ma.asarray(getattr(magnitudes[column], "value", magnitudes[column])),
                          np.nan)  # fmt: skip
    return {int(n): float(v) for n, v in zip(magnitudes["label"], values, strict=True)}


def _fluxes(direct, labels):
    """Flux in each segment and its ratio to the noise."""
    use = (direct.segmentation > 0) & ~direct.mask
    number = np.searchsorted(labels, direct.segmentation[use])
    flux = np.bincount(number, direct.mean[use], len(labels)).astype(float)
    variance = np.bincount(number, direct.error[use] ** 2, len(labels))
    return flux, np.divide(flux, np.sqrt(variance), out=np.zeros_like(flux), where=variance > 0)
