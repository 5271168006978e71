"""`TracePath`: the path of light behind a grism from a table of the trace of one source."""

import numpy as np

__all__ = ["TracePath"]


class TracePath:
    """Light falls as far from its pixel of the direct image as that of the tabulated source does.

    Over a cutout dispersion and tilt of the trace hardly change, so that one table serves for all
    pixels of the direct image. Beyond its ends it goes on as its last two entries do.

    Parameters
    ----------
    wavelength : array_like, shape (n,)
        Increasing.
    dx, dy : array_like, shape (n,)
        Columns and rows by which light of each wavelength is moved.

    Raises
    ------
    ValueError
        If there are fewer than two entries, not as many of each, or the wavelengths do not
        increase.

    Examples
    --------
    >>> from specmodels.models.scenes.tabulated_path import TracePath
    >>> path = TracePath([1.0, 2.0], [0.0, 100.0], [0.0, 3.0])
    >>> [float(value) for value in path(5.0, 7.0, 1.5, 1)]
    [55.0, 8.5]
    """

    def __init__(self, wavelength, dx, dy):
        table = [np.array(values, dtype=float) for values in (wavelength, dx, dy)]
        if len({one.shape for one in table}) > 1 or table[0].ndim != 1 or len(table[0]) < 2:
            raise ValueError(
                "wavelength, dx, dy: expected two or more entries each, got shapes "
                f"{[one.shape for one in table]}"
            )
        if not np.all(np.isfinite(table)) or not np.all(np.diff(table[0]) > 0):
            raise ValueError("wavelength, dx, dy: expected finite values, wavelengths increasing")
        self.wavelength, self.dx, self.dy = table

    def __call__(self, x, y, wavelength, order):
        """Position on the grism image; `order` is not used, as the table is of one."""
        return x + self._at(wavelength, self.dx), y + self._at(wavelength, self.dy)

    def _at(self, wavelength, values):
        below = np.clip(np.searchsorted(self.wavelength, wavelength) - 1, 0, len(values) - 2)
        slope = np.diff(values) / np.diff(self.wavelength)
        return values[below] + slope[below] * (wavelength - self.wavelength[below])

    def shifted(self, x=0.0, y=0.0):
        """The same path, moved by columns and rows."""
        return TracePath(self.wavelength, self.dx + x, self.dy + y)
