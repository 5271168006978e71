"""Slits of JWST datamodels beyond their images: what fraction of the sky they show, and writing.

Datamodels that were read are not touched; what is written goes into a copy.
"""

import logging

import numpy as np

from .datamodels import opened_source
from .planes import is_vertical
from .provenance import recorded, steps_noted

__all__ = ["sky_throughputs", "with_new_slits"]

log = logging.getLogger(__name__)

DO_NOT_USE = 1
BACKGROUND = "master_background"  # in ``meta.cal_step``
POINT = "POINT"


def sky_throughputs(exposure):
    r"""What fraction of the sky each pixel shows, from the corrections a datamodel carries.

    Corrections that were applied for a point source are undone and made for the sky; those that
    were not applied yet are part of the throughput:

    .. math::
        T = \frac{P_u}{P_p}\,\frac{F_u}{F_p}\,\frac{C_p}{C_u}\,B

    with path losses :math:`P`, flats :math:`F` and photometric factors :math:`C` of point sources
    (p) and uniform ones (u), and the bar shadow :math:`B`. A factor that the slit lacks is one.

    Parameters
    ----------
    exposure : `~specmodels.Exposure`
        As read; its source may be a datamodel or the path of one.

    Returns
    -------
    dict of str to ndarray
        In the shape of each image; without the images for which nothing is known.
    """
    with opened_source(exposure.source) as model:
        if model is None:
            return {}
        trees = _slit_trees(model, len(exposure))
        turn = np.transpose if is_vertical(exposure.instrument) else np.asarray
        found, unrecorded = {}, []
        for (name, image), tree in zip(exposure.items(), trees, strict=True):
            corrections = _Corrections(tree, model.instance)
            throughput = corrections.throughput()
            if not corrections.recorded:
                unrecorded.append(name)
            if throughput is not None and turn(throughput).shape == image.shape:
                found[name] = turn(throughput)
    if unrecorded:
        log.warning("slits %s: it is not said whether path loss and bar shadow were corrected; "
                    "they are taken as not corrected", ", ".join(unrecorded))  # fmt: skip
    return found


class _Corrections:
    """The corrections of one slit, and which of them have been applied."""

    def __init__(self, tree, model_tree):
        self.tree, self.shape = tree, np.shape(tree.get("data"))
        self.steps = [(one.get("meta") or {}).get("cal_step") or {} for one in (tree, model_tree)]

    def throughput(self):
        """Product of all that is known, None if nothing is."""
        factors = [self._pathloss(), self._bar_shadow(), self._ratio("flatfield", True),
                   self._ratio("photom", False)]  # fmt: skip
        factors = [factor for factor in factors if factor is not None]
        for factor in factors[1:]:
            factors[0] *= factor
        return factors[0] if factors else None

    @property
    def recorded(self):
        """Whether the file says what has been done, where it has path losses."""
        said = any(steps.get("pathloss") for steps in self.steps)
        return said or self.tree.get("pathloss_uniform") is None

    def _applied(self, step):
        return any(steps.get(step) == "COMPLETE" for steps in self.steps)

    def _plane(self, name):
        value = self.tree.get(name)
        if value is None or np.shape(value) != self.shape:
            return None
        value = np.array(value, dtype=float)
        with np.errstate(invalid="ignore"):
            unknown = ~(value > 0)
        np.copyto(value, np.nan, where=unknown)
        return None if unknown.all() else value

    @property
    def _is_point(self):
        kind = self.tree.get("pathloss_correction_type") or self.tree.get("source_type")
        return str(kind or "").upper() == POINT

    def _pathloss(self):
        if not self._applied("pathloss"):
            return self._plane("pathloss_uniform")
        return self._ratio("pathloss", True)

    def _bar_shadow(self):
        if self.tree.get("barshadow_corrected"):
            return None
        return self._plane("barshadow")

    def _ratio(self, name, uniform_first):
        """Ratio of uniform and point correction of a slit that was taken for a point source."""
        if not self._is_point:
            return None
        point, uniform = self._plane(f"{name}_point"), self._plane(f"{name}_uniform")
        if point is None or uniform is None:
            return None
        return uniform / point if uniform_first else point / uniform


def with_new_slits(exposure):
    """The datamodel that an exposure was read from, with the exposure's images in it.

    Data and error are replaced, and the variance that came in addition goes to the read-noise
    variance; pixels whose data are not finite get DO_NOT_USE.

    Parameters
    ----------
    exposure : `~specmodels.Exposure`
        Images of the names, shapes and order that were read; those left out stay as they were.
        Steps that they all note are recorded in ``meta.cal_step``.

    Returns
    -------
    datamodel
        A copy, of the kind that was read.

    Raises
    ------
    TypeError
        If the exposure does not come from a datamodel.
    """
    with opened_source(exposure.source) as model:
        if model is None:
            raise TypeError(
                "source: expected an exposure read from a datamodel or a file of one, got "
                f"{type(exposure.source).__name__}"
            )
        out = model.copy()
        trees = _slit_trees(model, len(exposure))
        many = "slits" in model.instance
        turn = np.transpose if is_vertical(exposure.instrument) else np.asarray
        for number, (image, tree) in enumerate(zip(exposure.values(), trees, strict=True)):
            _fill(out.slits[number] if many else out, image, tree, turn)
        for step in sorted(steps_noted(exposure)):
            recorded(out, step)
        return out


def _fill(slit, image, tree, turn):
    """Put an image into a slit of a datamodel."""
    slit.data = turn(image.data).astype("f4")
    flags, lost = tree.get("dq"), ~np.isfinite(turn(image.data))
    if np.shape(flags) == lost.shape:
        lost = np.where(lost, DO_NOT_USE, 0).astype(np.uint32)
        slit.dq = np.asarray(flags, dtype=np.uint32) | lost
    if image.variance is None:
        return
    variance = turn(image.variance)
    before = np.square(np.array(tree.get("err"), dtype=float))
    slit.err = np.sqrt(variance).astype("f4")
    read = np.array(tree.get("var_rnoise"), dtype=float)
    if read.shape == variance.shape == before.shape:
        slit.var_rnoise = (read + np.maximum(variance - before, 0)).astype("f4")


def _slit_trees(model, n_images):
    """The trees of the slits, in the order in which they were read."""
    slits = list(model.instance.get("slits") or [model.instance])
    if len(slits) != n_images:
        raise ValueError(f"source: expected a datamodel with {n_images} slits, got {len(slits)}")
    return slits
