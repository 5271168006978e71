"""Images that are not the spectrum of a slit are refused, and what is masked is said."""

from ...io.whole_frames import many_spectra

__all__ = ["check_slit", "masked_reasons"]


def check_slit(image):
    """Raise a ValueError that says what an image is, if it is a whole frame of many spectra."""
    frame = many_spectra(image)
    if frame is not None:
        raise ValueError(
            f"image {image.name!r}: expected the spectrum of a slit, got {frame[0]} of shape "
            f"{image.shape}: {frame[1]}"
        )


def masked_reasons(image):
    """How many pixels of an image are masked, and why, in words."""
    return ", ".join(f"{count} {reason}" for reason, count in image.masked.items())
