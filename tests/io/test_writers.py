"""Writing results to files and datamodels, and reading them back."""

import asdf
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable
from numpy.testing import assert_allclose
from specutils import Spectrum, SpectrumList
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import MultiSpecModel

import specmodels as sm
from specmodels.exposure import Exposure
from specmodels.io import read, registry, write
from specmodels.spectral_image import SpectralImage

N = 6


class Result:
    """What a writer knows of a result."""

    def __init__(self, tables, source_exposure=None):
        self._tables, self.source_exposure = tables, source_exposure

    def tables(self):
        return self._tables


def table(unit="Jy", wave_unit="um", **meta):
    flux = np.arange(1.0, N + 1) * u.Unit(unit)
    result = QTable(
        {
            "wavelength": np.linspace(1, 2, N) * u.Unit(wave_unit),
            "flux": flux,
            "flux_error": 0.1 * flux,
            "var_read": (0.05 * flux) ** 2,
            "var_poisson": (0.08 * flux) ** 2,
            "background": 2 * flux,
            "mask": np.arange(N) == 2,
        }
    )
    result.meta.update(meta)
    return result


@pytest.fixture
def source():
    """An exposure read from a NIRSpec slit of surface brightness."""
    model = datamodels.SlitModel(data=np.ones((4, N)), wavelength=np.ones((4, N)))
    model.name, model.source_name, model.source_id = "S1", "star", 7
    model.meta.instrument.name, model.meta.exposure.type = "NIRSPEC", "NRS_FIXEDSLIT"
    model.meta.telescope = "JWST"
    model.meta.photometry.pixelarea_steradians = 1e-12
    model.meta.target.catalog_name = "HD 1"
    return read(model)


def test_fits_has_one_table_per_source_with_units_and_keywords(tmp_path):
    meta = {"profile": "Gaussian", "reduced_chi2": 1.5, "ok": True, "none": None, "nan": np.nan,
            "number": np.int64(3), "area": 2 * u.arcsec, "history": ["one", "two"],
            "rejected": ["a", "b"], "long_text_with_long_key": "µ" * 100}  # fmt: skip
    path = write(Result({"star": table(**meta), "Galaxy": table()}), tmp_path / "x.fits")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "star", "Galaxy"]
    back = QTable.read(path, hdu="star")
    assert back["flux"].unit == u.Jy
    assert back["var_read"].unit == u.Jy**2
    np.testing.assert_array_equal(back["flux"], table()["flux"])
    np.testing.assert_array_equal(back["mask"], table()["mask"])
    assert back["mask"].dtype == bool
    header = fits.getheader(path, "star")
    assert header["PROFILE"] == "Gaussian"
    assert header["NUMBER"] == 3
    assert header["OK"] is True
    assert header["NAN"] == "nan"
    assert header["REJECTED"] == "a, b"
    assert list(header["HISTORY"]) == ["one", "two"]
    assert header["long_text_with_long_key"] == "?" * 100
    assert "NONE" not in header


def test_names_that_differ_in_case_only_are_told_apart_by_version(tmp_path):
    path = write(Result({"a": table(), "A": table()}), tmp_path / "x.fits")
    with fits.open(path) as hdus:
        assert [hdu.ver for hdu in hdus[1:]] == [1, 2]


def test_units_that_fits_lacks_are_written_as_text(tmp_path):
    path = write(Result({"a": table("electron/s")}), tmp_path / "x.fits")
    assert fits.getheader(path, 1)["TUNIT2"] == "electron/s"


def test_specutils_reads_the_fits_file(tmp_path):
    path = write(Result({"star": table()}), tmp_path / "x.fits")
    spectrum = Spectrum.read(path, format="tabular-fits")
    np.testing.assert_array_equal(spectrum.flux, table()["flux"])
    np.testing.assert_array_equal(spectrum.uncertainty.array, table()["flux_error"].value)
    np.testing.assert_array_equal(spectrum.mask, table()["mask"])


def test_written_tables_are_not_changed(tmp_path):
    tables = {"star": table(profile="Gaussian", n=np.int64(1))}
    write(Result(tables), tmp_path / "x.fits")
    write(Result(tables), tmp_path / "x.asdf")
    assert tables["star"].meta == {"profile": "Gaussian", "n": 1}
    assert tables["star"]["flux"].unit == u.Jy


