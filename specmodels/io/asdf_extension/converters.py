"""Converters: of all models of the package and those which users register, ties, settings, ramps.

`asdf` imports this module when it opens any file, so models are imported when one is met.
"""

from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files

import asdf
import numpy as np
import yaml
from asdf.extension import Converter, ManifestExtension
from asdf_astropy.converters.transform.core import TransformConverterBase, parameter_to_value

from .fit_converters import FitConverter, ImageConverter
from .plain_values import loaded, plain
from .state import restore_state, state_of

__all__ = [
    "ModelConverter",
    "RampConverter",
    "SettingsConverter",
    "TieConverter",
    "declared_models",
    "extension",
    "register_model",
]

MANIFEST = "manifests/specmodels-1.2.0.yaml"
# Of files that are read, not written.
OLD_MANIFESTS = ["manifests/specmodels-1.1.0.yaml", "manifests/specmodels-1.0.0.yaml"]
TAGS = "asdf://specmodels.readthedocs.io/tags"
MODEL_TYPES = [
    "specmodels.models.background.LogPolynomialSpectrum",
    "specmodels.models.background.MasterBackgroundSpectrum",
    "specmodels.models.bspline_trace.BSplineTrace",
    "specmodels.models.composition.Coordinate",
    "specmodels.models.drifting.DriftingBSplineProfile",
    "specmodels.models.effective_psf.EffectivePSF",
    "specmodels.models.empirical.BSplineProfile",
    "specmodels.models.lorentz_profiles.LorentzProfile",
    "specmodels.models.lorentz_profiles.VoigtProfile",
    "specmodels.models.noise.correlated.CorrelatedNoise",
    "specmodels.models.noise.correlated.FlickerSpectrum",
    "specmodels.models.noise.lines.FourierNoise",
    "specmodels.models.noise.lines.LineMedian",
    "specmodels.models.noise.lines.LineOffset",
    "specmodels.models.profiles.BoxProfile",
    "specmodels.models.profiles.GaussianProfile",
    "specmodels.models.profiles.MoffatProfile",
    "specmodels.models.psf.TabulatedPSF",
    "specmodels.models.scenes.grism.DispersedSource",
    "specmodels.models.sky.ColumnPolynomial",
    "specmodels.models.sky.UniformSky",
    "specmodels.models.slits.BarShadow",
    "specmodels.models.slits.SlitFunction",
    "specmodels.models.slits.SlitThroughput",
    "specmodels.models.sources.Source",
    "specmodels.models.spectra.BSplineSpectrum",
    "specmodels.models.spectra.LegendreSpectrum",
    "specmodels.models.spectra.TabulatedSpectrum",
    "specmodels.models.traces.DistortedTrace",
    "specmodels.models.traces.PolynomialTrace",
    "specmodels.models.traces.SplineTrace",
    "specmodels.models.traces.TabulatedTrace",
    "specmodels.models.wavelength_map.WavelengthMap",
]
SETTINGS_TYPES = [
    "specmodels.models.noise.nsclean.NSCleanNoise",
    "specmodels.models.noise.nsclean.NSCleanSubarrayNoise",
    "specmodels.numerics.readout.Readout",
]
_registered = {}


def register_model(model_class):
    """Make a model class known to `asdf`, so that files can hold it; usable as a decorator.

    Parameters
    ----------
    model_class : type
        A subclass of `~astropy.modeling.Model` whose constructor takes its settings by name (see
        `specmodels.models.settings.constructor_settings`). To save model sets of a model of
        astropy, which `asdf_astropy` does not, register that one.

    Returns
    -------
    type
        `model_class`.

    Examples
    --------
    Below a class of one's own, or as a decorator::

        register_model(MyTrace)
    """
    _registered[_path(model_class)] = model_class
    asdf.get_config().add_extension(extension([model_class]))
    return model_class


def declared_models():
    """Full names of the model classes that other packages declare, which are not imported for it.

    Each entry point of the group ``specmodels.models`` names one, as ``"package.module:Class"``.
    """
    return [entry.value.replace(":", ".") for entry in entry_points(group="specmodels.models")]


def extension(model_types=MODEL_TYPES, manifest=MANIFEST):
    """Extension of `asdf` with the converters for these classes or their names."""
    manifest = yaml.safe_load((files(__package__) / manifest).read_text())
    converters = [
        ModelConverter(model_types),
        TieConverter(),
        CompositionConverter(),
        SettingsConverter(),
        RampConverter(),
        ImageConverter(),
        FitConverter(),
    ]
    return ManifestExtension(manifest, converters=converters)


