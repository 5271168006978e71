"""Reading JWST datamodels and their files."""

import numpy as np
import pytest
from astropy import units as u
from astropy.modeling import models
from astropy.utils.exceptions import AstropyUserWarning
from gwcs import WCS, coordinate_frames
from stdatamodels.jwst import datamodels

from specmodels.instruments import Instrument, MiriLrs, NirspecMos, NirspecSlit
from specmodels.io import read

SHAPE = (5, 8)
DATA = np.arange(40, dtype="f4").reshape(SHAPE) + 1
WAVELENGTH = np.broadcast_to(np.linspace(1, 2, 8, dtype="f4"), SHAPE).copy()


def gwcs(axis=-1, spectral=True):
    """A WCS from pixels to two sky coordinates and a wavelength of 1 + 0.1 per pixel."""
    along = models.Mapping((0, 1, 0) if axis == -1 else (0, 1, 1), n_inputs=2)
    wave = models.Polynomial1D(1, c0=1, c1=0.1)
    transform = along | models.Identity(2) & wave
    detector = coordinate_frames.Frame2D(name="detector", axes_order=(0, 1), unit=(u.pix, u.pix))
    sky = coordinate_frames.Frame2D(name="sky", axes_order=(0, 1), unit=(u.deg, u.deg))
    spectrum = coordinate_frames.SpectralFrame(name="wave", axes_order=(2,), unit=(u.um,))
    world = coordinate_frames.CompositeFrame([sky, spectrum], name="world")
    if not spectral:
        transform, world = models.Identity(2), sky
    wcs = WCS([(detector, transform), (world, None)])
    wcs.bounding_box = ((-0.5, 7.5), (0.5, 4.5)) if axis == -1 else ((0.5, 4.5), (-0.5, 7.5))
    return wcs


def slit_model(name="S1", cls=datamodels.SlitModel, axis=1, **planes):
    """A slit of NIRSpec with errors, flags and wavelengths."""
    arrays = {"data": DATA, "err": np.full(SHAPE, 2, "f4"), "wavelength": WAVELENGTH} | planes
    model = cls(**{key: value.copy() for key, value in arrays.items() if value is not None})
    model.meta.instrument.name = "NIRSPEC"
    model.meta.exposure.type = "NRS_FIXEDSLIT"
    model.meta.wcsinfo.dispersion_direction = axis
    model.meta.bunit_data = "MJy/sr"
    if cls is datamodels.SlitModel:
        model.name = name
    return model


def test_slit_is_read_with_all_its_planes():
    dq = np.zeros(SHAPE, np.uint32)
    dq[0, 0], dq[1, 1] = 1, 4
    parts = {"var_rnoise": DATA, "var_poisson": 2 * DATA, "var_flat": 3 * DATA}
    exposure = read(slit_model(dq=dq, **parts))
    image = exposure["S1"]
    assert exposure.instrument == NirspecSlit()
    assert (image.unit, image.wavelength_unit) == (u.MJy / u.sr, u.um)
    np.testing.assert_array_equal(image.variance, 4)
    np.testing.assert_array_equal(image.components["poisson"], 2 * DATA)
    np.testing.assert_allclose(image.wavelength, WAVELENGTH)
    assert image.mask[0, 0]
    assert image.mask.sum() == 1


def test_user_may_say_which_flags_are_bad():
    dq = np.zeros(SHAPE, np.uint32)
    dq[1, 1] = 4
    assert read(slit_model(dq=dq), instrument=NirspecSlit(bad_flags=4)).single.mask[1, 1]


def test_components_make_the_variance_where_no_error_is_given():
    model = slit_model(err=None, var_rnoise=DATA, var_poisson=2 * DATA)
    np.testing.assert_allclose(read(model).single.variance, 3 * DATA)


def test_planes_filled_with_defaults_count_as_absent():
    model = slit_model(err=np.zeros(SHAPE, "f4"), wavelength=np.zeros(SHAPE, "f4"))
    with pytest.warns(AstropyUserWarning, match="no wavelength array"):
        image = read(model).single
    assert image.variance is None
    assert image.wavelength is None


