"""Many shape parameters on many columns: from a part of the columns to all of them."""

import numpy as np

from ..models.linear_form import LinearForm
from .base import Fitter
from .linear import LinearFitter
from .paths import by_columns, checked_model, images_of
from .sigma_clip import SigmaClipFitter
from .system import SystemProblem
from .system.outliers import solution_outliers
from .varpro import VarProFitter

__all__ = ["StagedFitter"]

# Neighbouring columns that are fitted together at first where columns depend on one another.
RUN = 48
# Part of the information on most coefficients of a model below which the first fit leaves one out.
LEAST_TOLD = 1e-3
# Rounds in which hits are looked for in some columns, as shapes change.
SHAPE_ROUNDS = 4
# The first fit ends where the next step promises less than this, in chi-square per degree of
# freedom: of the many more pixels of the second it is no more than their noise.
FIRST_TOLERANCE = 1.0


class StagedFitter(Fitter):
    """Fit shapes to some of the columns, then hits, fluxes and one step of the shapes to all.

    A few hundred columns tell traces and profiles nearly as well as all do, in a fraction of the
    time. With shapes held, hits are found in all columns; one Gauss-Newton step of all parameters
    then ends the fit, with the errors of all. Where columns depend on one another, by wavelengths
    that are not those of columns, runs of neighbouring columns are taken, and further steps follow
    where the first does not bring what it promised.

    Parameters
    ----------
    n_columns : int
        Number of columns, evenly spread, of the first fit.
    sigma, profile_error : float
        Threshold of the rejection of hits, and least error of the model; see `SigmaClipFitter`.

    Raises
    ------
    ValueError
        If `n_columns` is not positive.
    """

    def __init__(self, n_columns=256, *, sigma=4.5, profile_error=0.01):
        if n_columns < 1:
            raise ValueError(f"n_columns: expected 1 or more, got {n_columns!r}")
        self.n_columns, self.sigma, self.profile_error = n_columns, sigma, profile_error

    def __call__(self, model, image, *, batch="columns", share=True):
        """Fit; see `Fitter`."""
        images = images_of(image)
        model = checked_model(model, images)
        form = LinearForm(model[0] if isinstance(model, list) else model)
        step = min(one.shape[1] for one in images) // self.n_columns
        independent = by_columns(model, images, batch, share)
        whole = self._clipped(VarProFitter())
        if step < 2 or not form.nonlinear:
            return whole(model, image, batch=batch, share=share)
        if not independent:
            found = self._fit_system(model, images, batch, share)
            return whole(model, image, batch=batch, share=share) if found is None else found
        (image,) = images
        first = whole(model, image.cutout(columns=slice(None, None, step)), batch=batch)
        return self.continued(first, image, batch=batch)

    def continued(self, first, image, *, batch="columns"):
        """Fit of all columns, which are independent of one another, from that of some of them.

        Parameters
        ----------
        first : FitResult
            Fit of some of the columns.
        image : `~specmodels.SpectralImage`
            All of them.
        batch : {"columns", None}
            See `Fitter`.

        Returns
        -------
        FitResult
        """
        clipped = self._clipped(LinearFitter())
        rejected = clipped.outliers_of_held(first.template, image, batch=batch)
        cleaned = image.replace(mask=image.mask | rejected)
        # However much the step promises, it is taken, and is the last.
        last = VarProFitter(tolerance=np.inf)(first.template, cleaned, batch=batch)
        message = "; ".join(filter(None, dict.fromkeys([first.message, last.message])))
        return last.replace(rejected=rejected, success=not message, message=message)

    def _clipped(self, fitter):
        """A fitter with rejection of hits."""
        return SigmaClipFitter(fitter, sigma=self.sigma, profile_error=self.profile_error)

    def _fit_system(self, model, images, batch, share):
        """As for columns, on runs of them; None where noise is correlated."""
        problem = SystemProblem(model, images, batch=batch, share=share)
        if problem.noise is not None:
            return None
        parts = [image.cutout(columns=_runs(image.shape[1], self.n_columns)) for image in images]
        part = SystemProblem(model, parts, batch=batch, share=share)
        theta = problem.parameters.initial = self._shapes(part, _told(part))
        rejected, problem = self._without_hits(problem, theta, images)
        last = VarProFitter().stepped(problem)
        return last.replace(rejected=rejected if len(images) > 1 else rejected[0])

    def _shapes(self, problem, images):
        """Values of the non-linear parameters of a system, hits left out."""
        fitter, before = VarProFitter(tolerance=FIRST_TOLERANCE), None
        parameters = problem.parameters
        for _ in range(SHAPE_ROUNDS):
            theta = parameters.initial
            rejected, problem = self._without_hits(problem, theta, images)
            if before is not None and all(map(np.array_equal, rejected, before)):
                break
            parameters.initial = fitter.minimised(problem)[0].theta
            before = rejected
        return parameters.initial

    def _without_hits(self, problem, theta, images):
        """Pixels that disagree with a system at these values, and the system without them."""
        rejected = solution_outliers(problem, problem.solve(theta), images, self.sigma,
                                     self.profile_error)  # fmt: skip
        cleaned = [image.replace(mask=image.mask | bad)
                   for image, bad in zip(images, rejected, strict=True)]  # fmt: skip
        return rejected, problem.masked(cleaned)


def _told(problem):
    """Images of a system without the pixels of coefficients that these hardly tell.

    At the ends of runs the light of sources is seen by wings alone: divided by next to nothing it
    would be noise without bounds, and derivatives by the wings more noise than all that is known.
    """
    equations = problem.solve(problem.parameters.initial)[0]
    information, lost = equations.diagonal, np.zeros(equations.n, dtype=bool)
    for group in problem.layout.groups:
        own = group.first[:, None] + group.stride[:, None] * np.arange(group.size)
        seen = own[information[own] > 0]
        if len(seen):
            lost[seen] = information[seen] < LEAST_TOLD * np.median(information[seen])
    out = equations.entries.see(lost)
    return [image.replace(mask=image.mask | out[pixels].reshape(image.shape))
            for image, pixels in zip(problem.images, problem.slices, strict=True)]  # fmt: skip


def _runs(n, wanted):
    """Numbers of columns in evenly spread runs, the first and the last of all `n` among them."""
    count = max(wanted // RUN, 2)
    first = np.linspace(0, n - RUN, count).round().astype(int)
    return (first[:, None] + np.arange(RUN)).ravel()
