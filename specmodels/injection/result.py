"""What came back of the sources that were put in."""

from dataclasses import dataclass

import numpy as np
from astropy.table import QTable

__all__ = ["InjectionResult"]

SCATTER_OF_MAD = 1.4826


@dataclass(frozen=True, eq=False, repr=False)
class InjectionResult:
    """Sources put into data, and what the extraction made of them.

    Attributes
    ----------
    table : `~astropy.table.QTable`
        A row for each: ``row`` along the slit, ``snr`` per column, ``flux`` (mean over columns, put
        in), ``found``, ``found_flux`` and its ``error``, ``status`` and ``reason`` of the report.
    original : `~specmodels.evaluators.ExtractionResult`
        Extraction of the data as they are.
    """

    table: QTable
    original: object

    def __repr__(self):
        found = np.asarray(self.table["found"])
        said = f"{found.sum()} of {len(found)} sources found"
        if found.any():
            bias, width = np.nanmedian(self.ratios) - 1, _scatter(self.pulls)
            said += f", bias {bias:+.3f}, pulls of width {width:.2f}"
        return f"<InjectionResult: {said}>"

    @property
    def ratios(self):
        """Flux found over flux put in; NaN where no source was found."""
        return np.asarray(self.table["found_flux"] / self.table["flux"])

    @property
    def pulls(self):
        """Flux found less flux put in, over the quoted error; NaN where no source was found."""
        difference = self.table["found_flux"] - self.table["flux"]
        return np.asarray(difference / self.table["error"])

    def report(self, bins=4):
        """Completeness, bias and pulls in bins of the signal-to-noise ratio.

        Parameters
        ----------
        bins : int
            Number of bins, with equal numbers of sources.

        Returns
        -------
        `~astropy.table.QTable`
            ``snr`` (median), ``n``, ``completeness``, ``bias`` (median of found over put in, less
            one), ``pull_mean`` and ``pull_width`` (robust), ``ok_but_wrong``: those with status
            "ok" that are off by more than three errors and 2 %.
        """
        order = np.argsort(np.asarray(self.table["snr"]))
        rows = [self._bin(part) for part in np.array_split(order, bins) if part.size]
        return QTable(rows=rows)

    def _bin(self, part):
        ratios, pulls = self.ratios[part], self.pulls[part]
        wrong = (np.abs(pulls) > 3) & (np.abs(ratios - 1) > 0.02)
        any_found = np.isfinite(pulls).any()
        return {
            "snr": float(np.median(self.table["snr"][part])),
            "n": len(part),
            "completeness": float(np.mean(self.table["found"][part])),
            "bias": float(np.nanmedian(ratios) - 1) if any_found else np.nan,
            "pull_mean": float(np.nanmedian(pulls)) if any_found else np.nan,
            "pull_width": _scatter(pulls),
            "ok_but_wrong": int(np.sum(wrong & (self.table["status"][part] == "ok"))),
        }

    def plot(self, figure=None, *, panel=None, ax=None):
        """Draw completeness, flux and pulls against the signal-to-noise ratio."""
        from .plot import plot_injection

        return plot_injection(self, figure, panel=panel, ax=ax)


def _scatter(values):
    values = values[np.isfinite(values)]
    if not values.size:
        return np.nan
    return float(SCATTER_OF_MAD * np.median(np.abs(values - np.median(values))))
