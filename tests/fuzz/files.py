"""Broken files of every kind that is written: cut at any length, bits flipped.

Run ``python -m tests.fuzz.files 10000`` from the root of the project for a nightly-size run; the
tests take a few of the same. Each reading ends in a `Reading`: what came, in words.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np

import specmodels as sm
from specmodels.io.spectra_files import read_spectra
from tests.io.beams_files import write_beams

REFUSALS = (OSError, TypeError, ValueError)
LONGEST = 10.0  # seconds of CPU time for one small file
MOST_WARNINGS = 3  # one of the headers, others of units that they spoil
PLANES = ("data", "variance", "mask", "wavelength", "spatial", "x", "y")


@dataclass(frozen=True)
class Reading:
    """How the reading of a file ended: ``refused``, ``whole``, ``changed``, ``lost`` or a fault.

    ``lost`` is a file read without a plane it should have and without a warning; a fault is an
    error that is no refusal or does not name the file, or a reading that takes too long.
    """

    end: str
    detail: str = ""

    @property
    def is_fault(self):
        return self.end not in ("refused", "whole", "changed", "warned")


def image(seed=0, shape=(6, 20)):
    """A small image with all planes."""
    rng = np.random.default_rng(seed)
    data = rng.normal(10, 1, shape)
    mask = rng.random(shape) < 0.1
    return sm.SpectralImage(
        data, variance=np.full(shape, 2.0), mask=mask, wavelength=np.linspace(1, 2, shape[1]),
        wavelength_unit="um", spatial=np.mgrid[: shape[0], : shape[1]][0] / 7, unit="mJy", name="a",
        components={"read": np.ones(shape), "poisson": np.ones(shape)},
    )  # fmt: skip


def slit_model():
    """A datamodel of two slits."""
    from stdatamodels.jwst import datamodels

    model = datamodels.MultiSlitModel()
    for number in (1, 2):
        plane = np.full((5, 12), float(number), dtype="f4")
        waves = np.broadcast_to(np.linspace(1, 2, 12, dtype="f4"), (5, 12))
        slit = datamodels.SlitModel(data=plane, err=plane.copy(), wavelength=np.array(waves))
        slit.name = f"S{number}"
        model.slits.append(slit)
    return model


def written(folder):
    """Paths of one file of every kind, by what is written."""
    folder = Path(folder)
    paths = {s: sm.write(image(), folder / f"image{s}") for s in (".fits", ".fits.gz", ".fits.bz2")}
    paths["two images"] = sm.write(sm.Exposure([image(1), image(2).replace(name="b")]),
                                   folder / "two.fits")  # fmt: skip
    paths[".asdf"] = sm.write(image(), folder / "image.asdf")
    for suffix in (".fits", ".asdf"):
        paths[f"datamodel{suffix}"] = folder / f"model{suffix}"
        with slit_model() as model:
            model.save(str(paths[f"datamodel{suffix}"]))
    small, _ = sm.datasets.make_flicker(shape=(16, 32), n_outputs=2, n_sources=0)
    cleaned = sm.FlickerNoiseSubtraction(sm.LineOffset())(small)
    slit, _ = sm.datasets.make_slit(shape=(20, 40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spectrum = sm.OptimalExtraction()(slit)
    paths["cleaned frames"] = sm.write(cleaned, folder / "cleaned.fits")
    paths["spectra"] = sm.write(spectrum, folder / "spectra.fits")
    undersampled, _ = sm.datasets.make_undersampled_slit(shape=(14, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fine = sm.TraceOversampling(factor=2)(undersampled)
        replaced = sm.PixelReplacement()(undersampled)
    for suffix in (".fits", ".asdf"):
        paths[f"finer{suffix}"] = sm.write(fine, folder / f"finer{suffix}")
    paths["replaced"] = sm.write(replaced, folder / "replaced.fits")
    paths["beams"] = folder / "beams.fits"
    write_beams(paths["beams"], grisms=("G102",))
    return paths


def read_one(path):
    """What a file holds: arrays by name of image and plane."""
    if Path(path).name.endswith("spectra.fits"):
        spectra = read_spectra(path)
        return {k: {"flux": one.flux.value, "error": one.uncertainty.array,
                    "wavelength": one.spectral_axis.value}
                for k, one in enumerate(spectra)}  # fmt: skip
    found = sm.read(path)
    images = {"ramp": found} if isinstance(found, sm.Ramp) else found
    return {name: {plane: np.asarray(getattr(one, plane)) for plane in PLANES
                   if getattr(one, plane, None) is not None}
            for name, one in images.items()}  # fmt: skip


def cut(content, rng):
    """The bytes up to a random length."""
    return content[: rng.integers(len(content))]


def flipped(content, rng):
    """The bytes with one to thirty bits flipped, half of the times near the beginning."""
    out = bytearray(content)
    end = min(len(out), 4000) if rng.random() < 0.5 else len(out)
    for place in rng.integers(end, size=rng.integers(1, 31)):
        out[place] ^= 1 << rng.integers(8)
    return bytes(out)


WAYS = {"cut": cut, "flipped": flipped}


def read_broken(path, whole, *, may_lose=False):
    """Read a broken file and say how that ended.

    Parameters
    ----------
    path : path
    whole : dict
        What the unbroken file holds, of `read_one`.
    may_lose : bool
        Whether the names of planes may have been broken, so that they are not looked for.
    """
    start = process_time()
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            found = read_one(path)
    except REFUSALS as error:
        named = Path(path).name in str(error)
        reading = Reading("refused" if named else "refused without name", repr(error)[:200])
    except Exception as error:
        reading = Reading(type(error).__name__, repr(error)[:200])
    else:
        reading = _compared(found, whole, seen, may_lose)
    if process_time() - start > LONGEST:
        return Reading("slow", f"{process_time() - start:.1f} s")
    return reading


def _compared(found, whole, seen, may_lose):
    if len(seen) > MOST_WARNINGS:
        return Reading("storm", f"{len(seen)} warnings: {seen[1].message}"[:200])
    if seen:
        return Reading("warned", str(seen[0].message)[:200])
    lost = [] if may_lose else list(_lost(found, whole))
    if lost:
        return Reading("lost", ", ".join(lost))
    same = found.keys() == whole.keys() and all(
        found[k].keys() == whole[k].keys()
        and all(np.array_equal(found[k][p], whole[k][p], equal_nan=True) for p in whole[k])
        for k in whole
    )
    return Reading("whole" if same else "changed")


def _lost(found, whole):
    """What is in the unbroken file and not in the other."""
    if len(found) < len(whole):
        yield f"{len(whole) - len(found)} images"
    for name in set(found) & set(whole):
        yield from sorted(whole[name].keys() - found[name].keys())


def run(number, seed=0):
    """Read many broken files.

    Returns
    -------
    counts : dict of (kind, way, end) to int
    faults : list of str
    """
    rng, counts, faults = np.random.default_rng(seed), Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        paths = written(folder)
        kept = {kind: (path.read_bytes(), read_one(path)) for kind, path in paths.items()}
        for count in range(number):
            kind = list(paths)[count % len(paths)]
            way = list(WAYS)[count // len(paths) % len(WAYS)]
            content, whole = kept[kind]
            path = Path(folder) / f"broken{paths[kind].name}"
            path.write_bytes(WAYS[way](content, rng))
            reading = read_broken(path, whole, may_lose=way == "flipped")
            counts[kind, way, reading.end] += 1
            if reading.is_fault:
                faults.append(f"{count}: {kind}, {way}: {reading.end}: {reading.detail}")
    return dict(counts), faults


def main():
    """Print counts and faults; the exit status says whether there were any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=10000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts, faults = run(arguments.number, arguments.seed)
    lines = [f"{n:6d}  {kind}, {way}: {end}" for (kind, way, end), n in sorted(counts.items())]
    sys.stdout.write("\n".join([*lines, f"{len(faults)} faults", *faults]) + "\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