class ModelConverter(TransformConverterBase):
    """Saves a model by class, settings, parameter values, constraints, ties and uncertainties.

    Parameters
    ----------
    model_types : list of type or str
        Classes or their full names.
    """

    tags = [f"{TAGS}/model-1.*"]  # those of the manifest

    def __init__(self, model_types):
        self._types = list(model_types)

    @property
    def types(self):
        """Classes that are converted."""
        return self._types

    def to_yaml_tree_transform(self, model, tag, ctx):
        from ...models.settings import constructor_settings

        node = {
            "class": _path(type(model)),
            "settings": constructor_settings(model),
            "parameters": {n: parameter_to_value(getattr(model, n)) for n in model.param_names},
        }
        if len(model) > 1:
            node |= {"n_models": len(model), "model_set_axis": model.model_set_axis}
        _make(node)
        return node

    def to_yaml_tree(self, model, tag, ctx):
        return super().to_yaml_tree(model, tag, ctx) | state_of(model)

    def from_yaml_tree_transform(self, node, tag, ctx):
        model = _make(node)
        restore_state(model, node)
        return model


class TieConverter(Converter):
    """Saves a tie to a parameter by that one's name."""

    tags = [f"{TAGS}/tied_to-1.0.0"]
    types = ["specmodels.models.linear.TiedTo"]

    def to_yaml_tree(self, tie, tag, ctx):
        return {"name": tie.name, "factor": tie.factor, "offset": tie.offset}

    def from_yaml_tree(self, node, tag, ctx):
        from ...models.linear import TiedTo

        return TiedTo(node["name"], factor=node["factor"], offset=node["offset"])


class CompositionConverter(Converter):
    """Saves a composition as the compound of astropy that it is; it is read as one of ours again.

    The operators of the models make it so, when `asdf_astropy` applies them.
    """

    tags = []
    types = ["specmodels.models.composition.Composition"]

    def select_tag(self, model, tags, ctx):
        return None

    def to_yaml_tree(self, model, tag, ctx):
        from astropy.modeling import CompoundModel

        compound = CompoundModel(model.op, model.left, model.right, name=model.name)
        if model._user_bounding_box is not None:
            compound.bounding_box = model.bounding_box
        return compound

    def from_yaml_tree(self, node, tag, ctx):
        raise NotImplementedError("compositions are saved as compounds of astropy")


class SettingsConverter(Converter):
    """Saves dataclasses that are nothing but settings, as `NSCleanNoise` and `Readout`."""

    tags = [f"{TAGS}/settings-1.0.0"]
    types = SETTINGS_TYPES

    def to_yaml_tree(self, value, tag, ctx):
        settings = {key: plain(one) for key, one in vars(value).items() if one is not None}
        return {"class": _path(type(value)), "settings": settings}

    def from_yaml_tree(self, node, tag, ctx):
        # Of models that were settings alone once, older files have no more than these.
        path = _moved(node["class"])
        if path not in (*SETTINGS_TYPES, *MODEL_TYPES):
            raise TypeError(f"class: expected one of {SETTINGS_TYPES}, got {node['class']}")
        module, _, name = path.rpartition(".")
        return getattr(import_module(module), name)(**node["settings"])


class RampConverter(Converter):
    """Saves frames in time with all that is known of them, but not what they were read from."""

    tags = [f"{TAGS}/ramp-1.0.0"]
    types = ["specmodels.ramp.Ramp"]

    def to_yaml_tree(self, ramp, tag, ctx):
        node = {key: value for key, value in vars(ramp).items() if value is not None}
        node.pop("source", None)
        node["notes"] = list(ramp.notes)
        arrays = {key: np.asarray(value) for key, value in node.items() if hasattr(value, "ndim")}
        return node | arrays

    def from_yaml_tree(self, node, tag, ctx):
        from ...ramp import Ramp

        return Ramp(**{key: loaded(value) for key, value in node.items()})


def _make(node):
    """Model of a node: its class called with settings and values."""
    model_class = _class_of(node["class"])
    values = {**node["settings"], **node["parameters"]}
    values |= {key: node[key] for key in ("n_models", "model_set_axis") if key in node}
    return model_class(**{name: loaded(value) for name, value in values.items()})


def _path(model_class):
    return f"{model_class.__module__}.{model_class.__qualname__}"


def _moved(path):
    """Where a class of this package is today: files name the module that it was written in."""
    package, _, rest = path.partition(".")
    name = rest.rpartition(".")[2]
    known = {one.rpartition(".")[2]: one for one in (*MODEL_TYPES, *SETTINGS_TYPES)}
    return known.get(name, path) if package == "specmodels" else path


def _class_of(path):
    if path in _registered:
        return _registered[path]
    path = _moved(path)
    if path not in MODEL_TYPES and path not in declared_models():
        raise TypeError(f"class: {path} is not known; import it and call register_model on it")
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
