"""Sums over an extracted spectrum, with their covariance: bins, lines, and any others."""

import numpy as np
from astropy import units as u
from astropy.table import QTable

from ....numerics.spectrum_covariance import bin_weights

__all__ = ["SpectrumSums", "checked_grid", "numbers_in"]


class SpectrumSums:
    """What can be summed over the spectra of a result: a mixin.

    It needs ``sources``, ``samples(name)`` (wavelengths, fluxes, errors and mask of all samples,
    quantities where they have units) and ``sample_covariance(name)``.
    """

    def _source(self, name):
        names = list(self.sources)
        if name is None and len(names) == 1:
            return names[0]
        if name not in names:
            raise ValueError(f"name: expected one of the sources {names}, got {name!r}")
        return name

    def weighted_sums(self, weights, name=None):
        """Weighted sums of the samples of a spectrum, with their covariance.

        Parameters
        ----------
        weights : array_like, shape (n_sum, n_sample) or (n_sample,)
            One for each sample, in the order of the table of the source.
        name : str, optional
            The source; may be left out where there is only one.

        Returns
        -------
        sums : `~astropy.units.Quantity`, shape (n_sum,)
            NaN where a sample that is masked has a part in it.
        covariance : `~astropy.units.Quantity`, shape (n_sum, n_sum)

        Raises
        ------
        ValueError
            If there is no such source, or the number of weights is another.
        """
        name = self._source(name)
        _, flux, _, mask = self.samples(name)
        weights = np.atleast_2d(np.asarray(weights, dtype=float))
        covariance = self.sample_covariance(name).of_sums(weights)
        value = u.Quantity(flux).value
        usable = np.isfinite(value) & ~mask
        sums = weights @ np.where(usable, value, 0.0)
        lost = (weights[:, ~usable] != 0).any(axis=1)
        sums[lost] = np.nan
        covariance[lost] = covariance[:, lost] = np.nan
        unit = u.Quantity(flux).unit
        return sums * unit, covariance * unit**2

    def rebin(self, edges, name=None):
        """The spectrum in wider bins: light is conserved, the covariance exact.

        Each sample covers the wavelengths that are nearer to it than to its neighbours, and is
        shared by bins as these are.

        Parameters
        ----------
        edges : array_like or `~astropy.units.Quantity`, shape (n_bin + 1,)
            Increasing edges of the bins; bare numbers are in the unit of the wavelengths.
        name : str, optional
            The source; may be left out where there is only one.

        Returns
        -------
        `~astropy.table.QTable`
            ``wavelength`` (the middle), ``width``, ``flux`` (light in the bin), ``flux_error`` and
            ``mask``: of bins which reach beyond the spectrum, or hold a masked sample. The
            covariance of the bins is in ``meta["covariance"]``, shape (n_bin, n_bin).

        Raises
        ------
        ValueError
            If the edges do not increase, or there is no such source.
        """
        name = self._source(name)
        wavelength = self._wavelength(name)
        edges = numbers_in(edges, wavelength.unit, "edges")
        if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0):
            raise ValueError(f"edges: expected two or more increasing numbers, got {edges}")
        weights, inside = self._bins(wavelength.value, edges)
        flux, covariance = self.weighted_sums(weights, name)
        error = np.sqrt(np.diagonal(covariance.value)) * flux.unit
        flux[~inside], error[~inside] = np.nan, np.nan
        table = QTable()
        table["wavelength"] = 0.5 * (edges[1:] + edges[:-1]) * wavelength.unit
        table["width"] = np.diff(edges) * wavelength.unit
        table["flux"], table["flux_error"] = flux, error
        table["mask"] = ~(np.isfinite(flux.value) & np.isfinite(error.value))
        table.meta = {"source": name, "covariance": covariance}
        return table

    def line_flux(self, center, width, name=None, *, continuum=None):
        """Light of a line within a window, with its error.

        Parameters
        ----------
        center, width : float or `~astropy.units.Quantity`
            Middle and full width of the window, in the unit of the wavelengths.
        name : str, optional
            The source; may be left out where there is only one.
        continuum : sequence of (float, float), optional
            Windows of the continuum: a straight line through all of their samples is subtracted,
            its error included. Default: none is subtracted.

        Returns
        -------
        flux, error : `~astropy.units.Quantity`
            NaN where a masked sample has a part in it, or a window reaches beyond the spectrum.

        Raises
        ------
        ValueError
            If a width is not positive, or the continuum has less than two samples.
        """
        name = self._source(name)
        wavelength = self._wavelength(name)
        middle, width = (float(numbers_in(v, wavelength.unit, key))
                         for v, key in ((center, "center"), (width, "width")))  # fmt: skip
        if not width > 0:
            raise ValueError(f"width: expected a positive number, got {width!r}")
        edges = np.array([middle - 0.5 * width, middle + 0.5 * width])
        weights, inside = self._bins(wavelength.value, edges)
        weights = weights[0]
        if continuum is not None:
            windows = [numbers_in(window, wavelength.unit, "continuum") for window in continuum]
            weights = weights - self._continuum(wavelength.value, weights, windows, middle, name)
        flux, covariance = self.weighted_sums(weights, name)
        error = np.sqrt(covariance[0, 0])
        return (flux[0], error) if inside[0] else (np.nan * flux[0], np.nan * error)

    def _continuum(self, wavelength, line, windows, middle, name):
        """Weights of the continuum under a line: of a straight line through windows."""
        mask = self.samples(name)[3]
        use = np.zeros(len(wavelength), dtype=bool)
        for low, high in windows:
            use |= (wavelength >= low) & (wavelength <= high)
        use &= ~mask
        if np.count_nonzero(use) < 2:
            raise ValueError(
                f"continuum: expected two usable samples or more, got {np.count_nonzero(use)}"
            )
        scale = np.ptp(wavelength[use])
        design = np.stack([np.ones(len(wavelength)), (wavelength - middle) / scale], axis=1)
        design = np.where(np.isfinite(design), design, 0.0)
        out = np.zeros(len(wavelength))
        out[use] = line @ design @ np.linalg.pinv(design[use])
        return out

    def _wavelength(self, name):
        return u.Quantity(self.samples(name)[0])

    @staticmethod
    def _bins(wavelength, edges):
        """Weights of bins, of the samples that have a wavelength, and which bins are covered."""
        known = np.flatnonzero(np.isfinite(wavelength))
        weights = np.zeros((len(edges) - 1, len(wavelength)))
        weights[:, known] = bin_weights(wavelength[known], edges)
        low, high = wavelength[known].min(), wavelength[known].max()
        return weights, (edges[:-1] >= low) & (edges[1:] <= high)


def checked_grid(wavelengths):
    """Wavelengths that a user gives for the samples of a spectrum, as they are.

    Raises
    ------
    ValueError
        If they are not two or more increasing numbers.
    """
    values = np.asarray(getattr(wavelengths, "value", wavelengths), dtype=float)
    if values.ndim != 1 or values.size < 2 or not np.all(np.diff(values) > 0):
        raise ValueError(
            f"wavelengths: expected two or more increasing numbers, got shape {values.shape}"
        )
    return wavelengths if isinstance(wavelengths, u.Quantity) else values


def numbers_in(values, unit, name):
    """Bare numbers in a unit."""
    if not isinstance(values, u.Quantity):
        return np.asarray(values, dtype=float)
    try:
        return values.to_value(unit)
    except u.UnitConversionError as error:
        raise ValueError(f"{name}: expected a unit like {unit}, got {values.unit}") from error
