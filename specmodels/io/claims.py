"""How much memory a file may ask for: not far more than it holds."""

__all__ = ["check_claim"]

# Detector images with noise in them shrink to a half or a quarter, masks and blank planes to less
# than a hundredth; small files may hold a constant for all pixels.
LARGEST_RATIO = 200
ALWAYS_ALLOWED = 256 * 1024**2


def check_claim(claimed, stored, what):
    """Refuse what claims to unpack to far more than its size.

    Parameters
    ----------
    claimed, stored : int
        Bytes in memory, and in the file.
    what : str
        What claims it, for the error.

    Raises
    ------
    ValueError
        If more than 256 MB and more than 200 times what is stored are claimed.
    """
    if claimed > max(ALWAYS_ALLOWED, LARGEST_RATIO * stored):
        raise ValueError(f"{what} claims {claimed:.3g} bytes in memory, but {stored} are stored")