def test_drizzle_weights_give_the_variance_and_mask_zero():
    weight = np.full(SHAPE, 0.25, "f4")
    weight[2, 3] = 0
    model = slit_model(err=None, wht=weight)
    image = read(model, pixel_scale=2.0).single
    np.testing.assert_allclose(image.variance[0], 1 / (0.25 * 16))
    assert image.mask[2, 3]
    assert image.mask.sum() == 1


def test_zero_wavelengths_are_none():
    wavelength = WAVELENGTH.copy()
    wavelength[0] = 0
    assert np.isnan(read(slit_model(wavelength=wavelength)).single.wavelength[0]).all()


def test_vertical_dispersion_is_turned():
    model = slit_model(axis=2, **{k: v.T for k, v in
                       {"data": DATA, "err": DATA, "wavelength": WAVELENGTH}.items()})  # fmt: skip
    exposure = read(model)
    assert exposure.instrument.dispersion_axis == -2
    np.testing.assert_array_equal(exposure.single.data, DATA)
    np.testing.assert_array_equal(exposure.single.wavelength, WAVELENGTH)
    assert read(model, dispersion_axis=-1, wavelength=np.arange(5.0)).single.shape == (8, 5)


@pytest.mark.parametrize("cls", [datamodels.ImageModel, datamodels.SlitModel])
def test_miri_without_stated_direction_is_turned_by_its_instrument(cls):
    model = cls(data=DATA.T, err=DATA.T)
    model.meta.instrument.name, model.meta.exposure.type = "MIRI", "MIR_LRS-FIXEDSLIT"
    model.meta.wcs = gwcs(axis=-2)
    exposure = read(model)
    assert exposure.instrument == MiriLrs()
    np.testing.assert_array_equal(exposure.single.data, DATA)
    np.testing.assert_allclose(exposure.single.wavelength[2], 1 + 0.1 * np.arange(8))


def test_gwcs_gives_wavelengths_within_its_bounding_box():
    model = slit_model(wavelength=None)
    model.meta.wcs = gwcs()
    image = read(model).single
    assert image.wavelength_unit == u.um
    assert np.isnan(image.wavelength[0]).all()
    np.testing.assert_allclose(image.wavelength[3], 1 + 0.1 * np.arange(8))


@pytest.mark.parametrize("axis", [-1, -2])
def test_axis_is_taken_from_the_wcs_where_nothing_else_tells(axis):
    model = datamodels.ImageModel(data=DATA if axis == -1 else DATA.T)
    model.meta.wcs = gwcs(axis)
    exposure = read(model)
    assert exposure.instrument == Instrument(dispersion_axis=axis)
    np.testing.assert_array_equal(exposure.single.data, DATA)


def test_missing_or_unusable_wcs_is_no_error_but_a_warning():
    model = slit_model(wavelength=None)
    with pytest.warns(AstropyUserWarning, match=r"no usable WCS for S1: columns are numbered"):
        assert read(model).single.wavelength is None
    model.meta.wcs = gwcs(spectral=False)
    with pytest.warns(AstropyUserWarning, match=r"does not lead|no usable WCS"):
        assert read(model).single.wavelength is None
    read(model, wavelength=np.linspace(1, 2, 8) * u.um)


def test_slits_get_unique_names_from_what_there_is():
    multi = datamodels.MultiSlitModel()
    for name in ("S1", "S1", None, None):
        multi.slits.append(slit_model(name))
    multi.slits[2].source_name = "galaxy"
    for slit in multi.slits[-1:]:
        slit.source_id = 933
    exposure = read(multi)
    assert list(exposure) == ["S1", "S1_2", "galaxy", "933"]
    assert exposure["933"].meta["source_id"] == 933
    assert exposure.source is multi


