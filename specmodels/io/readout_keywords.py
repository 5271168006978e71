"""Order of readout in FITS headers: a `Readout` as keywords, and back."""

from ..numerics.readout import Readout

__all__ = ["readout_cards", "readout_of"]

# Axes are counted from one, the first being that along rows, as FITS does.
KEYWORDS = {
    "fast_axis": ("FASTAXIS", "axis of the pixels read one after another"),
    "slow_axis": ("SLOWAXIS", "axis of the lines read one after another"),
    "n_outputs": ("NOUTPUTS", "outputs read at the same time"),
    "line_overhead": ("LINEOVER", "pixel times lost after each line"),
    "dwell": ("PIXDWELL", "[s] time per pixel"),
    "fast_direction": ("FASTDIR", "1 in order of pixel index, -1 backwards"),
    "slow_direction": ("SLOWDIR", "1 in order of line index, -1 backwards"),
    "interleaved": ("INTERLVD", "neighbouring pixels of different outputs"),
    "alternating": ("ALTERNAT", "every second strip is read backwards"),
    "stripes": ("STRIPES", "direction that shares offsets, fast or slow"),
}
AXES = ("fast_axis", "slow_axis")


def readout_cards(readout):
    """Cards, ``(keyword, value, comment)``, that describe the order of readout."""
    for name, (keyword, comment) in KEYWORDS.items():
        value = getattr(readout, name)
        value = getattr(value, "item", lambda value=value: value)()  # numbers of NumPy
        yield keyword, -value if name in AXES else value, comment


def readout_of(header):
    """The `Readout` of a header with the cards of `readout_cards`; None where one is missing.

    Raises
    ------
    TypeError, ValueError
        If they cannot be used.
    """
    if not all(keyword in header for keyword, _ in KEYWORDS.values()):
        return None
    settings = {name: header[keyword] for name, (keyword, _) in KEYWORDS.items()}
    return Readout(**settings | {name: -settings[name] for name in AXES})
