"""Reading FITS files: planes by name, wavelengths from headers, broken files, real data."""

import bz2
import gzip

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.utils.exceptions import AstropyUserWarning

from examples.deimos import Deimos
from specmodels.instruments import Instrument, Readout, registry
from specmodels.io import read

SHAPE = (5, 8)
DATA = np.arange(40.0).reshape(SHAPE) + 1


@pytest.fixture
def own_registry(monkeypatch):
    """Registrations of a test that are gone after it, beside those of the package alone."""
    own = {k: c for k, c in registry._classes.items() if c.__module__.startswith("specmodels.")}
    monkeypatch.setattr(registry, "_classes", own)


@pytest.fixture
def make(tmp_path):
    """A FITS file of a primary image or header and named extensions."""

    def make(primary=None, name="x.fits", header=None, **extensions):
        hdus = [fits.PrimaryHDU(primary, header=fits.Header(header or {}))]
        hdus += [fits.ImageHDU(np.asarray(v), name=k) for k, v in extensions.items()]
        path = tmp_path / name
        fits.HDUList(hdus).writeto(path)
        return path

    return make


@pytest.mark.parametrize(
    ("name", "plane"),
    [
        ("ERR", np.sqrt(DATA)), ("ERROR", np.sqrt(DATA)), ("STDDEV", np.sqrt(DATA)),
        ("UNCERT", np.sqrt(DATA)), ("VAR", DATA), ("VARIANCE", DATA), ("IVAR", 1 / DATA),
        ("WHT", 1 / DATA),
    ],
)  # fmt: skip
@pytest.mark.parametrize("data", ["PRIMARY", "SCI", "FLUX"])
def test_planes_are_found_by_common_names(make, name, plane, data):
    path = make(DATA, **{name: plane}) if data == "PRIMARY" else make(**{data: DATA, name: plane})
    image = read(path).single
    np.testing.assert_array_equal(image.data, DATA)
    np.testing.assert_allclose(image.variance, DATA)


def test_mask_flags_components_and_wavelengths_are_found(make):
    mask, flags = np.zeros(SHAPE, int), np.zeros(SHAPE, int)
    mask[0, 0], flags[1, 1], flags[2, 2] = 7, 5, 4
    wave = np.linspace(1, 2, 8)
    wave[3] = 0
    path = make(
        SCI=DATA, MASK=mask, DQ=flags, WAVELENGTH=wave, VAR_RNOISE=DATA, VAR_POISSON=2 * DATA
    )
    image = read(path).single
    assert set(zip(*np.nonzero(image.mask), strict=True)) == {(0, 0), (1, 1)}
    assert set(image.components) == {"read", "poisson"}
    np.testing.assert_allclose(image.variance, 3 * DATA)
    assert np.isnan(image.wavelength[3])


def test_error_is_preferred_to_components(make):
    image = read(make(SCI=DATA, ERR=np.full(SHAPE, 2.0), VAR_RNOISE=DATA)).single
    assert (image.variance == 4).all()
    np.testing.assert_array_equal(image.components["read"], DATA)


def test_faint_errors_in_single_precision_do_not_vanish(make):
    image = read(make(SCI=DATA.astype("f4"), ERR=np.full(SHAPE, 1e-25, "f4"))).single
    np.testing.assert_allclose(image.variance, 1e-50, rtol=1e-6)


def test_user_names_the_extensions(make):
    path = make(A=DATA, B=DATA, C=np.sqrt(DATA))
    image = read(path, extensions={"data": "B", "error": 3}).single
    np.testing.assert_allclose(image.variance, DATA)
    with pytest.raises(ValueError, match=r"extensions\['data'\]: expected one of"):
        read(path, extensions={"data": "Z"})
    with pytest.raises(ValueError, match=r"extensions\['data'\]: 0 holds no image"):
        read(path, extensions={"data": 0})


