"""Fits in ASDF files, whole: `read_fit`, and the writer behind ``format="fit"``."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from ..fitters import FitResult
from ..version import __version__
from .asdf_files import opened
from .fits_checks import CREATOR
from .reading import reading
from .registry import writer

__all__ = ["FITS", "read_fit", "write_fits_of"]

FITS = "fits"  # the key of the fits, by name


def read_fit(path, name=None):
    """Read a fit that `write` saved: it predicts, and answers, as the one that was saved.

    No code of a file is run: models are made of classes that this package has or that were
    registered with `~specmodels.io.asdf_extension.register_model`.

    Parameters
    ----------
    path : path
        Of an ASDF file.
    name : str, optional
        Of the fit, where the file holds several.

    Returns
    -------
    `~specmodels.FitResult`

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If a model is of a class that is not known.
    ValueError
        If the file is broken, holds no fit (of that name), or one whose model has other values
        than when it was saved.

    Examples
    --------
    >>> import specmodels as sm
    >>> slit, _ = sm.datasets.make_slit(shape=(30, 60))
    >>> fit = sm.OptimalExtraction()(slit).fit
    >>> path = sm.write(fit, "fit.asdf")  # doctest: +SKIP
    >>> sm.read_fit(path)  # doctest: +SKIP
    <FitResult of 2 linear and 3 other parameters, chi2/dof 0.9966, 0 pixels rejected, converged>
    """
    with reading(path, "path") as checked, opened(checked) as file:
        fits = file.tree.get(FITS)
        if not isinstance(fits, Mapping) or not fits:
            raise ValueError(
                "path: expected an ASDF file with fits, as written with format='fit', got one of "
                f"{list(file.tree)}"
            )
        if name is None and len(fits) > 1:
            raise ValueError(f"name: the file holds fits of {list(fits)}, expected one of these")
        name = next(iter(fits)) if name is None else name
        if not isinstance(fits.get(name), FitResult):
            raise ValueError(f"name: expected one of {list(fits)}, got {name!r}")
        return fits[name]


@writer("fit")
def write_fits_of(result, path):
    """Write a fit, or the fits of a result by the names of its images, with their data.

    Raises
    ------
    TypeError
        If there is no fit of columns or of a system, or a model is of a class that is not known.
    """
    import asdf

    if not path.name.lower().endswith(".asdf"):
        raise ValueError(f"target: expected a name ending in '.asdf' for fits, got {path.name!r}")
    tree = {FITS: dict(_fits_of(result)), "provenance": _provenance(result)}
    try:
        with asdf.AsdfFile(tree) as file:
            file.write_to(path)
    except yaml.representer.RepresenterError as error:
        raise TypeError(
            "result: a model of the fit is of a class that is not known to asdf, give it to "
            f"register_model: {error}"
        ) from error


def _fits_of(result):
    """Names and fits of a result, or of the results that it holds."""
    fit = result if isinstance(result, FitResult) else getattr(result, "fit", None)
    if isinstance(fit, FitResult):
        yield fit.image.name, fit
    elif isinstance(result, Mapping) and result:
        for name, one in result.items():
            for own, fit in _fits_of(one):
                yield (name if own == name else f"{name}/{own}"), fit
    else:
        raise TypeError(
            "result: expected a FitResult, or what has one as `fit`, got "
            f"{type(result).__name__}" + ("" if fit is None else f" of a {type(fit).__name__}")
        )


def _provenance(result):
    """Who wrote the file, and what was read."""
    source = getattr(getattr(result, "source_exposure", None), "source", None)
    found = {"software": f"{CREATOR} {__version__}"}
    return found | ({"source": source.name} if isinstance(source, Path) else {})
