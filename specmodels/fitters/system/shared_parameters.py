"""Non-linear parameters of a model on several images: shared ones, and those of each."""

from collections.abc import Mapping
from copy import copy
from fnmatch import fnmatchcase

import numpy as np

from ..free_parameters import FreeParameters

__all__ = ["SharedParameters"]


class SharedParameters:
    """Free non-linear parameters of a model on images, as one vector.

    It has what variable projection needs of `~specmodels.fitters.free_parameters.FreeParameters`.

    Parameters
    ----------
    forms : list of `~specmodels.models.linear_form.LinearForm`
        The model bound to each image.
    share : bool or mapping of str to bool
        Whether images share the parameters; for some names (patterns such as ``"trace_*"`` are
        understood) or for all. Parameters of models that say that they repeat over exposures are
        never shared, nor are those that are fixed in some of the images.
    hold : bool
        Whether all keep their values.

    Raises
    ------
    TypeError
        If `share` is something else.
    ValueError
        If a name is that of no free parameter.
    """

    def __init__(self, forms, share=True, *, hold=False):
        self.forms, self.share = forms, share
        self.of_images = [FreeParameters(form, 1) for form in forms]
        self.free = sorted({k for parameters in self.of_images for k in parameters.free})
        own = self._own(share) if len(forms) > 1 else np.zeros(len(self.free), bool)
        self.entries = []  # (position in the form, image or None)
        for k, alone in () if hold else zip(self.free, own, strict=True):
            images = [n for n, one in enumerate(self.of_images) if k in one.free]
            shared = not alone and len(images) == len(forms)
            self.entries += [(k, image) for image in ([None] if shared else images)]
        self.places = [self._place(number) for number in range(len(forms))]
        n = len(self.entries)
        self.initial, self.lower, self.upper, self.prior_mean, self.prior_weight = (
            np.zeros((n, 1)) for _ in range(5)
        )
        for parameters, place in zip(self.of_images, self.places, strict=True) if n else ():
            for key in ("initial", "lower", "upper", "prior_mean", "prior_weight"):
                getattr(self, key)[place] = getattr(parameters, key)

    def _own(self, share):
        """Which free parameters each image has for itself."""
        form = self.forms[0]
        repeated = {k for leaf, positions in form.leaves() for k in positions
                    if "exposure" in getattr(leaf, "over", ())}  # fmt: skip
        own = np.array([k in repeated for k in self.free], dtype=bool)
        if not isinstance(share, Mapping | bool | np.bool_):
            raise TypeError(f"share: expected a bool, or a mapping of names to bool, got {share!r}")
        if not isinstance(share, Mapping):
            return own if share else np.ones(len(own), dtype=bool)
        names = [form.names[k] for k in self.free]
        for pattern, shared in share.items():
            hit = [fnmatchcase(name, pattern) for name in names]
            if not any(hit):
                raise ValueError(f"share: {pattern!r} is none of the free parameters {names}")
            own[hit] = not shared
        return own

    def _place(self, number):
        """Entries of the vector that are those of an image."""
        return [n for n, (_, image) in enumerate(self.entries) if image in (None, number)]

    def entry(self, k, number):
        """Entry of the parameter at a position for an image; None where it is not free."""
        return next((n for n in self.places[number] if self.entries[n][0] == k), None)

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
        for k in self._told_apart():
            each = np.array([float(self.of(number, theta)[0][k])
                             for number in range(len(self.forms))])  # fmt: skip
            own = any(position == k and image is not None for position, image in self.entries)
            same = len(each) == 1 or (not own and np.ptp(each) == 0)
            out[k] = float(each[0]) if same else each
        return out

    def _told_apart(self):
        """Positions of the parameters that are free or tied, or differ from image to image."""
        first = self.forms[0]
        differ = [k for k in range(len(first.names))
                  if any(form.values[k] != first.values[k] for form in self.forms[1:])]  # fmt: skip
        known = {*self.free, *first.tied, *differ}
        return sorted(known - {*first.linear, *first.followers})

    def of_image(self, number):
        """The same parameters as one of the images has them."""
        one = copy(self)
        one.forms, one.of_images = [self.forms[number]], [self.of_images[number]]
        one.places = [self.places[number]]
        return one