def test_pixel_scale_enters_the_drizzle_weights(make):
    path = make(SCI=DATA, WHT=np.ones(SHAPE))
    np.testing.assert_allclose(read(path, pixel_scale=0.5).single.variance, 16)


def test_several_science_extensions_become_several_images(tmp_path):
    hdus = [fits.PrimaryHDU()]
    for version in (1, 2):
        hdus += [
            fits.ImageHDU(DATA * version, name="SCI", ver=version),
            fits.ImageHDU(np.full(SHAPE, float(version)), name="ERR", ver=version),
        ]
    hdus[1].header["SLTNAME"] = "S1"
    fits.HDUList(hdus).writeto(tmp_path / "m.fits")
    exposure = read(tmp_path / "m.fits")
    assert list(exposure) == ["S1", "SCI_2"]
    assert exposure["SCI_2"].variance[0, 0] == 4


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_ccddata_file_is_read_whatever_its_uncertainty(tmp_path, kind):
    path = tmp_path / "ccd.fits"
    mask = DATA == 3
    CCDData(DATA, unit="adu", uncertainty=kind(np.full(SHAPE, 4.0)), mask=mask).write(path)
    image = read(path).single
    wanted = {StdDevUncertainty: 16, VarianceUncertainty: 4, InverseVariance: 0.25}[kind]
    np.testing.assert_allclose(image.variance, wanted)
    assert image.unit == u.adu
    np.testing.assert_array_equal(image.mask, mask)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"CTYPE1": "WAVE", "CUNIT1": "um", "CDELT1": 0.1}, 1 + 0.1 * np.arange(8)),
        ({"CTYPE1": "LAMBDA", "CUNIT1": "um", "CD1_1": 0.1}, 1 + 0.1 * np.arange(8)),
        ({"CTYPE1": "WAVE-LOG", "CUNIT1": "um", "CD1_1": 0.1}, np.exp(0.1 * np.arange(8))),
        (
            {"CTYPE1": "LINEAR", "CUNIT1": "um", "CD1_1": 0.1, "DC-FLAG": 1},
            10 ** (1 + 0.1 * np.arange(8)),
        ),
    ],
)
def test_header_gives_linear_and_logarithmic_wavelengths(make, keywords, expected):
    image = read(make(DATA, header={"CRVAL1": 1.0, "CRPIX1": 1.0} | keywords)).single
    np.testing.assert_allclose(image.wavelength, expected)
    assert image.wavelength_unit == u.um


def test_header_with_spectral_second_axis_turns_the_image(make):
    header = {"CTYPE2": "WAVE", "CUNIT2": "nm", "CRVAL2": 500.0, "CRPIX2": 1.0, "CDELT2": 2.0}
    image = read(make(DATA.T, header=header)).single
    np.testing.assert_array_equal(image.data, DATA)
    np.testing.assert_allclose(image.wavelength, 500 + 2 * np.arange(8))


def test_missing_wavelength_unit_is_assumed_with_a_warning(make):
    path = make(DATA, header={"CTYPE1": "LAMBDA", "CRVAL1": 5000.0, "CD1_1": 1.0})
    with pytest.warns(AstropyUserWarning, match="no CUNIT1.*Angstrom"):
        assert read(path).single.wavelength_unit == u.AA


def test_unknown_kind_of_axis_gives_no_wavelengths_and_a_warning(make):
    path = make(DATA, header={"CTYPE1": "WAVE-TAB", "CRVAL1": 1.0, "CDELT1": 1.0})
    with pytest.warns(AstropyUserWarning, match="WAVE-TAB"):
        assert read(path).single.wavelength is None


def test_celestial_axes_are_no_wavelengths(make):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": 1.0, "CDELT2": 1.0}
    assert read(make(DATA, header=header)).single.wavelength is None


def test_users_wavelengths_win(make):
    image = read(make(DATA, WAVELENGTH=np.ones(SHAPE)), wavelength=np.arange(8.0) * u.nm).single
    assert image.wavelength_unit == u.nm


