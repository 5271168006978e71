"""Which files tell of the scene behind a grism: by the user's word, else as the cutouts name them.

Products of the JWST pipeline name the direct image, the segmentation map and the reference files in
their metadata. They are looked for beside the cutouts, beside the files that were given, and, for
reference files, where CRDS keeps them (``CRDS_PATH``).
"""

import os
from pathlib import Path

from astropy.io import fits

from .beams import is_beams
from .ramp_models import opened
from .reading import is_asdf, reading

__all__ = ["scene_files"]

# Where metadata of JWST name each file.
NAMED = {
    "direct": "direct_image", "segmentation": "segmentation_map",
    "photom": "ref_file.photom.name", "ranges": "ref_file.wavelengthrange.name",
}  # fmt: skip
CRDS = "crds://"


def scene_files(cutouts, given):
    """Paths of the files that a scene is made of.

    Parameters
    ----------
    cutouts : path
        Of a MultiSlitModel of JWST.
    given : mapping of str to (str, path or None)
        By the roles ``direct``, ``segmentation``, ``photom`` and ``ranges``: what that file is, and
        the one that the user names.

    Returns
    -------
    dict of str to `~pathlib.Path`

    Raises
    ------
    ValueError
        If some are neither given nor found; it says which, what they are and where was looked.
    """
    with reading(cutouts, "files") as path:
        _refuse_beams(path)
    found = {role: Path(path) for role, (_, path) in given.items() if path is not None}
    if len(found) == len(given):
        return found
    with opened(cutouts) as model:
        meta = model.instance.get("meta") or {}
        # Names alone: a file is taken from the folders below, wherever another path may lead.
        named = {role: Path(str(_named(meta, path) or "").removeprefix(CRDS)).name
                 for role, path in NAMED.items()}  # fmt: skip
        instrument = str(_named(meta, "instrument.name") or "").lower()
    folders = [Path(path).parent for path in (cutouts, *found.values())]
    folders = list(dict.fromkeys([*folders, *_reference_folders(instrument)]))
    for role in [role for role in given if role not in found and named[role]]:
        path = next(filter(Path.is_file, (folder / named[role] for folder in folders)), None)
        if path is not None:
            found[role] = path
    missing = {role: what for role, (what, _) in given.items() if role not in found}
    if missing:
        told = (f"{what}: " + (f"{named[role]} was not found" if named[role] else "not named")
                for role, what in missing.items())  # fmt: skip
        raise ValueError(
            f"{', '.join(f'--{role}' for role in missing)}: expected files that tell of the scene, "
            f"which {cutouts} does not lead to ({'; '.join(told)}); looked in "
            f"{', '.join(str(folder) for folder in folders)}"
            + ("" if os.environ.get("CRDS_PATH") else "; CRDS_PATH is not set")
        )
    return found


def _refuse_beams(path):
    """Cutouts of one source that bring their scene along are no product of JWST."""
    if is_asdf(path):
        return
    with fits.open(path, memmap=False) as hdus:
        if is_beams(hdus):
            raise ValueError(
                f"files: expected cutouts of JWST, got the beams file {path}, whose cutouts have a "
                "scene each: ContaminationSubtraction(beam.scene())(beam.exposure) for every beam "
                "of specmodels.read(path).beams"
            )


def _named(meta, path):
    for key in path.split("."):
        meta = meta.get(key) if hasattr(meta, "get") else None
    return None if meta in (None, "", "N/A") else meta


def _reference_folders(instrument):
    """Where CRDS keeps the reference files of an instrument."""
    root = os.environ.get("CRDS_PATH")
    if not root:
        return []
    folder = Path(root) / "references" / "jwst"
    return [folder / instrument, folder]
