"""Grism contamination: a scene of all sources is fitted, and what is not a source's own is removed.

The model of the sources is in `specmodels.models.scenes`, the fit in `specmodels.fitters.scene`.
"""

import numpy as np

from ...fitters.scene.fitter import SHAPE_ERROR, SceneFitter
from ...io.slitless import CONTAMINATION, read_slitless
from ...models.scenes.scene import GrismScene
from ..base import Evaluator
from .result import CleanedSlit, ContaminationResult

__all__ = ["ContaminationSubtraction"]


class ContaminationSubtraction(Evaluator):
    """Fit the spectra of a scene, and subtract from every cutout all light but that of its source.

    Parameters
    ----------
    scene : GrismScene or sequence of GrismScene
        A scene for each exposure; several have the same sources.
    fitter : SceneFitter, optional
        Default: all sources jointly, with coefficients known to 0.4 beforehand.
    fit_spectra : bool
        Whether the spectra are fitted at all; else the scene is subtracted as it is.
    shape_error : float
        Relative error of the light of a source that comes from its shape on the direct image; part
        of the errors of cutouts and spectra, beside those that the noise brings. Zero where shapes
        are exact.

    Raises
    ------
    TypeError
        If `scene` or `fitter` is of another kind.
    ValueError
        If `shape_error` is negative or no number.

    Examples
    --------
    >>> import specmodels as sm
    >>> exposure, truth = sm.datasets.make_slitless(seed=1)
    >>> scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    >>> result = sm.ContaminationSubtraction(scene)(exposure)
    >>> result.slits[0].corrected.shape == result.slits[0].data.shape
    True
    """

    default_fitter = SceneFitter(ridge=6)

    product = "decontaminated"
    step = CONTAMINATION
    data_product = "cutouts"

    def __init__(self, scene, fitter=None, *, fit_spectra=True, shape_error=SHAPE_ERROR):
        super().__init__(fitter=fitter)
        if not isinstance(self.fitter, SceneFitter):
            raise TypeError(f"fitter: expected a SceneFitter, got {fitter!r}")
        self.scenes = (scene,) if isinstance(scene, GrismScene) else tuple(scene)
        if not self.scenes or not all(isinstance(one, GrismScene) for one in self.scenes):
            raise TypeError(f"scene: expected a GrismScene or several, got {scene!r}")
        self._single = isinstance(scene, GrismScene)
        if not (np.isfinite(shape_error) and shape_error >= 0):
            raise ValueError(f"shape_error: expected none below zero, got {shape_error!r}")
        self.fit_spectra, self.shape_error = bool(fit_spectra), float(shape_error)

    def __repr__(self):
        return f"ContaminationSubtraction({list(self.scenes)!r}, fitter={self.fitter!r})"

    def __call__(self, data):
        """Clean anything that `~specmodels.io.slitless.read_slitless` understands.

        Returns
        -------
        ContaminationResult
            Or a tuple of them, where several scenes and exposures are given.
        """
        several = [data] if self._single else list(data)
        if len(several) != len(self.scenes):
            raise ValueError(
                f"data: expected {len(self.scenes)} exposures, one for each scene, got "
                f"{len(several)}"
            )
        exposures = [read_slitless(one, shape=scene.shape)
                     for one, scene in zip(several, self.scenes, strict=True)]  # fmt: skip
        results = self.evaluate(self.fit(exposures), exposures)
        return results[0] if self._single else results

    def fit(self, exposures):
        """Fit the scenes to the exposures; None where the spectra are not to be fitted."""
        return self.fitter(self.scenes, exposures) if self.fit_spectra else None

    def evaluate(self, fit, exposures):
        """The result of each exposure."""
        scenes = self.scenes if fit is None else fit.scenes
        return tuple(
            ContaminationResult(
                exposure, scene, fit, number,
                tuple(self._slit(exposure, scene, fit, number, one) for one in exposure.cutouts),
                self.shape_error,
            )
            for number, (exposure, scene) in enumerate(zip(exposures, scenes, strict=True))
        )  # fmt: skip

    def _slit(self, exposure, scene, fit, number, cutout):
        contamination = scene.simulated_image[cutout.window]
        reason = ""
        try:
            own = scene.image(cutout.key, cutout.window)
        except KeyError as error:
            reason, own = str(error.args[0]), None
        if own is not None:
            contamination = contamination - own
        contamination = contamination + exposure.known_light[cutout.window]
        return CleanedSlit(
            exposure, cutout, contamination, own, reason, fit, number, self.shape_error
        )
