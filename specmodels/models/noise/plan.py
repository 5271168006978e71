"""What the noise of frames needs of their mask alone, done once for any number of frames."""

import numpy as np

__all__ = ["NoisePlan"]


class NoisePlan:
    """What is known of the noise of frames with one mask: ``plan(frame)`` gives its noise.

    A noise model makes it by its method ``plan(readout, use, *, white, sample, variance)``, whose
    last two are a frame of noise, zero where not used, and the variances of pixels, or None where
    they are not known. A subclass defines ``__call__(frame, bad=None, near=None)``, which returns
    the noise in the shape of the frame, zero in the mean of the used pixels, for the background
    has that; and it may define `variance`. Pixels may be bad in that frame only; noise found
    before, of a frame that hardly differs, may serve as a first guess.

    Parameters
    ----------
    readout : `~specmodels.numerics.readout.Readout`
        Order of the lines.
    use : ndarray of bool, shape (n_y, n_x)
        Pixels that tell of the noise.
    white : float
        Variance of a pixel's white noise; NaN where unknown.
    """

    # Whether pixels with a larger variance count less.
    weighs = False

    def __init__(self, readout, use, white=np.nan):
        self.readout, self.use, self.white = readout, use, white

    def found(self, frame, near=None):
        """The noise of a frame, and the first guess for another that hardly differs.

        By default that is the noise; a subclass may know more, where no pixel is.
        """
        noise = self(frame, near=near)
        return noise, noise

    @property
    def n_empty(self):
        """Number of lines without a usable pixel: their noise is not known, and zero is given."""
        return int(np.count_nonzero(~self.readout.lines(self.use).any(axis=1)))

    @property
    def variance(self):
        """Variance of the noise that is given, shape (n_y, n_x); NaN where unknown."""
        return np.full(self.use.shape, np.nan, "f4")

    def _masked(self, frame, bad):
        """Lines of the frame, zero where not used, and where they are used."""
        use = self.use if bad is None else self.use & ~bad
        values = np.where(use, frame, np.float32(0)).astype("f4", copy=False)
        return self.readout.lines(values), self.readout.lines(use)

    @staticmethod
    def _level(lines, use):
        """Mean of the used pixels: no noise model can tell it from the background."""
        return np.float32(lines.sum(dtype=float) / max(np.count_nonzero(use), 1))
