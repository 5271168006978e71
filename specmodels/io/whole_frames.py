"""Frames that hold many spectra side by side, of which none can be extracted as if of a slit."""

__all__ = ["many_spectra"]

# A slit, a slice or a cutout is smaller; subarrays hold one spectrum.
LEAST_ROWS = 512
KINDS = {
    "IFU": ("an integral-field frame", "cut out its slices"),
    "MRS": ("an integral-field frame", "cut out its slices"),
    "WFSS": ("a wide-field slitless frame", "take ContaminationSubtraction, and its cutouts"),
}


def many_spectra(image):
    """What a whole frame of many spectra is, and what to do with it; None of any other image.

    Parameters
    ----------
    image : `~specmodels.SpectralImage`
        As read from a file, with what its header says.

    Returns
    -------
    tuple of str, or None
    """
    if min(image.shape) < LEAST_ROWS:
        return None
    kind = str(image.meta.get("exposure_type") or "").upper()
    return next((words for key, words in KINDS.items() if key in kind), None)
