"""Whether a FITS file is whole: its headers are followed from one to the next, data are not read.

The size that each header claims has to be there, down to the last byte of a compressed file.
"""

import bz2
import gzip
import io
import lzma
import math
import os
import zipfile
from contextlib import contextmanager

from astropy.io import fits

from .asdf_checks import ASDF_START, check_asdf_bytes
from .claims import check_claim

__all__ = ["CREATOR", "FITS_STARTS", "check_fits", "is_own"]

CREATOR = "specmodels"  # begins the keyword of this name in all files of this package
BLOCK = 2880
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_EXTENSION = b"XTENSION"
_IMAGE = b"XTENSION= 'IMAGE   '"
_END = b"END".ljust(80)
_ZIP = b"PK\x03\x04"
FITS_STARTS = (b"SIMPLE", _ZIP, *_OPENERS)


def is_own(hdus):
    """Whether this package has written a FITS file."""
    return _names_us(hdus[0].header)


def _names_us(header):
    return str(header.get("CREATOR", "")).startswith(CREATOR)


def check_fits(path):
    """Refuse a file that is cut short, or whose headers claim more than there is.

    Parameters
    ----------
    path : `~pathlib.Path`
        Of a FITS file, perhaps compressed.

    Raises
    ------
    ValueError, OSError, EOFError
        If it is not whole, or a tree in it takes arrays from other files.
    """
    with path.open("rb") as file, _unpacked(file) as stream:
        stored = os.fstat(file.fileno()).st_size
        size = _size(stream, stored)
        position, n_hdus, first = 0, 0, None
        while position < size:
            stream.seek(position)
            header = _next_header(stream)
            if header is None:
                break
            first = header if first is None else first
            start = stream.tell()
            n_bytes = _data_size(header)
            position = start + math.ceil(n_bytes / BLOCK) * BLOCK
            if position > size:
                raise ValueError(
                    f"extension {n_hdus} claims {n_bytes} bytes, {max(size - start, 0)} are left: "
                    "the file may have been truncated"
                )
            _check_extension(header, stream, n_bytes)
            n_hdus += 1
        if not n_hdus:
            raise ValueError("it has no header")
        _check_number(first, n_hdus)


@contextmanager
def _unpacked(file):
    """The stream of a file, unpacked if it is compressed."""
    start = file.read(8)
    file.seek(0)
    if start.startswith(_ZIP):
        with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as stream:
            yield stream
        return
    opener = next((opener for key, opener in _OPENERS.items() if start.startswith(key)), None)
    if opener is None:
        yield file
        return
    with opener(file) as stream:
        yield stream


def _size(stream, stored):
    """Size of the stream, unpacked to its end, where its check sum is, without keeping it."""
    if isinstance(stream, io.BufferedReader) and hasattr(stream.raw, "name"):
        return stored
    size = 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
        check_claim(size, stored, "the compressed file")
    return size


def _next_header(stream):
    """The next header, None at the end of the file, where blanks and zeros may follow."""
    start = stream.tell()
    begin = stream.read(BLOCK)
    if not begin.startswith((b"SIMPLE", _EXTENSION)):
        if begin.strip(b"\0 ") or stream.read(1 << 16).strip(b"\0 "):
            raise ValueError(f"byte {start}: expected an extension, got {begin[:16]!r}")
        return None
    stream.seek(start)
    header = fits.Header.fromfile(stream)
    _check_end(stream)
    return header


def _check_end(stream):
    """Refuse a header with a broken end right before that of a table.

    Astropy takes both for one, of an image, which then shows bytes of a table.
    """
    end = stream.tell()
    stream.seek(end - BLOCK)
    cards = stream.read(BLOCK)
    following = stream.read(len(_IMAGE))
    stream.seek(end)
    is_ended = any(cards[n : n + 80] == _END for n in range(0, BLOCK, 80))
    if following.startswith(_EXTENSION) and following != _IMAGE and not is_ended:
        raise ValueError(f"the header before byte {end} has a broken END")


def _data_size(header):
    """Bytes of data that a header claims."""
    axes = [_whole(header, f"NAXIS{n + 1}") for n in range(_whole(header, "NAXIS"))]
    if not axes:
        return 0
    if axes[0] == 0 and header.get("GROUPS"):
        axes = axes[1:]
    extra = _whole(header, "PCOUNT", 0)
    groups = _whole(header, "GCOUNT", 1)
    return abs(_whole(header, "BITPIX")) // 8 * groups * (extra + math.prod(axes))


def _whole(header, keyword, default=None):
    value = header.get(keyword, default)
    allowed = isinstance(value, int) and not isinstance(value, bool)
    if not allowed or (value < 0 and not keyword.endswith("BITPIX")):
        raise ValueError(f"{keyword}: expected a whole number, got {value!r}")
    return value


def _check_extension(header, stream, n_bytes):
    """Check what an extension unpacks to, and the tree of a datamodel."""
    if header.get("ZIMAGE") is True:
        axes = [_whole(header, f"ZNAXIS{n + 1}") for n in range(_whole(header, "ZNAXIS"))]
        claimed = abs(_whole(header, "ZBITPIX", 8)) // 8 * math.prod(axes)
        check_claim(claimed, n_bytes, f"the compressed image {header.get('EXTNAME', '')}")
    if header.get("EXTNAME") == "ASDF":
        content = stream.read(n_bytes)
        if content.startswith(ASDF_START):
            check_asdf_bytes(content)


def _check_number(header, n_hdus):
    """Files of this package say how many extensions they have: a cut between two is seen."""
    if not _names_us(header):
        return
    wanted = _whole(header, "NEXTEND", n_hdus - 1)
    if n_hdus - 1 < wanted:
        raise ValueError(
            f"it has {n_hdus - 1} extensions of {wanted}: the file may have been truncated"
        )