def test_file_of_several_slits_is_read_and_closed(tmp_path):
    multi = datamodels.MultiSlitModel()
    for name in ("S1", "S2"):
        slit = slit_model(name, wavelength=None)
        slit.meta.wcs = gwcs()
        multi.slits.append(slit)
    multi.meta.instrument.name, multi.meta.exposure.type = "NIRSPEC", "NRS_MSASPEC"
    path = tmp_path / "x_cal.fits"
    multi.save(path)
    exposure = read(path)
    assert list(exposure) == ["S1", "S2"]
    assert exposure.source == path
    np.testing.assert_array_equal(exposure["S2"].data, DATA)
    np.testing.assert_allclose(exposure["S2"].wavelength[2], 1 + 0.1 * np.arange(8))


def test_datamodel_in_asdf_is_read(tmp_path):
    path = tmp_path / "x_cal.asdf"
    slit_model().save(path)
    exposure = read(path)
    np.testing.assert_array_equal(exposure["S1"].data, DATA)
    assert exposure.source == path


def test_datamodel_is_not_changed_by_reading():
    model = slit_model()
    keys, meta = set(model.instance), dict(model.to_flat_dict(include_arrays=False))
    image = read(model).single
    assert set(model.instance) == keys
    assert model.to_flat_dict(include_arrays=False) == meta
    assert model.data.flags.writeable
    model.data[:] = 0
    np.testing.assert_array_equal(image.data, DATA)


def test_readout_of_the_metadata_replaces_the_defaults():
    model = slit_model()
    model.meta.subarray.fastaxis, model.meta.subarray.slowaxis = -1, 2
    model.meta.exposure.noutputs = 1
    readout = read(model).instrument.readout
    assert (readout.fast_axis, readout.slow_axis, readout.n_outputs) == (-1, -2, 1)
    assert readout.line_overhead == NirspecSlit().readout.line_overhead


def test_ifu_image_is_read_as_an_image():
    assert read(slit_model(cls=datamodels.IFUImageModel)).single.shape == SHAPE


def test_empty_multislit_raises():
    with pytest.raises(ValueError, match="MultiSlitModel with slits, got an empty one"):
        read(datamodels.MultiSlitModel())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: datamodels.IFUCubeModel((2, 3, 4)), r"IFUCubeModel with two-dim.*\(2, 3, 4\)"),
        (lambda: datamodels.MultiSpecModel(), "MultiSpecModel with two-dimensional data, got none"),
        (lambda: datamodels.SlitModel(), "SlitModel with two-dimensional data, got none"),
    ],
)
def test_datamodel_without_an_image_raises(make, message):
    with pytest.raises(ValueError, match=message):
        read(make())


@pytest.mark.parametrize("nod", [1, 2])
def test_real_slitlet_is_read(shared_data, nod):
    path = shared_data / "mos" / f"jw01345062001_03101_0000{nod}_nrs2_phot.138.1345_933.fits"
    exposure = read(path)
    image = exposure["138"]
    assert type(exposure.instrument) is NirspecMos
    assert image.shape == (25, 341)
    assert image.meta["source_name"] == "1345_933"
    np.testing.assert_allclose(
        image.variance[~image.mask], sum(image.components.values())[~image.mask], rtol=1e-5
    )
    assert 1.3 < np.nanmin(image.wavelength) < np.nanmax(image.wavelength) < 5.5
    assert (np.isnan(image.wavelength) <= image.mask).all()


def test_wavelengths_of_real_gwcs_agree_with_those_in_the_file(shared_data):
    path = shared_data / "mos" / "jw01345062001_03101_00001_nrs2_phot.138.1345_933.fits"
    with datamodels.open(path) as model:
        stored = np.array(model.wavelength)
        bare = datamodels.SlitModel(data=np.array(model.data))
        bare.meta.wcs = model.meta.wcs
        bare.meta.wcsinfo.dispersion_direction = 1
        wavelength = read(bare).single.wavelength
    both = np.isfinite(stored) & np.isfinite(wavelength)
    assert both.mean() > 0.5
    np.testing.assert_allclose(wavelength[both], stored[both], rtol=5e-3)
