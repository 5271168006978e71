"""All that is known about a detector or a mode, and nothing else.

Orientation, the meaning of data-quality flags, the readout, and where a file of this instrument
keeps its planes. No numerics, and no file is opened here.
"""

from .base import Instrument, Readout, get_instrument
from .imaging import MiriImage, NircamImage, NirissImage, NirspecImage
from .miri import MiriLrs, MiriLrsSlitless, MiriMrs, MiriWfss
from .nircam import NircamGrismC, NircamGrismR
from .niriss import NirissGr150C, NirissGr150R, NirissSoss
from .nirspec import NirspecIfu, NirspecMos, NirspecSlit
from .registry import recognise_instrument

__all__ = [
    "Instrument", "Readout", "get_instrument", "recognise_instrument",
    "MiriLrs", "MiriLrsSlitless", "MiriMrs", "MiriWfss",
    "NircamGrismC", "NircamGrismR",
    "NirissGr150C", "NirissGr150R", "NirissSoss",
    "NirspecIfu", "NirspecMos", "NirspecSlit",
    "MiriImage", "NircamImage", "NirissImage", "NirspecImage",
]  # fmt: skip
