"""The sky of several slits: what is fitted (`SkyPixels`), and what a fit of it returns (`SkyFit`).

All slits see one sky spectrum, each times its own throughput. How the spectrum is found lives in
`spline` and `polynomial`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...numerics.robust import MAD_TO_SIGMA
from ..base import Fitter

__all__ = ["SkyFit", "SkyPixels", "SlitFit", "SlitSkyFitter"]

# Of data without variances, relative to the largest: rounding.
LEAST_NOISE = 1e-9


class SlitSkyFitter(Fitter):
    """Base of fitters of one sky to the pixels of many slits: ``fitter(model, slits)``.

    A subclass *must* define ``__call__(model, slits)`` of a model of the wavelength, or None, and a
    sequence of `SkyPixels`, which returns a `SkyFit`. It *may* say by ``finds_levels = False``
    that the sky's level in a slit with a source is not to be found from its own pixels.
    """

    finds_levels = True


@dataclass(frozen=True, eq=False, repr=False)
class SkyPixels:
    """The pixels of one slit that show nothing but sky, in one dimension.

    Attributes
    ----------
    name : str
        Name of the slit.
    wavelength, data, variance, throughput : ndarray, shape (n_pixel,)
        Finite; variance and throughput positive. The sky in a pixel is throughput times spectrum.
    index : ndarray of int, shape (n_pixel,)
        Number of each pixel in the flattened image.
    shape : tuple of int
        Shape of the image.
    poisson : ndarray, shape (n_pixel,), optional
        The part of the variance that grows with the light.
    variance_known : bool
        Whether the variance was given; else it comes from the scatter of neighbours.
    """

    name: str
    wavelength: np.ndarray
    data: np.ndarray
    variance: np.ndarray
    throughput: np.ndarray
    index: np.ndarray
    shape: tuple
    poisson: np.ndarray | None = None
    variance_known: bool = True

    @classmethod
    def of(cls, image, *, throughput=None, use=None):
        """Pixels of an image.

        Parameters
        ----------
        image : `~specmodels.SpectralImage`
            With wavelengths; without a variance, that is taken from the scatter of neighbouring
            pixels, and all weigh the same.
        throughput : ndarray, shape of the image, optional
            What fraction of the sky each pixel sees; default one.
        use : ndarray of bool, shape of the image, optional
            Pixels to take, of those that are not masked; default all.

        Raises
        ------
        ValueError
            If the image has no wavelengths.
        """
        if image.wavelength is None:
            raise ValueError(f"image {image.name!r}: expected wavelengths, got none")
        wavelength = np.broadcast_to(image.wavelength, image.shape)
        given = np.ones(image.shape) if throughput is None else np.asarray(throughput, dtype=float)
        if given.shape != image.shape:
            raise ValueError(
                f"throughput of {image.name!r}: expected shape {image.shape}, got {given.shape}"
            )
        good = (image.weights > 0) & np.isfinite(wavelength)
        with np.errstate(invalid="ignore"):
            good &= np.isfinite(given) & (given > 0)
        if use is not None:
            good &= use
        index = np.flatnonzero(good)
        poisson = image.components.get("poisson")
        poisson = None if poisson is None else np.nan_to_num(np.ravel(poisson)[index]).astype(float)

        def part(array):
            return np.ravel(array)[index].astype(float)

        data, known = part(image.data), image.variance is not None
        variance = 1 / part(image.weights) if known else np.full(index.size, _scatter(data) ** 2)
        return cls(image.name, part(wavelength), data, variance, part(given), index, image.shape,
                   poisson, known)  # fmt: skip

    def __repr__(self):
        return f"<SkyPixels of {self.name!r}: {self.size} pixels>"

    @property
    def size(self):
        """Number of pixels."""
        return self.index.size

    @cached_property
    def rows(self):
        """Row of each pixel."""
        return self.index // self.shape[1]

    @cached_property
    def columns(self):
        """Column of each pixel."""
        return self.index - self.rows * self.shape[1]

    def replace(self, **changes):
        """Return a copy with fields replaced."""
        return replace(self, **changes)

    def take(self, which):
        """Return some of the pixels."""
        keys = ("wavelength", "data", "variance", "throughput", "index", "poisson")
        values = {key: getattr(self, key) for key in keys}
        return self.replace(**{k: v if v is None else v[which] for k, v in values.items()})


def _scatter(data):
    """Standard deviation of noise, from second differences of neighbours."""
    if data.size < 3:
        return 1.0
    found = MAD_TO_SIGMA * np.median(np.abs(np.diff(data, 2))) / np.sqrt(6)
    return max(found, LEAST_NOISE * np.max(np.abs(data)), np.finfo(float).tiny ** 0.25)


@dataclass(frozen=True)
class SlitFit:
    """How one slit took part in a fit of the sky.

    Attributes
    ----------
    throughput, error : float
        Its grey factor, and the standard error of that.
    chi2 : float
        Chi-square of the pixels used.
    n_used, n_rejected : int
        Pixels used, and rejected as outliers.
    misfit : float
        Rms of the smooth disagreement with the other slits beyond the noise, relative to the sky;
        NaN where slits were not judged.
    reason : str
        Why the slit was left out; empty where it was not.
    local : float
        Rms disagreement beyond the noise, relative to the sky, in stretches of single rows; zero
        where noise explains it.
    """

    throughput: float = 1.0
    error: float = 0.0
    chi2: float = 0.0
    n_used: int = 0
    n_rejected: int = 0
    misfit: float = 0.0
    reason: str = ""
    local: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class SkyFit:
    """One sky spectrum fitted to several slits.

    Attributes
    ----------
    curve : object
        The spectrum: ``curve(wavelength)`` gives value and variance, NaN where it is not known;
        ``curve.model`` the model with its values, ``curve.covariance(wavelength)`` a matrix.
    slits : mapping of str to `SlitFit`
        How each slit took part, those left out included.
    rejected : mapping of str to ndarray of bool
        Outliers among the pixels given of each slit used.
    indices : mapping of str to ndarray of int
        Number of these pixels in the flattened image.
    degrees : tuple of tuple
        For polynomials: degree, chi-square, degrees of freedom and criterion of each tried.
    success : bool
        Whether the fit converged; `message` says what happened.
    """

    curve: object
    slits: Mapping
    rejected: Mapping = field(default_factory=dict)
    indices: Mapping = field(default_factory=dict)
    degrees: tuple = ()
    success: bool = True
    message: str = ""
    n_iterations: int = 1

    def __repr__(self):
        state = "converged" if self.success else f"failed: {self.message}"
        return (
            f"<SkyFit of {len(self.used)} slits ({len(self.left_out)} left out), "
            f"{self.curve.n_free:.0f} of {self.curve.n_terms} terms determined, chi2/dof "
            f"{self.reduced_chi2:.4g}, {state}>"
        )

    @property
    def used(self):
        """Names of the slits used."""
        return [name for name, slit in self.slits.items() if not slit.reason]

    @property
    def left_out(self):
        """Names of the slits left out, with the reason."""
        return {name: slit.reason for name, slit in self.slits.items() if slit.reason}

    @property
    def model(self):
        """The fitted model."""
        return self.curve.model

    @property
    def chi2(self):
        """Chi-square of all slits used."""
        return sum(self.slits[name].chi2 for name in self.used)

    @property
    def dof(self):
        """Pixels less the parameters that they determine."""
        n_free = self.curve.n_free + len(self.used) - 1
        return sum(self.slits[name].n_used for name in self.used) - n_free

    @property
    def reduced_chi2(self):
        """Chi-square over degrees of freedom."""
        return self.chi2 / self.dof if self.dof > 0 else np.nan

    @property
    def throughput_scatter(self):
        """Standard deviation of the slits' throughputs beyond their errors; zero for one slit."""
        own = [self.slits[name] for name in self.used]
        if len(own) < 2:
            return 0.0
        values = np.array([slit.throughput for slit in own])
        noise = np.mean([slit.error**2 for slit in own])
        return float(np.sqrt(max(np.var(values, ddof=1) - noise, 0.0)))

    @property
    def throughput_error(self):
        """Rms error of the throughputs within the slits used, relative to them."""
        own = [self.slits[name].local for name in self.used]
        return float(np.sqrt(np.mean(np.square(own)))) if own else 0.0
