"""`reading`: the one place where files are checked before they are read, and errors name the file.

Whatever a broken file makes a library raise becomes a ValueError or OSError that says which file
it was and what was wrong with it.
"""

import re
import warnings
from contextlib import contextmanager
from pathlib import Path

from astropy.utils.exceptions import AstropyUserWarning

from .asdf_checks import ASDF_START, check_asdf
from .fits_checks import FITS_STARTS, check_fits

__all__ = ["is_asdf", "reading"]

# Errors that say what to do as they are, and warnings that a user has turned into errors.
_UNCHANGED = (FileNotFoundError, PermissionError, ImportError, Warning)
_REFUSALS = (OSError, TypeError, ValueError)
_HEADERS = "astropy/io/fits/"
_NAMED = re.compile(r"[a-z_]+(\[[^\]]*\])?: ")  # begins with the name of an argument


@contextmanager
def reading(path, name="obj"):
    """Check a file and give its path; errors raised inside name the file.

    Parameters
    ----------
    path : path
        Of a FITS or ASDF file, told apart by how it begins.
    name : str
        The argument by which the file was given, for errors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither FITS nor ASDF, is not complete, claims far more than it holds, takes
        arrays from other files, or raises anything but a refusal when it is read.
    OSError, TypeError
        As raised inside, with the path.
    """
    path = Path(path)
    try:
        with _one_warning_of_each_kind(path):
            _check(path, name)
            yield path
    except _UNCHANGED:
        raise
    except _REFUSALS as error:
        if str(path) in str(error):
            raise
        kind = next(kind for kind in _REFUSALS if isinstance(error, kind))
        named = _NAMED.match(str(error))
        text = f"{error} (reading {path})" if named else f"{name}: {path} cannot be read: {error}"
        raise kind(text) from error
    except Exception as error:
        raise ValueError(
            f"{name}: {path} cannot be read, it is broken: {type(error).__name__}: {error}"
        ) from error


@contextmanager
def _one_warning_of_each_kind(path):
    """One warning that names the file for all that astropy has to say of its headers.

    And one for all tags of its ASDF tree that are unknown, if there are several.
    """
    with warnings.catch_warnings(record=True) as seen:
        yield
    headers = [one for one in seen if _HEADERS in Path(one.filename).as_posix()]
    tags = [one for one in seen if one.category.__module__.partition(".")[0] == "asdf"]
    gathered = {"headers": headers, "tags": tags if len(tags) > 1 else []}
    for one in seen:
        if not any(one in kind for kind in gathered.values()):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno,
                                   source=one.source)  # fmt: skip
    for what, kind in gathered.items():
        if kind:
            first, more = " ".join(str(kind[0].message).split()), len(kind) - 1
            also = f", and {more} more of the kind" if more else ""
            warnings.warn(f"{path}: its {what} are broken: {first}{also}", AstropyUserWarning,
                          stacklevel=5)  # fmt: skip


def is_asdf(path):
    """Whether a file begins like an ASDF file."""
    return _start(path).startswith(ASDF_START)


def _check(path, name):
    if not path.exists():
        raise FileNotFoundError(f"{name}: there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{name}: expected a file, got {path}")
    start = _start(path)
    if start.startswith(ASDF_START):
        kind, check = "a readable ASDF file", check_asdf
    elif start.startswith(FITS_STARTS):
        kind, check = "a complete FITS file", check_fits
    else:
        raise ValueError(
            f"{name}: expected a FITS or ASDF file, got {path}, which begins {start!r}"
        )
    try:
        check(path)
    except _UNCHANGED:
        raise
    except Exception as error:
        raise ValueError(
            f"{name}: {path} is not {kind}: {error or type(error).__name__}"
        ) from error


def _start(path):
    with path.open("rb") as file:
        return file.read(8)