def test_same_result_gives_the_same_bytes(tmp_path):
    first = write(Result({"star": table(a=1)}), tmp_path / "1.fits").read_bytes()
    assert first == write(Result({"star": table(a=1)}), tmp_path / "2.fits").read_bytes()


def test_asdf_holds_the_tables_by_name(tmp_path):
    result = Result({"star": table(profile="Gaussian", n=np.int64(3), thing=object)})
    path = write(result, tmp_path / "x.asdf")
    with asdf.open(path) as file:
        back = file["spectra"]["star"]
        assert back["flux"].unit == u.Jy
        np.testing.assert_array_equal(back["flux"], table()["flux"])
        assert back.meta["profile"] == "Gaussian"


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".asdf"])
def test_exposure_survives_a_round_trip(tmp_path, suffix):
    data = np.arange(12.0).reshape(3, 4) + 1
    image = SpectralImage(
        data, variance=data, mask=data == 4, wavelength=np.linspace(1, 2, 4) * u.um,
        unit="MJy/sr", name="a",
        components={"read": data, "poisson": 2 * data},
    )  # fmt: skip
    path = write(Exposure([image, image.replace(name="b")]), tmp_path / f"x{suffix}")
    back = read(path)
    assert list(back) == ["a", "b"]
    for name in ("data", "variance", "mask", "wavelength"):
        np.testing.assert_array_equal(getattr(back["b"], name), getattr(image, name))
    np.testing.assert_array_equal(back["a"].components["poisson"], 2 * data)
    assert (back["a"].unit, back["a"].wavelength_unit) == (image.unit, u.um)


def test_multispec_model_is_filled_and_described(source):
    model = write(Result({"star": table(image="S1")}, source), MultiSpecModel)
    assert isinstance(model, MultiSpecModel)
    assert model.meta.instrument.name == "NIRSPEC"
    assert model.meta.target.catalog_name == "HD 1"
    assert model.meta.model_type == "MultiSpecModel"
    (spec,) = model.spec
    np.testing.assert_allclose(spec.spec_table["WAVELENGTH"], np.linspace(1, 2, N))
    np.testing.assert_allclose(spec.spec_table["FLUX"], np.arange(1, N + 1))
    np.testing.assert_allclose(spec.spec_table["FLUX_ERROR"], 0.1 * np.arange(1, N + 1))
    np.testing.assert_allclose(
        spec.spec_table["FLUX_VAR_RNOISE"], (0.05 * np.arange(1, N + 1)) ** 2
    )
    assert np.isnan(spec.spec_table["FLUX_VAR_FLAT"]).all()
    np.testing.assert_array_equal(spec.spec_table["DQ"], np.arange(N) == 2)
    assert (spec.name, spec.source_name, spec.source_id) == ("star", "star", 7)
    assert spec.spec_table.columns["FLUX"].unit == "Jy"


def test_surface_brightness_becomes_flux_where_the_pixel_area_is_known(source):
    model = write(Result({"star": table("MJy/sr")}, source), MultiSpecModel)
    np.testing.assert_allclose(model.spec[0].spec_table["FLUX"], 1e-6 * np.arange(1, N + 1))
    np.testing.assert_allclose(
        model.spec[0].spec_table["FLUX_VAR_RNOISE"], (5e-8 * np.arange(1, N + 1)) ** 2
    )
    model = write(Result({"star": table("MJy/sr")}), MultiSpecModel)
    np.testing.assert_allclose(model.spec[0].spec_table["FLUX"], np.arange(1, N + 1))
    assert model.spec[0].spec_table.columns["FLUX"].unit == "MJy sr-1"


def test_wavelengths_are_written_in_micron_and_must_be_known():
    model = write(Result({"a": table(wave_unit="nm")}), MultiSpecModel)
    np.testing.assert_allclose(model.spec[0].spec_table["WAVELENGTH"], np.linspace(1, 2, N) / 1e3)
    with pytest.raises(ValueError, match="needs wavelengths, got a column in pix"):
        write(Result({"a": table(wave_unit="pix")}), MultiSpecModel)


