"""Text in FITS headers, which hold printable ASCII only."""

from email.charset import Charset
from email.errors import HeaderParseError
from email.header import decode_header, make_header

__all__ = ["decoded", "encoded", "readable"]


def encoded(text):
    """A text as it can stand in a header: as it is, or as an encoded word of RFC 2047."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    return text if plain and "=?" not in text else Charset("utf-8").header_encode(text)


def decoded(text):
    """What `encoded` was given; other texts as they are."""
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return text


def readable(text):
    """A text in one line of ASCII for people to read, with ``?`` for other characters."""
    return text.replace("\n", " ").encode("ascii", "replace").decode()
