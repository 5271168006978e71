"""Converters of images and of fits: whole, so that a fit which was opened answers as it did.

What a system fit needs to answer, its normal equations, is made again from the pixels. As in
``converters.py`` classes are imported when one is met.
"""

import numpy as np
from asdf.extension import Converter

from .plain_values import loaded, plain
from .state import model_from_tree, model_to_tree

__all__ = ["FitConverter", "ImageConverter"]

TAGS = "asdf://specmodels.readthedocs.io/tags"
COLUMNS = ("covariance", "common", "shared_covariance", "chi2", "dof", "batch")
SAID = ("success", "message", "n_iterations")
# A prediction that differs by more than this, of the largest, is that of another model.
SAME = 1e-6


class ImageConverter(Converter):
    """Saves an image with all of its planes; of its metadata, those that a trace model added."""

    tags = [f"{TAGS}/image-1.0.0"]
    types = ["specmodels.spectral_image.SpectralImage"]

    def to_yaml_tree(self, image, tag, ctx):
        from ..image_files import image_tree

        tree = image_tree(image)
        return {key: plain(value) for key, value in tree.items()}

    def from_yaml_tree(self, node, tag, ctx):
        from ...spectral_image import SpectralImage
        from ..planes import MAPS

        fields = {key: loaded(value) for key, value in node.items()}
        maps = {key: fields.pop(key) for key in MAPS if key in fields}
        return SpectralImage(**fields, meta=maps)


class FitConverter(Converter):
    """Saves fits of columns and of systems, with the pixels and the model that they are of."""

    tags = [f"{TAGS}/fit-1.0.0"]
    types = ["specmodels.fitters.columns.result.ColumnFitResult",
             "specmodels.fitters.system.result.SystemFitResult"]  # fmt: skip

    def to_yaml_tree(self, fit, tag, ctx):
        said = {key: getattr(fit, key) for key in SAID}
        rejected = fit.rejected if isinstance(fit.rejected, list) else [fit.rejected]
        node = {**said, "rejected": [np.asarray(one) for one in rejected]}
        if getattr(fit, "whole", None) is not None:
            whole, number = fit.whole
            return node | {"kind": "view", "whole": whole, "number": number}
        kept = _of_columns(fit) if hasattr(fit, "covariance") else _of_system(fit)
        predicted = fit.predict()
        predicted = predicted if isinstance(predicted, list) else [predicted]
        node |= {key: plain(value) for key, value in kept.items() if value is not None}
        return node | {"predicted": predicted}

    def from_yaml_tree(self, node, tag, ctx):
        node = {key: loaded(value) for key, value in node.items()}
        rejected = node["rejected"]
        said = {key: node[key] for key in SAID}
        said["rejected"] = rejected if len(rejected) > 1 else rejected[0]
        if node["kind"] == "view":
            return node["whole"].of_image(node["number"]).replace(**said)
        models = [model_from_tree(one) for one in node["models"]]
        fit = RESTORED[node["kind"]](node, models, said)
        _check_prediction(fit, node["predicted"])
        return fit


def _of_columns(fit):
    values = dict(zip(fit.names, fit.values, strict=True))
    found = {key: getattr(fit, key) for key in COLUMNS}
    return {"kind": "columns", "images": [fit.image], "models": [model_to_tree(fit.template)],
            "values": values, **found}  # fmt: skip


def _columns_again(node, models, said):
    from ...fitters.columns.result import ColumnFitResult

    (image,), (template,) = node["images"], models
    values = {key: np.asarray(value) for key, value in node["values"].items()}
    if set(values) != set(template.param_names):
        raise ValueError(f"values: expected {list(template.param_names)}, got {list(values)}")
    for name, value in values.items():
        if value.shape not in ((), (image.shape[1],)):
            raise ValueError(f"values[{name!r}]: expected one number, or one for each of "
                             f"{image.shape[1]} columns, got {value.shape}")  # fmt: skip
    found = {key: node.get(key) for key in COLUMNS}
    ordered = tuple(values[key] for key in template.param_names)  # in files names are sorted
    return ColumnFitResult(template, image, ordered, **found, **said)


def _of_system(fit):
    from ...fitters.system import kept_of_system

    kept = kept_of_system(fit)
    models = [model_to_tree(one) for one in kept["models"]]
    # Of patterns the last counts, and in files names are sorted.
    share = list(kept["share"].items()) if isinstance(kept["share"], dict) else kept["share"]
    return {**kept, "kind": "system", "models": models, "share": share}


def _system_again(node, models, said):
    from ...fitters.system import FOUND, restored_system
    from ...models.noise.correlated import PARTS

    laws, share = node.get("laws"), node["share"]
    if laws is not None:
        laws = {key: tuple(laws[key]) for key in PARTS if key in laws}
    share = share if isinstance(share, bool) else dict(share)
    found = {key: node.get(key) for key in FOUND}
    return restored_system(
        node["images"], models,
        options={"batch": node.get("batch"), "share": share, "ridge": node["ridge"]},
        equations={"strengths": node["strengths"], "laws": laws}, found=found | said,
    )  # fmt: skip


RESTORED = {"columns": _columns_again, "system": _system_again}


def _check_prediction(fit, before):
    """Refuse a fit whose model is not what it was: other software, or a file that was changed."""
    now = fit.predict()
    now = now if isinstance(now, list) else [now]
    for image, one, other in zip(fit.images, now, before, strict=True):
        largest = np.nanmax(np.abs(other), initial=0.0, where=np.isfinite(other))
        if np.shape(other) != one.shape or not np.allclose(
            one, other, rtol=SAME, atol=SAME * largest, equal_nan=True
        ):
            raise ValueError(
                f"fit: the model of {image.name!r} has other values than when it was saved: it was "
                "written by a version of the software whose models differ, or the file was changed"
            )
