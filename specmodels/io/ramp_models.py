"""Frames in time of JWST datamodels: arrays and flags of the tree, readout from the metadata.

Trees are read, never changed.
"""

import warnings
from functools import cached_property
from pathlib import Path

import numpy as np

from ..instruments import recognise_instrument
from ..numerics.readout import Readout
from ..ramp import Ramp
from .datamodels import is_model
from .regions import has_fixed_slits, light_regions
from .units import parsed_unit

__all__ = ["is_ramp_model", "opened", "ramp_of_model"]

ALL_FLAGS = 0xFFFFFFFF
DO_NOT_USE, SATURATED, JUMP, NON_SCIENCE = 1, 2, 4, 512
MSA_FAILED_OPEN = 1 << 29
OUTPUTS_OF_SUBARRAYS, LINE_OVERHEAD = 1, 12
# One-indexed rows 923 to 1116 of full frames hold the always open fixed slits.
FIXED_SLITS = slice(922, 1116)
MODES_WITH_FIXED_SLITS = ("NRS_IFU", "NRS_MSASPEC")


def is_ramp_model(obj):
    """Whether an object is a datamodel with an array ``data``."""
    return is_model(obj) and "data" in obj.instance


def opened(path):
    """The datamodel of a file, of whatever type: that it is of none, or of another mission, is told
    by what it lacks.
    """
    from stdatamodels.exceptions import ValidationWarning
    from stdatamodels.jwst import datamodels

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "model_type not found")
        warnings.simplefilter("ignore", ValidationWarning)
        return datamodels.open(path)


def ramp_of_model(model, source):
    """Frames of a RampModel, CubeModel or ImageModel, read from its tree, which is not touched.

    Of files of an unknown kind every flag counts, unless a table ``DQ_DEF`` says what they mean.
    """
    tree = model.instance
    data = np.array(tree["data"], dtype="f4")
    meta = _Meta(tree.get("meta") or {}, _primary_cards(tree))
    flags, group = _all_flags(tree, data.shape)
    says = "dq_def" in tree or "DQ_DEF" in (tree.get("extra_fits") or {})
    plain = isinstance(source, Path) and meta.is_unknown and not says
    bits = DO_NOT_USE | (NON_SCIENCE if meta.has_dark_parts else 0)
    always, single = _flagged(flags, ALL_FLAGS if plain else bits)
    if group is not None:
        single = (group & DO_NOT_USE) != 0
    shape = data.shape[-2:]
    always = np.zeros(shape, dtype=bool) if always is None else always
    return Ramp(
        data, readout=meta.readout(shape), mask=always, lit=meta.lit(tree, flags, shape),
        frame_mask=single if single is not None and single.any() else None,
        saturated=None if group is None else (group & SATURATED) != 0,
        jumped=None if group is None else (group & JUMP) != 0,
        variance=_variance(tree, data.shape), unit=meta.unit(),
        dispersion_axis=meta.dispersion_axis(), source=source,
    )  # fmt: skip


def _plane(tree, name, shape):
    """Flags of a datamodel, of each frame or of all of them; None where it has none."""
    value = tree.get(name)
    if value is None:
        return None
    value = np.asarray(value)
    if value.shape != shape[-2:] and (name == "pixeldq" or value.shape != shape):
        raise ValueError(
            f"{name}: expected flags of the shape of the data {shape}, got {value.shape}"
        )
    return value.astype(np.uint32)


def _all_flags(tree, shape):
    """Flags of pixels, and those of the groups of ramps; None where there are none.

    Planes for which a datamodel has no place of its own are those of plain files.
    """
    if len(shape) < 4:
        return _plane(tree, "dq", shape), None
    extra = tree.get("extra_fits") or {}
    planes = [(name, (extra.get(name.upper()) or {}).get("data") if tree.get(name) is None
               else tree[name]) for name in ("pixeldq", "dq", "groupdq")]  # fmt: skip
    found = [_plane({name: value}, name, shape) for name, value in planes]
    pixels, groups = ([plane for plane in found if plane is not None and plane.ndim == n]
                      for n in (2, 4))  # fmt: skip
    return tuple(np.bitwise_or.reduce(some) if some else None for some in (pixels, groups))


