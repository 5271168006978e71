"""How well images are fitted: chi-square and degrees of freedom of each image, and each column."""

import numpy as np
from astropy.table import Table

__all__ = ["at_bounds", "column_chi2", "goodness", "misfits"]

# Chi-square per degree of freedom from which a model is said not to describe an image: by so much,
# and by so many standard deviations of what noise does.
LARGEST_CHI2, MISFIT_SIGMA = 3.0, 6.0


def goodness(result, chi2, dof):
    """Table of what `FitResult.goodness` says, from the sums of each image, (n_image,)."""
    rejected = result.rejected if isinstance(result.rejected, list) else [result.rejected]
    reduced = np.divide(chi2, dof, where=dof > 0, out=np.full(len(dof), np.nan))
    return Table({
        "image": [str(image.name) for image in result.images],
        "n_pixel": [np.count_nonzero(image.weights) for image in result.images],
        "n_rejected": [int(np.sum(bad)) for bad in rejected],
        "chi2": chi2, "dof": dof, "reduced_chi2": reduced,
    })  # fmt: skip


def misfits(result, chi2, dof):
    """Say of which images of known variance far more than noise is left, from their sums."""
    for image, total, free in zip(result.images, chi2, dof, strict=True):
        limit = max(LARGEST_CHI2, 1 + MISFIT_SIGMA * np.sqrt(2 / max(free, 1)))
        if image.variance is not None and free > 0 and total > limit * free:
            yield (
                f"image {image.name!r}: chi2/dof {total / free:.3g}, the model does not describe "
                "it, or its variances are too small"
            )


def at_bounds(result):
    """Say which parameters that are not linear ended at a bound, and at which."""
    form = result.form
    for k in form.nonlinear:
        values = np.atleast_1d(result.values[k])
        for bound, beyond in zip(form.parameters[k].bounds, (np.less_equal, np.greater_equal),
                                 strict=True):  # fmt: skip
            if bound is not None and beyond(values, bound).any():
                yield f"{form.names[k]} ended at its bound {float(bound):g}"


def column_chi2(result, image):
    """Chi-square of each column of an image that was fitted, shape (n_column,)."""
    residual = np.where(image.weights > 0, result.residual(image), 0.0)
    return np.sum(image.weights * residual**2, axis=0)
