"""Whether an ASDF file is whole and keeps to itself: checked before its tree is made.

The YAML is looked at as it stands, without making anything of it: arrays in other files, aliases
that multiply (a few lines may stand for billions of entries) and sizes that are not there.
"""

import math
import re
import struct

import yaml

from .claims import check_claim

__all__ = ["ASDF_START", "check_asdf", "check_asdf_bytes"]

ASDF_START = b"#ASDF"
_BLOCK = b"\xd3BLK"
_END = re.compile(rb"\n\.\.\.\s*?(\r?\n|$)")
# Flags, compression, allocated, used and unpacked size; then a check sum.
_BLOCK_HEADER = struct.Struct(">I4sQQQ")
_STREAMED = 1
LARGEST_ITEM = 16
# Trees of datamodels with a WCS for each of 200 slits have about 300 000 entries.
ALWAYS_ALLOWED, LARGEST_MULTIPLE = 1_000_000, 20
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_asdf(path):
    """Refuse an ASDF file that is cut short, multiplies, or takes arrays from other files.

    Parameters
    ----------
    path : `~pathlib.Path`

    Raises
    ------
    ValueError, `yaml.YAMLError`
        Saying what is wrong.
    """
    check_asdf_bytes(path.read_bytes())


def check_asdf_bytes(content):
    """The same for the bytes of a file, such as those in the ASDF extension of a FITS file."""
    text, rest = _tree_and_rest(content)
    sizes = _block_sizes(content, rest)
    if text is None:
        return
    node = yaml.compose(text, Loader=_LOADER)
    nodes = _nodes(node)
    _check_entries(node, len(nodes))
    claimed = sum(_claim(one, sizes) for one in nodes if isinstance(one, yaml.MappingNode))
    check_claim(claimed, len(content), "its tree")


def _tree_and_rest(content):
    """The YAML document, None where there is none, and where blocks may begin."""
    start = content.find(b"\n%YAML")
    first = content.find(_BLOCK)
    if start < 0 and first < 0:
        raise ValueError("it has neither a tree nor arrays")
    if start < 0 or 0 <= first < start:
        return None, first
    end = _END.search(content, start)
    if end is None:
        raise ValueError("its tree does not end: the file may have been truncated")
    return content[start + 1 : end.end()], end.end()


def _block_sizes(content, start):
    """Unpacked sizes of the blocks of arrays."""
    sizes, position = [], content.find(_BLOCK, start)
    while position >= 0 and content.startswith(_BLOCK, position):
        (length,) = struct.unpack_from(">H", content, position + 4)
        begin = position + 6 + length
        flags, compression, allocated, used, size = _BLOCK_HEADER.unpack_from(content, position + 6)
        left = len(content) - begin
        if flags & _STREAMED:
            return [*sizes, left]
        if allocated > left or used > allocated:
            raise ValueError(
                f"array {len(sizes)} claims {max(allocated, used)} bytes, {left} are left: the "
                "file may have been truncated"
            )
        if compression == b"\0\0\0\0" and size != used:
            raise ValueError(f"array {len(sizes)} claims {size} bytes, {used} are stored")
        check_claim(size, used, f"array {len(sizes)}")
        sizes.append(size)
        position = begin + allocated
    return sizes


def _nodes(node):
    """All nodes, each once."""
    found, waiting = {}, [node]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in found:
            continue
        found[id(one)] = one
        waiting.extend(_children(one))
    return list(found.values())


def _children(node):
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _check_entries(node, n_nodes):
    """Refuse aliases that multiply."""
    limit = max(ALWAYS_ALLOWED, LARGEST_MULTIPLE * n_nodes)
    counts, waiting = {}, [node]
    while waiting:
        one = waiting[-1]
        if id(one) not in counts:
            counts[id(one)] = None  # being counted
            waiting.extend(c for c in _children(one) if id(c) not in counts)
            continue
        waiting.pop()
        if counts[id(one)] is None:
            # An alias that leads back to what it is in, as transforms have, counts as one entry.
            counts[id(one)] = 1 + sum(counts[id(child)] or 1 for child in _children(one))
            if counts[id(one)] > limit:
                raise ValueError(
                    f"its tree of {n_nodes} entries stands for more than {limit}, by aliases"
                )


def _claim(node, sizes):
    """Bytes that an array in a tree claims, zero for other entries; other files are refused."""
    entries = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    _check_reference(entries.get("$ref"))
    if "core/ndarray" not in node.tag or "source" not in entries:
        if "externalarray" in node.tag:
            raise ValueError("an array of it is in another file, which is not opened")
        return 0
    source = entries["source"].value
    if str(source).startswith("fits:"):
        return 0
    if not re.fullmatch(r"-?\d+", str(source)):
        raise ValueError(f"an array of it is in another file, {source!r}, which is not opened")
    if not -len(sizes) <= int(source) < len(sizes):
        raise ValueError(f"array {source} is missing, it has {len(sizes)}: it may be truncated")
    shape = [one.value for one in _children(entries["shape"])] if "shape" in entries else []
    return LARGEST_ITEM * math.prod(int(n) for n in shape if re.fullmatch(r"\d+", str(n)))


def _check_reference(node):
    if node is not None and not str(node.value).startswith("#"):
        raise ValueError(f"a part of it is in another file, {node.value!r}, which is not opened")
