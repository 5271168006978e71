"""`GrismScene`: all dispersed sources of a field, a flat sum keyed by label and order.

Compounds of more than about 150 models hit the recursion limit, so a scene keeps one sparse table
of all basis columns; a single source is given out as a Fittable model when asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.table import QTable
from scipy import sparse

from ...numerics.dispersal import CHUNK
from ...numerics.scene_pixels import window_image
from ..spectra import LegendreSpectrum, SourceSpectrum
from .direct_image import DirectImage
from .entry import SceneEntry
from .grism import DispersedSource, Grism
from .selection import SourceSelection
from .source_shapes import GrownShapes, SourceShapes
from .term import SceneTerm

__all__ = ["GrismScene", "SceneEntry"]


@dataclass(frozen=True, eq=False, repr=False)
class GrismScene(SceneTerm, Mapping):
    """Sum of dispersed sources; see `from_direct_image`.

    A mapping of ``(label, order)`` to `DispersedSource`; a label alone, as number or text, stands
    for its first order. It is a term of compositions, too: ``scene + sky`` is a model of the
    detector, see `to_model`.

    Parameters
    ----------
    columns : `~scipy.sparse.csc_array`, shape (n_y * n_x, n_terms)
        Basis images of all sources.
    entries : sequence of SceneEntry
    shape : tuple of int
        Of the detector, (n_y, n_x).
    coefficients : array_like, shape (n_terms,), optional
        Default: those of the spectra.
    parameters : array_like of int, shape (n_terms,), optional
        Which free parameter each term is; equal numbers are shared, by the orders of a source, say.
    decisions : `~astropy.table.QTable`, optional
        What became of each source, and why.
    unit : `~astropy.units.Unit`, optional
        Of the direct image.
    wavelength_unit : `~astropy.units.Unit`

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """

    columns: sparse.csc_array
    entries: tuple
    shape: tuple
    coefficients: np.ndarray | None = None
    parameters: np.ndarray | None = None
    decisions: QTable | None = None
    unit: u.UnitBase | None = None
    wavelength_unit: u.UnitBase = u.um
    _places: Mapping = field(init=False, repr=False)

    def __post_init__(self):
        n_terms = self.columns.shape[1]
        if self.columns.shape[0] != self.shape[0] * self.shape[1]:
            raise ValueError(
                f"columns: expected {self.shape[0] * self.shape[1]} rows for the detector, got "
                f"{self.columns.shape[0]}"
            )
        coefficients = self.coefficients
        if coefficients is None:
            initial = [entry.spectrum.coefficients for entry in self.entries]
            coefficients = np.concatenate(initial or [np.zeros(0)])
        parameters = np.arange(n_terms) if self.parameters is None else self.parameters
        values = {
            "coefficients": np.array(coefficients, dtype=float), "entries": tuple(self.entries),
            "parameters": np.array(parameters, dtype=np.int64), "shape": tuple(self.shape),
            "_places": {entry.key: k for k, entry in enumerate(self.entries)},
        }  # fmt: skip
        for name in ("coefficients", "parameters"):
            if values[name].shape != (n_terms,):
                raise ValueError(f"{name}: expected {n_terms} values, got {values[name].shape}")
            values[name].flags.writeable = False
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_direct_image(
        cls, direct, segmentation=None, grism=None, *, spectrum=None, shapes=None, selection=None,
        share_orders=False, steps_per_pixel=2.0, chunk=CHUNK, n_jobs=None,
    ):  # fmt: skip
        """Disperse the sources of a direct image.

        Parameters
        ----------
        direct : `DirectImage` or array_like
            An image, background-subtracted, or a direct image with its segmentation map.
        segmentation : array_like of int, optional
            Of an array.
        grism : Grism
        spectrum : SourceSpectrum, or mapping of int to SourceSpectrum, optional
            What is fitted: for all sources, or by label with that of all others under None.
            Default: `LegendreSpectrum` of degree 3.
        shapes : SourceShapes, optional
            Default: `GrownShapes`.
        selection : SourceSelection, optional
            Default: all sources and orders.
        share_orders : bool
            Whether all orders of a source have the same spectrum, over the wavelengths of all.
        steps_per_pixel : float
            Steps of wavelength for each pixel of the trace.
        chunk : int
            Cells of 8 bytes that each thread may work on at a time, besides what is returned. The
            result depends neither on it nor on `n_jobs`.
        n_jobs : int, optional
            Threads, -1 for one per core. Default: one per core, or as many as ``OMP_NUM_THREADS``
            says.

        Raises
        ------
        TypeError, ValueError
            If an argument cannot be used.
        """
        direct = direct if isinstance(direct, DirectImage) else DirectImage(direct, segmentation)
        if not isinstance(grism, Grism):
            raise TypeError(f"grism: expected a Grism, got {grism!r}")
        shapes = GrownShapes() if shapes is None else shapes
        if not isinstance(shapes, SourceShapes):
            raise TypeError(f"shapes: expected SourceShapes, got {shapes!r}")
        selection = SourceSelection() if selection is None else selection
        orders = selection.wanted_orders(grism)
        spectra = _Spectra(spectrum, grism, orders if share_orders else None)
        labels, squares = shapes(direct)
        light = squares.total
        reasons, magnitude, snr = selection.reasons(direct, labels, grism)
        options = {"steps_per_pixel": steps_per_pixel, "bands": direct.wavelength,
                   "chunk": chunk, "n_jobs": n_jobs}  # fmt: skip
        pieces, entries, n_terms = [], [], 0
        for order in orders:
            wanted = np.array([not reason for reason in reasons[order]], dtype=bool)
            for own, chosen in spectra.groups(labels, wanted, order):
                part = squares.of(chosen)
                columns = grism.disperse(part, order, own, **options)
                lit = np.diff(columns.indptr[:: own.n_terms]) > 0
                for k in chosen[~lit]:
                    reasons[order][k] = "off the detector"
                if not lit.all():
                    columns = columns[:, np.repeat(lit, own.n_terms)]
                for k, label in zip(chosen[lit], labels[chosen[lit]], strict=True):
                    entries.append(SceneEntry(int(label), order, n_terms, n_terms + own.n_terms,
                                              own, float(light[k])))  # fmt: skip
                    n_terms += own.n_terms
                pieces.append(columns)
        n_pixels = grism.shape[0] * grism.shape[1]
        columns = sparse.hstack(pieces, format="csc") if len(pieces) > 1 else (
            pieces[0] if pieces else sparse.csc_array((n_pixels, 0)))  # fmt: skip
        return cls(
            sparse.csc_array(columns), entries, grism.shape, unit=direct.unit,
            wavelength_unit=grism.wavelength_unit,
            parameters=_shared(entries) if share_orders else None,
            decisions=_decisions(labels, reasons, magnitude, snr),
        )  # fmt: skip

    def __getitem__(self, key):
        return self._source(self.entry(key))

    def __iter__(self):
        return iter(self._places)

    def __len__(self):
        return len(self.entries)

    def __contains__(self, key):
        try:
            self.entry(key)
        except KeyError:
            return False
        return True

    def __repr__(self):
        orders = sorted({entry.order for entry in self.entries})
        n_sources = len({entry.label for entry in self.entries})
        return (
            f"<GrismScene: {n_sources} sources, orders {orders}, "
            f"{self.n_parameters} parameters, {self.shape[0]} x {self.shape[1]} pixels>"
        )

    def entry(self, key):
        """The entry of a label and order, or of a label's first order.

        Raises
        ------
        KeyError
            If there is none, with the reason where there is one.
        """
        if isinstance(key, tuple):
            place = self._places.get((int(key[0]), int(key[1])))
        else:
            try:
                label = int(key)
            except (TypeError, ValueError):
                raise KeyError(key) from None
            place = next((k for k, e in enumerate(self.entries) if e.label == label), None)
        if place is None:
            raise KeyError(f"no source {key!r} in the scene{self._reason(key)}")
        return self.entries[place]

    def _reason(self, key):
        if self.decisions is None:
            return ""
        label = int(key[0]) if isinstance(key, tuple) else int(key)
        found = [f"order {row['order']}: {row['reason']}" for row in self.decisions
                 if row["label"] == label and row["reason"]]  # fmt: skip
        return f": {'; '.join(found)}" if found else ""

    def _source(self, entry):
        start = self.columns.indptr[entry.first : entry.stop + 1]
        cut = slice(start[0], start[-1])
        values = {f"c{j}": v for j, v in enumerate(self.coefficients[entry.terms])}
        return DispersedSource(self.columns.indices[cut], self.columns.data[cut], start - start[0],
                               self.shape, name=f"{entry.label}", **values)  # fmt: skip

    @property
    def n_parameters(self):
        """Number of free parameters; shared ones count once."""
        return int(self.parameters.max(initial=-1)) + 1

    @cached_property
    def simulated_image(self):
        """All sources with their coefficients, shape (n_y, n_x)."""
        return (self.columns @ self.coefficients).reshape(self.shape)

    def image(self, key, window=None):
        """One source in one order, on the whole detector or in a window.

        Parameters
        ----------
        key : tuple of int, int or str
        window : tuple of slice, optional
            Rows and columns.

        Returns
        -------
        ndarray
        """
        return self.part(self.entry(key).terms, self.coefficients, window)

    def part(self, terms, coefficients, window=None):
        """Sum of some consecutive terms with these coefficients, in a window."""
        window = window or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        return window_image(self.columns, coefficients[terms], terms.start, self.shape[1], window)

    def spectrum(self, key):
        """The spectrum of an entry with the coefficients of the scene, a Fittable model."""
        entry = self.entry(key)
        return _with_values(entry.spectrum, self.coefficients[entry.terms])

    def with_coefficients(self, coefficients):
        """Copy with other coefficients."""
        return replace(self, coefficients=coefficients)


def _with_values(spectrum, values):
    new = spectrum.copy()
    for j, value in enumerate(values):
        setattr(new, f"c{j}", value)
    return new


class _Spectra:
    """The spectrum of each source, with the limits of an order, or of all of them."""

    def __init__(self, spectrum, grism, shared_orders):
        spectrum = LegendreSpectrum() if spectrum is None else spectrum
        self.by_label = dict(spectrum) if isinstance(spectrum, Mapping) else {None: spectrum}
        self.by_label.setdefault(None, LegendreSpectrum())
        for label, one in self.by_label.items():
            if not isinstance(one, SourceSpectrum):
                raise TypeError(f"spectrum of {label}: expected a SourceSpectrum, got {one!r}")
        self.grism = grism
        self.limits = None
        if shared_orders is not None:
            ranges = np.array([grism.wavelength_range[order] for order in shared_orders])
            self.limits = (ranges[:, 0].min(), ranges[:, 1].max())

    def groups(self, labels, wanted, order):
        """Pairs of a spectrum and the sources which have it."""
        limits = self.limits or self.grism.wavelength_range[order]
        single = np.isin(labels, [label for label in self.by_label if label is not None])
        for label, spectrum in self.by_label.items():
            mine = ~single if label is None else labels == label
            chosen = np.flatnonzero(mine & wanted)
            if len(chosen):
                yield spectrum.within(limits), chosen


def _shared(entries):
    """Number of the free parameter of each term: the same in all orders of a label."""
    known, out, n_free = {}, [], 0
    for entry in entries:
        if entry.label not in known:
            known[entry.label] = np.arange(n_free, n_free + entry.stop - entry.first)
            n_free += entry.stop - entry.first
        out.append(known[entry.label])
    return np.concatenate(out or [np.zeros(0, int)])


def _decisions(labels, reasons, magnitude, snr):
    rows = [{"label": int(label), "order": order, "magnitude": magnitude[k], "snr": snr[k],
             "dispersed": not reasons[order][k], "reason": reasons[order][k]}
            for order in reasons for k, label in enumerate(labels)]  # fmt: skip
    names = ("label", "order", "magnitude", "snr", "dispersed", "reason")
    if not rows:
        return QTable(names=names, dtype=(int, int, float, float, bool, str))
    return QTable(rows=rows, names=names)
