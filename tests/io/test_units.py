"""Spellings of units in headers, and planes in other units than the data."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

import specmodels as sm
from specmodels.io.units import known_unit

FLAM = u.erg / u.s / u.cm**2 / u.AA


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("ELECTRONS/S", u.electron / u.s), ("COUNTS S-1", u.ct / u.s), ("DN/s", u.DN / u.s),
        ("DN/S", u.DN / u.s), ("e-/sec", u.electron / u.s), ("Counts/Second", u.ct / u.s),
        ("ADUs", u.adu), ("ADU*ADU", u.adu**2), ("PHOTONS/S/CM2/A", u.ph / u.s / u.cm**2 / u.AA),
        ("ERG/CM**2/SEC/ANGSTROM", FLAM), ("1e-17 erg/s/cm2/A", 1e-17 * FLAM),
        ("1E-17 erg/cm^2/s/Ang", 1e-17 * FLAM), ("MJy/sr", u.MJy / u.sr), ("mJy", u.mJy),
        ("(10**(-20)*erg/s/cm**2/Angstrom)**2", 1e-40 * FLAM**2), ("microns", u.um),
        ("bananas", None), ("MJY", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_spellings(text, unit):
    found = known_unit(text)
    if unit is None:
        assert found is None
    else:
        assert found.to(unit) == pytest.approx(1, rel=1e-12)


def read(plane, values, text, data_text="Jy"):
    """A file in memory of data of 5 and one plane with units."""
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.full((4, 8), 5.0), name="SCI"),
            fits.ImageHDU(np.full((4, 8), values), name=plane)]  # fmt: skip
    for hdu, unit in zip(hdus[1:], (data_text, text), strict=True):
        if unit:
            hdu.header["BUNIT"] = unit
    return sm.read(fits.HDUList(hdus)).single


@pytest.mark.parametrize(
    ("plane", "value", "text"),
    [("ERR", 3.0, "Jy"), ("ERR", 3000.0, "mJy"), ("ERR", 3.0, ""), ("VAR", 9.0, "Jy2"),
     ("VAR", 9e6, "mJy2"), ("VAR", 9e6, "(mJy)**2"), ("IVAR", 1 / 9e6, "mJy-2"),
     ("VAR_RNOISE", 9e6, "mJy2")],
)  # fmt: skip
def test_planes_are_read_in_the_unit_of_the_data(plane, value, text):
    np.testing.assert_allclose(read(plane, value, text).variance, 9.0, rtol=1e-12)


@pytest.mark.parametrize(("plane", "text"), [("ERR", "m"), ("ERR", "bananas"), ("VAR", "K")])
def test_plane_in_a_unit_of_another_kind_is_refused_by_name(plane, text):
    with pytest.raises(ValueError, match=f"{plane}: BUNIT: .*'{text}'"):
        read(plane, 1.0, text)


@pytest.mark.parametrize(("plane", "text", "data_text"), [("VAR", "Jy", "Jy"), ("ERR", "Jy", "")])
def test_unit_that_must_be_guessed_is_said(plane, text, data_text):
    with pytest.warns(AstropyUserWarning, match="taken to be"):
        image = read(plane, 4.0, text, data_text)
    assert image.variance[0, 0] == (4 if plane == "VAR" else 16)


def test_negative_errors_are_masked():
    assert read("ERR", -1.0, "Jy").mask.all()
    assert not read("ERR", 1.0, "Jy").mask.any()


@pytest.mark.parametrize("unit", ["mag", "mag(AB)", "dex(ct/s)", "dB", "mag/arcsec2"])
def test_magnitudes_are_refused(unit):
    with pytest.raises(ValueError, match="unit: expected one in which light adds up"):
        sm.SpectralImage(np.ones((4, 8)), unit=unit)


def test_errors_of_datamodels_have_their_own_unit():
    datamodels = pytest.importorskip("stdatamodels.jwst.datamodels")
    with datamodels.SlitModel(data=np.ones((4, 8), "f4"), err=np.full((4, 8), 2000.0, "f4"),
                              wavelength=np.full((4, 8), 2.0, "f4")) as model:  # fmt: skip
        model.meta.bunit_data, model.meta.bunit_err = "Jy", "mJy"
        np.testing.assert_allclose(sm.read(model).single.variance, 4, rtol=1e-6)
