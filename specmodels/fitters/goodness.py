"""How well images are fitted: chi-square and degrees of freedom of each image, and each column."""

import numpy as np
from astropy.table import Table

__all__ = ["column_chi2", "goodness"]


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


def column_chi2(result, image):
    """Chi-square of each column of an image that was fitted, shape (n_column,)."""
    residual = np.where(image.weights > 0, result.residual(image), 0.0)
    return np.sum(image.weights * residual**2, axis=0)