@pytest.mark.parametrize(
    ("text", "unit"),
    [("adu", u.adu), ("e-", u.electron), ("e/sec", u.electron / u.s), ("DN/s", u.Unit("DN/s")),
     ("erg/s/cm2/A", u.erg / u.s / u.cm**2 / u.AA), ("counts/hour", u.ct / u.h)],
)  # fmt: skip
def test_common_spellings_of_units_are_understood(make, text, unit):
    assert read(make(DATA, header={"BUNIT": text})).single.unit == unit


def test_unknown_unit_is_dropped_with_a_warning(make):
    with pytest.warns(AstropyUserWarning, match="'bananas' is unknown"):
        assert read(make(DATA, header={"BUNIT": "bananas"})).single.unit is None


def test_compressed_files_are_read(make):
    path = make(DATA)
    content = path.read_bytes()
    for suffix, compress in ((".gz", gzip.compress), (".bz2", bz2.compress)):
        packed = path.with_name(path.name + suffix)
        packed.write_bytes(compress(content))
        np.testing.assert_array_equal(read(packed).single.data, DATA)


def test_open_hdus_are_read_and_stay_open_and_unchanged(make):
    with fits.open(make(SCI=DATA, ERR=DATA)) as hdus:
        exposure = read(hdus)
        assert exposure.source is hdus
        np.testing.assert_array_equal(hdus["SCI"].data, DATA)
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "ERR"]


def test_path_is_kept_as_the_source(make):
    path = make(DATA)
    assert read(str(path)).source == path


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"SIMPLE  =", b"\x1f\x8bnot really", b"#ASDF 1.0.0\nbroken: ["]
)
def test_file_of_another_kind_raises(tmp_path, content):
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"obj: .*x\.fits"):
        read(path)


