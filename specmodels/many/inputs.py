"""Inputs and their names, by which products are written and failures are told."""

import os
from pathlib import Path

__all__ = ["check_file_names", "named_inputs"]


def named_inputs(inputs):
    """Inputs by name: a mapping as it is, paths by their stems, other things by number.

    A folder stands for the FITS and ASDF files in it.

    Raises
    ------
    ValueError
        If there is no input, or two have the same name.
    """
    if hasattr(inputs, "items"):
        named = dict(inputs.items())
    else:
        listed = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
        listed = [item for one in listed for item in _items(one)]
        names = [_stem(item) if isinstance(item, (str, os.PathLike)) else f"input {number + 1}"
                 for number, item in enumerate(listed)]  # fmt: skip
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"inputs: names must differ, got more than one {repeated}: use a mapping"
            )
        named = dict(zip(names, listed, strict=True))
    if not named:
        raise ValueError("inputs: expected at least one, got none")
    return named


def check_file_names(names):
    """Refuse names by which files would be written elsewhere than in the folder.

    Raises
    ------
    ValueError
        If a name is empty, or has separators of folders in it.
    """
    wrong = [name for name in names if not str(name) or set(str(name)) & set("/\\\0")]
    if wrong:
        raise ValueError(f"inputs: expected names of files without folders, got {wrong}")


def _stem(path):
    return Path(path).name.split(".fits")[0].removesuffix(".asdf")


def _items(one):
    """The files in a folder; anything else as it is."""
    if not isinstance(one, (str, os.PathLike)) or not Path(one).is_dir():
        return [one]
    return sorted(p for p in Path(one).iterdir() if ".fits" in p.name or p.suffix == ".asdf")
