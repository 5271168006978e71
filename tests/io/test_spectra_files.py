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


class TestJwstProducts:
    """Spectra of the format of the JWST pipeline, of whatever was read."""

    @pytest.fixture
    def model(self):
        from stdatamodels.jwst import datamodels

        slit, _ = sm.datasets.make_slit(seed=1, shape=(40, 80), n_sources=3, separation=9)
        model = datamodels.SlitModel(data=slit.data.astype("f4"))
        model.err, model.dq = np.sqrt(slit.variance).astype("f4"), slit.mask.astype("u4")
        model.wavelength = np.broadcast_to(slit.wavelength, slit.shape).astype("f4")
        model.meta.bunit_data = model.meta.bunit_err = "MJy/sr"
        model.meta.telescope, model.source_type = "JWST", "EXTENDED"
        model.meta.photometry.pixelarea_steradians = 1e-13
        return model

    @pytest.mark.parametrize("first", [True, False], ids=["ours", "that of specutils"])
    def test_all_extended_sources_have_a_flux(self, model, tmp_path, first):
        result = sm.OptimalExtraction(n_sources=3)(model)
        path = sm.write(result, tmp_path / "x_x1d.fits", format="jwst")
        loader = {} if first else {"format": "JWST x1d multi"}
        found = specutils.SpectrumList.read(path, **loader)
        assert len(found) == 3
        for own, (name, table) in zip(found, result.tables().items(), strict=True):
            assert np.isfinite(own.flux.value).all(), name
            expected = table["flux"].to(u.MJy / u.sr)
            expected = expected * 1e-13 * u.sr if first else expected
            flux = own.flux.to(expected.unit)
            np.testing.assert_allclose(flux.value, expected.value, rtol=1e-6)

    def test_header_of_other_telescopes_is_kept(self, tmp_path):
        slit, _ = sm.datasets.make_slit(seed=1, shape=(20, 40))
        path = sm.write(slit, tmp_path / "slit.fits")
        with fits.open(path, mode="update") as hdus:
            hdus[0].header["TELESCOP"] = "NTT"
        result = sm.OptimalExtraction(n_sources=1)(path)
        path = sm.write(result, tmp_path / "x_x1d.fits", format="jwst")
        header = fits.getheader(path)
        assert header["TELESCOP"] == "NTT"
        assert header["CREATOR"].startswith("specmodels ")
        assert specutils.Spectrum.read(path).flux.unit == u.ct

    def test_data_without_a_unit_are_read(self, tmp_path):
        path = sm.write(Result(""), tmp_path / "x_x1d.fits", format="jwst")
        assert specutils.Spectrum.read(path).flux.unit == u.adu


def test_products_of_all_jobs_know_what_was_read():
    slits, truth = sm.datasets.make_slitlets(seed=2, n_background=2, n_science=1, shape=(11, 60))
    sky = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(slits)
    assert sky.source_exposure is slits
    exposure, truth = sm.datasets.make_slitless(seed=1)
    scene = sm.GrismScene.from_direct_image(truth.direct, grism=truth.grism)
    assert sm.ContaminationSubtraction(scene)(exposure).source_exposure is exposure


def test_images_are_read_as_two_dimensional_spectra(tmp_path):
    slit, _ = sm.datasets.make_slit(seed=1, shape=(20, 40))
    path = sm.write(sm.Exposure([slit, slit.replace(name="b")]), tmp_path / "x.fits")
    first, second = specutils.SpectrumList.read(path)
    np.testing.assert_array_equal(first.flux.value, slit.data)
    np.testing.assert_array_equal(first.spectral_axis.value, slit.wavelength)
    np.testing.assert_array_equal(first.uncertainty.array, slit.variance)
    np.testing.assert_array_equal(second.mask, slit.mask)
    assert specutils.Spectrum.read(path, source="b").flux.unit == u.ct


def test_wavelengths_of_columns_are_those_of_all_pixels_for_datamodels(tmp_path):
    from stdatamodels.jwst import datamodels

    slit, _ = sm.datasets.make_slit(seed=1, shape=(20, 40))
    path = sm.write(slit, tmp_path / "x.fits")
    with datamodels.SlitModel(path) as model:
        assert model.wavelength.shape == slit.shape
    np.testing.assert_array_equal(sm.read(path).single.wavelength, slit.wavelength)