@pytest.mark.parametrize("keep", [2000, 2880 + 100, 2880 * 3 - 5000])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
def test_truncated_file_raises(tmp_path, keep, compress):
    hdu = fits.PrimaryHDU(np.ones((40, 40)))
    path = tmp_path / "x.fits"
    hdu.writeto(path)
    content = compress(path.read_bytes())
    path.write_bytes(content[: keep if compress is bytes else len(content) * 2 // 3])
    with pytest.raises(ValueError, match=r"x\.fits is not a complete FITS file"):
        read(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read(tmp_path / "nowhere.fits")
    with pytest.raises(ValueError, match="expected a file"):
        read(tmp_path)


def test_file_without_image_or_with_a_cube_raises(make):
    with pytest.raises(ValueError, match="expected a FITS file with an image"):
        read(make(name="empty.fits"))
    with pytest.raises(ValueError, match="data: expected 2 dimensions"):
        read(make(np.ones((2, 3, 4)), name="cube.fits"))


def test_instrument_is_recognised_in_any_header_and_its_flags_used(make, own_registry):
    class Vertical(Instrument, key=("VERT", "LS")):
        dispersion_axis = -2
        bad_flags = 8

    flags = np.zeros(SHAPE, int)
    flags[1, 2], flags[3, 4] = 8, 1
    path = make(header={"INSTRUME": "VERT", "EXP_TYPE": "LS"}, SCI=DATA, DQ=flags)
    exposure = read(path)
    assert exposure.instrument == Vertical()
    assert exposure.single.shape == SHAPE[::-1]
    assert list(zip(*np.nonzero(exposure.single.mask), strict=True)) == [(2, 1)]
    assert read(path, dispersion_axis=-1).single.shape == SHAPE
    assert read(path, instrument=Instrument()).single.shape == SHAPE


def test_hook_reads_several_images_and_options_still_win(make, own_registry):
    class Odd(Instrument, key="ODD"):
        dispersion_axis = -2

        def read(self, hdus):
            for hdu in hdus[1:]:
                yield self.image(hdu.data, name=hdu.name)

    path = make(header={"INSTRUME": "odd"}, A=DATA, B=DATA)
    variance = {"A": np.arange(1.0, 41).reshape(SHAPE)}
    exposure = read(path, variance=variance)
    assert list(exposure) == ["A", "B"]
    np.testing.assert_array_equal(exposure["A"].data, DATA.T)
    np.testing.assert_array_equal(exposure["A"].variance, variance["A"].T)
    assert exposure["B"].variance is None
    assert read(path, instrument="odd", dispersion_axis=-1)["A"].shape == SHAPE


def test_file_of_another_layout_than_the_hook_expects_raises(make):
    with pytest.raises(ValueError, match=r"x\.fits is not laid out like a file of Deimos"):
        read(make(DATA), instrument=Deimos())


def test_tile_compressed_image_is_read(tmp_path):
    path = tmp_path / "x.fits"
    hdu = fits.CompImageHDU(DATA.astype(np.int32), name="SCI")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    np.testing.assert_array_equal(read(path).single.data, DATA)


class Osiris(Instrument):
    """GTC/OSIRIS long slit: raw counts, which have no header."""

    readout = Readout(n_outputs=2)
    bias: float = 0.0
    gain: float = 0.95
    read_noise: float = 4.5

    def read(self, hdus):
        electrons = self.gain * (np.asarray(hdus[0].data, dtype=float) - self.bias)
        read = np.full(electrons.shape, self.read_noise**2)
        parts = {"read": read, "poisson": np.maximum(electrons, 0)}
        return self.image(electrons, components=parts, unit=u.electron)


@pytest.mark.parametrize(
    ("name", "shape", "limits"),
    [("slit.1210.072B.fits.gz", (78, 4096), (6421, 7751)),
     ("slit.1203.063R.fits.gz", (34, 4096), (7721, 9016))],
)  # fmt: skip
def test_deimos_slits_are_recognised_and_read(shared_data, own_registry, name, shape, limits):
    registry.register(Deimos, ("DEIMOS", "DEEP2"))
    for options in ({}, {"instrument": "DEIMOS"}, {"instrument": Deimos()}):
        exposure = read(shared_data / "extraction" / name, **options)
        image = exposure.single
        assert exposure.instrument == Deimos()
        assert image.shape == image.wavelength.shape == shape
        assert image.wavelength_unit == u.AA
        assert limits[0] < image.wavelength.min() < image.wavelength.max() < limits[1]
        assert image.mask.mean() < 0.05
        assert (np.diff(image.wavelength, axis=1) > 0).all()


def test_osiris_exposure_is_read_with_bias_and_noise(shared_data):
    folder = shared_data / "extraction"
    bias = float(np.median(read(folder / "osiris_bias.fits.bz2").single.data))
    image = read(folder / "osiris_tres_3b.fits.bz2", instrument=Osiris(bias=bias)).single
    assert image.shape == (512, 1024)
    assert np.median(image.data, axis=1).argmax() in range(270, 285)
    assert set(image.components) == {"read", "poisson"}


def test_miri_lrs_image_of_specreduce_has_its_dispersion_along_rows(shared_data):
    """The file holds bare pixels: no keyword, no wavelength; blue is at the right."""
    path = shared_data / "extraction" / "transposed_det_image_seq5_MIRIMAGE_P750Lexp1_s2d.fits"
    wavelength = np.linspace(14, 5, 387) * u.um
    image = read(path, wavelength=wavelength).single
    assert image.shape == (44, 387)
    assert image.wavelength_unit == u.um
    assert np.median(image.data, axis=1).argmax() == 30
    assert read(path).single.wavelength is None


def test_simulated_grism_image_is_read_with_its_unit(shared_data):
    path = shared_data / "extraction" / "slope_NRCALONG_SUBGRISM64_F322W2_sim.fits"
    image = read(path).single
    assert image.shape == (64, 2048)
    assert image.unit == u.electron / u.s
