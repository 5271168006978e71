"""Units as headers spell them: what a text stands for, how a unit is written, factors of planes."""

import re
import warnings

from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["has_solid_angle", "known_unit", "parsed_unit", "unit_factor", "unit_text"]

# Spellings of spectra: an A is never an ampere there, and an S no siemens.
_ALIASES = {"A": "Angstrom", "Ang": "Angstrom", "S": "s", "e": "electron", "e-": "electron",
            "hour": "h"}  # fmt: skip
# Words in whatever case, singular or plural; nothing whose case tells a prefix (MJy from mJy).
_WORDS = {"electron": "electron", "e-": "electron", "count": "ct", "ct": "ct", "cnt": "ct",
          "dn": "DN", "adu": "adu", "photon": "ph", "ph": "ph", "angstrom": "Angstrom",
          "micron": "um", "micrometer": "um", "nanometer": "nm", "jansky": "Jy", "jy": "Jy",
          "erg": "erg", "second": "s", "sec": "s", "s": "s", "hz": "Hz", "cm": "cm", "nm": "nm",
          "um": "um", "sr": "sr", "steradian": "sr", "arcsec": "arcsec", "pix": "pix",
          "pixel": "pix", "hr": "h", "watt": "W", "microjy": "uJy", "millijy": "mJy"}  # fmt: skip
# A word that does not follow a digit, as the e of 1e-17 does; its dash is no sign of a power.
_WORD = re.compile(r"(?<![\d.A-Za-z])[A-Za-z]+(?:-(?![\d]))?")

_POWER = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*(?:\*\*|\^)\s*\(?([+-]?\d+)\)?")


def known_unit(text):
    """Return the unit that a text stands for, None where it is empty or unknown."""
    text = str(text or "").strip()
    if not text:
        return None
    power = _POWER.fullmatch(text)
    if power:
        inner = known_unit(power[1])
        return None if inner is None else inner ** int(power[2])
    for candidate in (_WORD.sub(_spelling, text), text):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            unit = u.Unit(candidate, parse_strict="silent")
        if not isinstance(unit, u.UnrecognizedUnit):
            return unit
    return None


def parsed_unit(text, where):
    """Return the unit that a header's text stands for, None with a warning where it is unknown."""
    unit = known_unit(text)
    if unit is None and str(text or "").strip():
        warnings.warn(
            f"{where}: the unit {str(text).strip()!r} is unknown; the data are taken without unit",
            AstropyUserWarning,
            stacklevel=2,
        )
    return unit


def unit_factor(text, data_text, power, where):
    """Factor from the unit of a plane to a power of that of the data.

    Parameters
    ----------
    text, data_text : str or None
        Units of the plane and the data, as headers spell them.
    power : int
        1 for errors, 2 for variances, -2 for their inverse.
    where : str
        The plane, for errors.

    Raises
    ------
    ValueError
        If the unit of the plane is unknown or of another kind, while that of the data is known.
    """
    text, data_text = (str(one or "").strip() for one in (text, data_text))
    unit, own = known_unit(data_text), known_unit(text)
    if not text or (power == 1 and text == data_text):
        return 1.0
    if unit is None:
        _taken(where, text, "the unit of the data is not known; it is taken to be the same")
        return 1.0
    if own is not None and own.is_equivalent(unit**power):
        return own.to(unit**power)
    if own == unit:
        _taken(where, text, f"expected one like {unit**power}, which it is taken to be")
        return 1.0
    raise ValueError(f"{where}: expected a unit like {unit**power}, got {text!r}")


def unit_text(unit):
    """Return a unit as FITS writes it, or as astropy does where FITS has no such unit."""
    try:
        return unit.to_string("fits")
    except ValueError:
        return unit.to_string().replace(" / ", "/")


def _taken(where, text, what):
    warnings.warn(f"{where}: has the unit {text!r}; {what}", AstropyUserWarning, stacklevel=3)


def _spelling(match):
    """A word in the spelling of astropy, if it is known; else as it is."""
    word = match[0].lower()
    known = _ALIASES.get(match[0]) or _WORDS.get(word) or _WORDS.get(word.removesuffix("s"))
    return known or match[0]


def has_solid_angle(unit):
    """Whether a unit is one of surface brightness, or has an angle otherwise."""
    return any(base.is_equivalent(u.rad) for base in unit.decompose().bases)