def _flagged(flags, bits):
    """Pixels with any of the bits throughout, and in single frames where they have flags."""
    if flags is None:
        return None, None
    bad = (flags & bits) != 0
    if bad.ndim == 2:
        return bad, None
    return bad.all(axis=0), bad


def _variance(tree, shape):
    parts = {name: np.asarray(tree[name]) for name in ("var_rnoise", "var_poisson")
             if tree.get(name) is not None and np.size(tree[name])}  # fmt: skip
    for name, part in parts.items():
        if part.shape != shape:
            raise ValueError(
                f"{name}: expected variances of the shape of the data {shape}, got {part.shape}"
            )
    return np.sum(list(parts.values()), axis=0) if parts else None


def _primary_cards(tree):
    """Cards of the primary header for which a datamodel has no place of its own."""
    node = tree
    for key in ("extra_fits", "PRIMARY", "header"):
        node = node.get(key) if hasattr(node, "get") else None
    return {card[0]: card[1] for card in node or ()}


class _Meta:
    """The metadata of a datamodel that say how the detector was read."""

    def __init__(self, meta, cards):
        self.meta, self.cards = meta, cards

    def get(self, path):
        node = self.meta
        for key in path.split("."):
            node = node.get(key) if hasattr(node, "get") else None
        return node

    @cached_property
    def instrument(self):
        """The instrument and mode, None where unknown."""
        words = {"INSTRUME": "instrument.name", "EXP_TYPE": "exposure.type",
                 "FILTER": "instrument.filter", "PUPIL": "instrument.pupil"}  # fmt: skip
        return recognise_instrument({key: self.get(path) for key, path in words.items()})

    @property
    def is_unknown(self):
        """Whether neither a datamodel nor an instrument says what flags mean."""
        return "DATAMODL" not in self.cards and self.instrument is None and not self.exposure_type

    @property
    def exposure_type(self):
        return str(self.get("exposure.type") or "")

    @property
    def has_dark_parts(self):
        """Whether pixels flagged as non-science see other light than the rest."""
        return self.exposure_type == "MIR_IMAGE"

    def readout(self, shape):
        """Order of readout: axes from the metadata, the rest as the instrument has it, or None."""
        known = None if self.instrument is None else self.instrument.readout
        fast, slow = (self.get(f"subarray.{name}axis") or self.cards.get(f"{name.upper()}AXIS")
                      for name in ("fast", "slow"))  # fmt: skip
        if {fast, slow} not in ({1, 2}, {1, -2}, {-1, 2}, {-1, -2}):
            return known
        known = Readout() if known is None else known
        n_outputs = self.get("exposure.noutputs")
        if not n_outputs:
            full = shape[-abs(fast)] in (2048, 1032) and shape[-abs(slow)] in (2048, 1024)
            n_outputs = 4 if full else OUTPUTS_OF_SUBARRAYS
        return known.replace(
            fast_axis=-abs(fast), fast_direction=1 if fast > 0 else -1,
            slow_direction=1 if slow > 0 else -1, n_outputs=n_outputs,
            line_overhead=known.line_overhead or LINE_OVERHEAD,
        )  # fmt: skip

    def lit(self, tree, flags, shape):
        """Pixels known to see light, None if there are none."""
        out = np.zeros(shape, dtype=bool)
        always_open = self.exposure_type in MODES_WITH_FIXED_SLITS and shape == (2048, 2048)
        if always_open and not has_fixed_slits(self.get("wcs")):
            out[FIXED_SLITS] = True
        if self.get("instrument.name") == "NIRSPEC":
            regions = light_regions(tree, shape)
            out |= False if regions is None else regions
        if flags is not None:
            opened = (flags & MSA_FAILED_OPEN) != 0
            out |= opened.any(axis=tuple(range(opened.ndim - 2)))
        return out if out.any() else None

    def unit(self):
        text = self.get("bunit_data")
        return None if not text else parsed_unit(text, "bunit_data")

    def dispersion_axis(self):
        """Axis of dispersion: None for images of the sky."""
        if self.instrument is None:
            return -1 if self.exposure_type else None
        return self.instrument.dispersion_axis if self.instrument.dispersed else None
