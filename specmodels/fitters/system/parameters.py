"""Non-linear parameters of a model on several images: shared ones, and those of each."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np

from ..parameters import FreeParameters

__all__ = ["SharedParameters"]


class SharedParameters:
    """Free non-linear parameters of a model on images, as one vector.

    It has what variable projection needs of `~specmodels.fitters.parameters.FreeParameters`.

    Parameters
    ----------
    forms : list of `~specmodels.models.linear_form.LinearForm`
        The model bound to each image.
    share : bool or mapping of str to bool
        Whether images share the parameters; for some names (patterns such as ``"trace_*"`` are
        understood) or for all. Parameters of models that say that they repeat over exposures are
        never shared.
    hold : bool
        Whether all keep their values.

    Raises
    ------
    ValueError
        If a name is that of no free parameter.
    """

    def __init__(self, forms, share=True, *, hold=False):
        self.forms, self.share = forms, share
        self.of_images = [FreeParameters(form, 1) for form in forms]
        first = self.of_images[0]
        own = self._own(forms[0], share) if len(forms) > 1 else np.zeros(len(first.free), bool)
        self.entries = []  # (position in the form, image or None)
        for k, alone in () if hold else zip(first.free, own, strict=True):
            images = range(len(forms)) if alone else [None]
            self.entries += [(k, image) for image in images]
        self.places = [self._place(number) for number in range(len(forms))]
        n = len(self.entries)
        self.initial, self.lower, self.upper, self.prior_mean, self.prior_weight = (
            np.zeros((n, 1)) for _ in range(5)
        )
        for parameters, place in zip(self.of_images, self.places, strict=True) if n else ():
            for key in ("initial", "lower", "upper", "prior_mean", "prior_weight"):
                getattr(self, key)[place] = getattr(parameters, key)

    @staticmethod
    def _own(form, share):
        """Which free parameters each image has for itself."""
        repeated = {k for leaf, positions in form.leaves() for k in positions
                    if "exposure" in getattr(leaf, "over", ())}  # fmt: skip
        own = np.array([k in repeated for k in form.nonlinear], dtype=bool)
        if not isinstance(share, Mapping):
            return own if share else np.ones(len(own), dtype=bool)
        names = [form.names[k] for k in form.nonlinear]
        for pattern, shared in share.items():
            hit = [fnmatchcase(name, pattern) for name in names]
            if not any(hit):
                raise ValueError(f"share: {pattern!r} is none of the free parameters {names}")
            own[hit] = not shared
        return own

    def _place(self, number):
        """Entries of the vector that are those of an image."""
        return [n for n, (_, image) in enumerate(self.entries) if image in (None, number)]

    @property
    def names(self):
        """Names of the entries, with the number of the image where each has its own."""
        names = self.forms[0].names
        return [names[k] + ("" if image is None else f" (exposure {image})")
                for k, image in self.entries]  # fmt: skip

    def clip(self, theta):
        """Values within the bounds."""
        return np.clip(theta, self.lower, self.upper)

    def prior_chi2(self, theta):
        """What the priors add to chi-square, shape (1,)."""
        return np.sum(self.prior_weight * (theta - self.prior_mean) ** 2, axis=0)

    def with_priors(self, theta, gradient, information):
        """Gradient and information with those of the priors added."""
        index = np.arange(len(theta))
        information = np.array(information)
        information[index, index] += self.prior_weight
        return gradient + self.prior_weight * (self.prior_mean - theta), information

    def linearise(self, problem, theta):
        """Pass over the pixels of a problem at these values."""
        return problem.linearise(theta)

    def of(self, number, theta):
        """Values of all parameters of an image, its free positions and the slopes of ties."""
        parameters, own = self.of_images[number], theta[self.places[number]]
        if not self.entries:
            return parameters.values(parameters.initial), [], {}
        return parameters.values(own), parameters.free, parameters.coupling(own)

    def collected(self, theta):
        """Values of the non-linear parameters by position: numbers, or one for each image."""
        out = {}
        for k in (*self.forms[0].nonlinear, *self.forms[0].tied):
            each = np.array([float(self.of(number, theta)[0][k])
                             for number in range(len(self.forms))])  # fmt: skip
            own = any(position == k and image is not None for position, image in self.entries)
            same = len(each) == 1 or (not own and np.ptp(each) == 0)
            out[k] = float(each[0]) if same else each
        return out
