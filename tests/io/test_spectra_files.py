"""Spectra are opened by specutils, all of them, with their units, header and errors."""

import subprocess
import sys

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

import specmodels as sm

specutils = pytest.importorskip("specutils")

ORDERS = {
    "before": "import specmodels.io; from specutils import Spectrum, SpectrumList",
    "after": "from specutils import Spectrum, SpectrumList; import specmodels.io",
    "without": "from specutils import Spectrum, SpectrumList",
}
READ = """
import sys
{imports}
first = Spectrum.read(sys.argv[1]) if {single} else SpectrumList.read(sys.argv[1])
print(first.flux.shape if {single} else len(first))
"""


class Result:
    """Of some sources in a unit."""

    def __init__(self, unit="Jy", n_sources=1, exposure=None):
        self.source_exposure = exposure
        self.unit, self.names = u.Unit(unit), [f"s{n}" for n in range(n_sources)]

    def tables(self):
        wave = np.linspace(2, 1, 6) * u.um
        flux = np.arange(6.0) * self.unit
        columns = {"wavelength": wave, "flux": flux, "flux_error": np.ones(6) * self.unit,
                   "mask": np.arange(6) == 2, "chi2": np.ones(6)}  # fmt: skip
        return {name: QTable(columns) for name in self.names}


@pytest.mark.parametrize("unit", ["Jy", "MJy/sr", "DN/s", "electron/s", "1e-17 erg/(s cm2 AA)", ""])
def test_units_values_errors_and_masks_survive(tmp_path, unit):
    path = sm.write(Result(unit), tmp_path / "x.fits")
    spectrum = specutils.Spectrum.read(path)
    assert spectrum.flux.unit == u.Unit(unit)
    np.testing.assert_array_equal(spectrum.flux.value, np.arange(6.0)[::-1])
    np.testing.assert_array_equal(spectrum.uncertainty.array, 1)
    np.testing.assert_array_equal(spectrum.mask, np.arange(6)[::-1] == 2)
    assert spectrum.spectral_axis.unit == u.um


def test_all_sources_are_read_into_a_list(tmp_path):
    path = sm.write(Result(n_sources=3), tmp_path / "x.fits")
    found = specutils.SpectrumList.read(path)
    assert [one.meta["source"] for one in found] == ["s0", "s1", "s2"]
    assert specutils.Spectrum.read(path, source="s1").meta["source"] == "s1"
    with pytest.raises(ValueError, match="source: expected one of"):
        specutils.Spectrum.read(path)


@pytest.mark.parametrize(
    ("order", "single"),
    [("before", True), ("before", False), ("after", False), ("without", True)],
)
def test_files_are_opened_whatever_is_imported_first(tmp_path, order, single):
    path = sm.write(Result("", n_sources=1 if single else 2), tmp_path / "x.fits")
    code = READ.format(imports=ORDERS[order], single=single)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.stdout.strip() == ("(6,)" if single else "2"), done.stderr


def test_header_of_the_file_that_was_read_is_kept(tmp_path):
    header = fits.Header({"TELESCOP": "NTT", "DATAMODL": "ImageModel", "BUNIT": "Jy"})
    header.add_history("bias subtracted")
    fits.PrimaryHDU(np.ones((4, 8)), header).writeto(tmp_path / "raw.fits")
    with fits.open(tmp_path / "raw.fits", mode="update") as hdus:
        del hdus[0].header["DATAMODL"]
    exposure = sm.read(tmp_path / "raw.fits")
    primary = fits.getheader(sm.write(Result(exposure=exposure), tmp_path / "x.fits"))
    assert primary["TELESCOP"] == "NTT"
    assert list(primary["HISTORY"]) == ["bias subtracted"]
    assert primary["CREATOR"].startswith("specmodels ")
    assert (primary["NAXIS"], primary["NEXTEND"]) == (0, 1)
    assert "BUNIT" not in primary