@pytest.mark.parametrize("names", [["star"], ["star", "galaxy"]])
def test_x1d_file_is_read_by_specutils_and_stdatamodels(tmp_path, source, names):
    result = Result({name: table() for name in names}, source)
    path = write(result, tmp_path / "x_x1d.fits", format="jwst")
    spectra = SpectrumList.read(path) if len(names) > 1 else [Spectrum.read(path)]
    assert len(spectra) == len(names)
    for spectrum in spectra:
        np.testing.assert_allclose(spectrum.flux.to_value(u.Jy), np.arange(1, N + 1))
        np.testing.assert_allclose(spectrum.spectral_axis.to_value(u.um), np.linspace(1, 2, N))
    with MultiSpecModel(path) as model:
        assert [spec.name for spec in model.spec] == names
        assert model.meta.filename == "x_x1d.fits"
        assert model.meta.instrument.name == "NIRSPEC"


def test_metadata_come_from_the_file_that_was_read(tmp_path, source):
    path = tmp_path / "x_cal.fits"
    source.source.save(path)
    model = write(Result({"star": table()}, read(path)), MultiSpecModel)
    assert model.meta.target.catalog_name == "HD 1"


def test_existing_file_is_only_replaced_when_asked(tmp_path):
    path = tmp_path / "x.fits"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write(Result({"a": table()}), path)
    assert path.read_text() == "precious"
    write(Result({"a": table()}), path, overwrite=True)
    assert len(QTable.read(path, hdu=1)) == N


@pytest.mark.parametrize("existing", [False, True])
def test_failure_leaves_nothing_behind_and_the_old_file_whole(tmp_path, monkeypatch, existing):
    def fail(result, path):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setitem(registry._writers, ".fits", fail)
    path = tmp_path / "x.fits"
    if existing:
        path.write_text("precious")
    with pytest.raises(OSError, match="disk full"):
        write(Result({"a": table()}), path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == (["x.fits"] if existing else [])
    assert not existing or path.read_text() == "precious"


def test_result_and_target_of_unknown_kind_are_named(tmp_path):
    good = Result({"a": table()})
    with pytest.raises(ValueError, match=r"expected a name ending in .*'\.asdf'.*got 'x\.txt'"):
        write(good, tmp_path / "x.txt")
    with pytest.raises(TypeError, match=r"result: expected a result with a method tables\(\)"):
        write(object(), tmp_path / "x.fits")
    with pytest.raises(ValueError, match="at least one spectrum"):
        write(Result({}), tmp_path / "x.fits")
    with pytest.raises(TypeError, match="target: expected a path or a type"):
        write(good, 5)
    with pytest.raises(ValueError, match="target: no writer makes a int"):
        write(good, int)
    with pytest.raises(ValueError, match="format: expected one of"):
        write(good, tmp_path / "x.fits", format="nosuch")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(good, tmp_path / "nowhere" / "x.fits")
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(ValueError, match="expected the name of a file"):
        write(good, tmp_path / "folder.fits")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.fits"]


def test_primary_header_says_how_spectra_were_made(tmp_path):
    slit, _ = sm.datasets.make_slit(shape=(30, 60))
    model = sm.Source(sm.MoffatProfile(), sm.PolynomialTrace(2), name="star")
    result = sm.OptimalExtraction(model + sm.ColumnPolynomial(1, name="sky"))(slit)
    history = list(fits.getheader(sm.write(result, tmp_path / "slit.fits"))["HISTORY"])
    text = "".join(history).replace(" ", "")  # long lines are cut
    assert f"fittedbyspecmodels{sm.__version__}" in text
    assert "Source(MoffatProfile,PolynomialTrace)'star'+ColumnPolynomial'sky'" in text


def test_one_source_is_written_as_text_and_several_are_refused(tmp_path):
    slit, _ = sm.datasets.make_slit(shape=(30, 60))
    result = sm.OptimalExtraction(n_sources=1)(slit)
    read = QTable.read(sm.write(result, tmp_path / "slit.ecsv"))
    assert_allclose(read["flux"], result.table("source")["flux"])
    assert read["wavelength"].unit == "um"
    with pytest.raises(ValueError, match="target: expected a FITS or ASDF file for several"):
        sm.write(Result({"one": table(), "two": table()}), tmp_path / "two.ecsv")
    assert not (tmp_path / "two.ecsv").exists()
