"""Steps of stpipe: each is one evaluator, with a datamodel in and a datamodel out.

A step that the datamodel has behind it is not done again. Parameters come from the command line or
a file, never from a reference database.
"""

import json
import logging
import re
from pathlib import Path

from stpipe import Step

from ..evaluators import (
    FlickerNoiseSubtraction,
    MasterBackgroundSubtraction,
    OptimalExtraction,
    PixelReplacement,
    TraceOversampling,
)
from ..io.datamodels import opened_model
from ..io.exposure_frames import FLICKER
from ..io.jwst_files import EXTRACTION, spectra_model
from ..io.oversampled import REPLACEMENT, TRACE_MODEL
from ..io.provenance import steps_done
from ..io.slit_models import BACKGROUND
from ..models import CorrelatedNoise, LineMedian, LineOffset

__all__ = ["BackgroundStep", "CleanStep", "EvaluatorStep", "ExtractStep", "FillStep",
           "OversampleStep"]  # fmt: skip

log = logging.getLogger(__name__)

# Of products of pipelines and of these steps.
SUFFIX = re.compile("(.*)([_-])(?:ramp|rate|rateints|cal|calints|crf|crfints|s2d|i2d|cleaned|skysub"
                    "|filled|oversampled)")  # fmt: skip
NOISE_MODELS = {"correlated": CorrelatedNoise, "median": LineMedian, "offset": LineOffset}


class EvaluatorStep(Step):
    """Base of the steps; a subclass defines ``spec``, ``class_alias`` and ``evaluator()``.

    ``class_alias`` is the name of the step in ``meta.cal_step``. The input is a datamodel, the path
    of one, or of an association, of whose science members each is treated.
    """

    spec = """
    output_ext = string(default='.fits') # Type of the output file
    """

    @classmethod
    def _datamodels_open(cls, init, **kwargs):
        return opened_model(init, **kwargs)

    @classmethod
    def get_config_from_reference(cls, dataset, disable=None, crds_observatory=None):
        """No parameters: there are none of these steps in reference databases."""
        return cls._empty_config()

    @staticmethod
    def get_stpipe_loggers():
        """Loggers whose messages are shown."""
        return ("specmodels", "stdatamodels", "stpipe", "py.warnings")

    @staticmethod
    def remove_suffix(name):
        """A name without the suffix of the product that came in, and what stood before that."""
        found = SUFFIX.fullmatch(name)
        return (name, "_") if found is None else found.groups()

    def process(self, data):
        """The datamodel that the evaluator has made of a datamodel; of an association, a list."""
        members = _members(data)
        if members is None:
            return self.made(data)
        return [self.made(member) for member in members]

    def made(self, data):
        """The datamodel made of one; the same if the step has been done."""
        if self.class_alias in steps_done(data):
            log.warning("%s was done before: nothing is done", self.class_alias)
            return opened_model(data)
        return self.of_result(self.evaluator()(data))

    def of_result(self, result):
        """The datamodel of a result: that which came in, with what was done to it."""
        return result.to_source()


class CleanStep(EvaluatorStep):
    """Subtract flicker (1/f) noise from ramps, integrations or rates."""

    class_alias = FLICKER
    spec = """
    noise = option('correlated', 'median', 'offset', default='correlated') # Model of the noise
    per_integration = boolean(default=False) # A mask for each integration
    suffix = string(default='cleaned') # Of the output file
    """

    def evaluator(self):
        """The evaluator with the parameters of the step."""
        noise = NOISE_MODELS[self.noise]()
        return FlickerNoiseSubtraction(noise, per_integration=self.per_integration)


class BackgroundStep(EvaluatorStep):
    """Subtract the sky that the background slits of an exposure share."""

    class_alias = BACKGROUND
    spec = """
    slits = force_list(default=None) # Background slits, by name; default: those flagged
    fit_levels = boolean(default=True) # Find the level of the sky in each slit
    level_scatter = float(min=0, default=None) # Known scatter of the levels
    suffix = string(default='skysub') # Of the output file
    """

    def evaluator(self):
        """The evaluator with the parameters of the step."""
        return MasterBackgroundSubtraction(
            slits=self.slits, fit_levels=self.fit_levels, level_scatter=self.level_scatter
        )


class FillStep(EvaluatorStep):
    """Fill bad pixels from trace models."""

    class_alias = REPLACEMENT
    spec = """
    fit_threshold = float(min=0, default=10.0) # Signal-to-noise ratio from which slices have models
    suffix = string(default='filled') # Of the output file
    """

    def evaluator(self):
        """The evaluator with the parameters of the step."""
        return PixelReplacement(fit_threshold=self.fit_threshold)


class OversampleStep(EvaluatorStep):
    """Sample slices and slits on finer rows, by trace models."""

    class_alias = TRACE_MODEL
    spec = """
    factor = float(min=1, default=2.0) # New rows for each row
    fit_threshold = float(min=0, default=10.0) # Signal-to-noise ratio from which slices have models
    suffix = string(default='oversampled') # Of the output file
    """

    def evaluator(self):
        """The evaluator with the parameters of the step."""
        return TraceOversampling(factor=self.factor, fit_threshold=self.fit_threshold)


class ExtractStep(EvaluatorStep):
    """Extract the spectra of the sources in slits, by optimal extraction."""

    class_alias = EXTRACTION
    spec = """
    n_sources = integer(min=1, default=None) # Number of sources; default: found
    sky = integer(min=0, default=None) # Degree of the sky along the slit; default: found
    aperture = float(min=0, default=1.5) # Half the comparison aperture, in widths of the source
    together = boolean(default=False) # Members of an association show the same sources
    suffix = string(default='x1d') # Of the output file
    """

    def evaluator(self):
        """The evaluator with the parameters of the step."""
        return OptimalExtraction(n_sources=self.n_sources, sky=self.sky, aperture=self.aperture)

    def process(self, data):
        """Spectra of a datamodel, of each member of an association, or of all members together."""
        members = _members(data)
        if members is None or not self.together:
            return super().process(data)
        return self.of_result(self.evaluator()(members))

    def made(self, data):
        """The spectra; those extracted before are no reason not to do it."""
        return self.of_result(self.evaluator()(data))

    def of_result(self, result):
        """The datamodel of the spectra."""
        return spectra_model(result)


def _members(data):
    """Paths of the science members of an association, None of anything else."""
    if not isinstance(data, str | Path) or Path(data).suffix.lower() != ".json":
        return None
    products = json.loads(Path(data).read_text(encoding="utf-8")).get("products") or []
    named = [member["expname"] for product in products for member in product["members"]
             if member.get("exptype", "science").lower() == "science"]  # fmt: skip
    if not named:
        raise ValueError(f"data: expected an association with science members, got none in {data}")
    return [str(Path(data).parent / name) for name in named]
