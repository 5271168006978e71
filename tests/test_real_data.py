"""Extraction from real exposures, against what is known of them from elsewhere."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose

import specmodels as sm
from examples.deimos import Deimos


class Osiris(sm.Instrument):
    """Raw long-slit exposures; the bias is a setting."""

    bias: object = None

    def read(self, hdus):
        return self.image(hdus[0].data - np.asarray(self.bias, dtype=float), unit=u.adu)


def robust_width(values):
    values = values[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def noise_of(result):
    """Error of each column by its own noise: without what all have in common, as hidden wings."""
    return np.sqrt(result.sample_covariance("source").band[:, 0])


DEEP2 = {"1210.072": "12020387", "1203.063": "12008179"}


@pytest.mark.parametrize("arm", ["B", "R"])
@pytest.mark.parametrize("slit", DEEP2)
def test_deep2_slits_agree_with_the_spectra_of_the_survey(shared_data, slit, arm):
    folder = shared_data / "extraction"
    exposure = sm.read(folder / f"slit.{slit}{arm}.fits.gz", instrument=Deimos)
    result = sm.OptimalExtraction()(exposure)
    table, image = result.table("source"), result.image
    with fits.open(folder / f"spec1d.{slit}.{DEEP2[slit]}.fits") as hdus:
        boxcar, horne = (
            {n: np.array(hdus[f"{kind}-{arm}"].data[n][0])
             for n in ("SPEC", "IVAR", "LAMBDA", "OBJPOS", "R1", "R2")}
            for kind in ("Bxspf", "Horne")
        )  # fmt: skip
    assert_allclose(table["wavelength"].value, boxcar["LAMBDA"], atol=0.05)
    assert abs(np.mean(table["trace"]) - boxcar["OBJPOS"]) < 0.5
    # The wings of 1203.063 R reach the end of its slit, and light of another object is beside it.
    row = result.report()[0]
    assert row["status"] == "ok" or (slit, arm) == ("1203.063", "R")
    assert row["status"] == "ok" or "light on one side" in row["reason"]

    good = ~table["mask"] & (horne["IVAR"] > 0) & (boxcar["SPEC"] != 0)
    # The survey knows the noise alone.
    flux, error = table["flux"].value[good], noise_of(result)[good]
    # The same pixels: spectra differ by a factor, the light outside the survey's window, and
    # otherwise by less than their noise (1203.063 R has strong sky lines).
    theirs = horne["SPEC"][good]
    factor = np.median(flux[theirs != 0] / theirs[theirs != 0])
    # Of 1203.063 R an unknown part of the wings is in the sky: by so much it may be more.
    unknown = np.sqrt(np.sum(result.covariance("source")[np.ix_(good, good)])) / np.sum(flux)
    assert unknown < (0.25 if (slit, arm) == ("1203.063", "R") else 0.06)
    assert 0.95 < factor < 1.3 + 2 * unknown
    assert robust_width((flux - factor * theirs) / error) < (0.4 if slit == "1210.072" else 1.2)
    assert_allclose(np.median(error * np.sqrt(horne["IVAR"][good])) / factor, 0.95, atol=0.15)

    # The sum over the survey's rows is its boxcar spectrum, and the model of the source is that
    # sum less the sky that was left in them.
    rows = (image.y >= boxcar["R1"]) & (image.y <= boxcar["R2"])
    own = result.fit.components()["source"][rows].sum(axis=0)
    left = result.sky[rows].sum(axis=0)
    ratio = (own + left)[good] / boxcar["SPEC"][good]
    assert_allclose(np.median(ratio), 1, atol=0.02)


def test_miri_image_without_variances_gets_errors_of_its_own(shared_data):
    name = "transposed_det_image_seq5_MIRIMAGE_P750Lexp1_s2d.fits"
    result = sm.OptimalExtraction()(shared_data / "extraction" / name)
    row, table = result.report()[0], result.table("source")
    assert row["snr"] > 20
    assert_allclose(row["optimal_over_aperture"], 1, atol=0.01)
    assert len(result.spectrum.flux) > 200
    assert row["lost"] < 0.02
    assert np.ptp(table["trace"]) < 3
    good = ~table["mask"]
    difference = (table["flux"] - table["aperture_flux"])[good] / table["aperture_error"][good]
    assert robust_width(difference.value) < 1.5


def test_emission_lines_of_a_galaxy_are_the_same_in_both_nods(shared_data):
    """H-alpha and [O III] with H-beta, summed over the line, which falls between the columns."""
    paths = sorted((shared_data / "mos").glob("jw01345*_phot*.fits"))
    results = [sm.OptimalExtraction(n_sources=1)(path) for path in paths]
    for line in (2.61 * u.um, 3.43 * u.um):
        sums = []
        for result in results:
            table = result.table("source")
            near = (np.abs(table["wavelength"] - line) < 0.06 * u.um) & ~table["mask"]
            flux, error = (table[n].value[near] for n in ("flux", "flux_error"))
            sums.append((flux.sum(), np.sqrt(np.sum(error**2))))
            assert flux.sum() > 15 * np.sqrt(np.sum(noise_of(result)[near] ** 2))
            assert flux.sum() > 10 * sums[-1][1]  # with what the sky may have of the wings
        (first, first_error), (second, second_error) = sums
        assert abs(first / second - 1) < 0.3 + 3 * np.hypot(
            first_error / first, second_error / second
        )


def test_osiris_long_slit(shared_data):
    """Raw counts without variances, with sky lines: the trace, the sky and the errors."""
    folder = shared_data / "extraction"
    instrument = Osiris(bias=fits.getdata(folder / "osiris_bias.fits.bz2"))
    image = sm.read(folder / "osiris_tres_3b.fits.bz2", instrument=instrument).single
    result = sm.OptimalExtraction(n_sources=1)(image.cutout(rows=slice(235, 315)))
    row, table = result.report()[0], result.table("source")
    assert_allclose(row["row"], 274, atol=2)
    # Errors from the scatter, with what the fit takes of it. One line has four fifths of what the
    # sky tells of wings, so that these are known to a hundredth of the flux, and at the faint end,
    # where more of the light is beyond the profile, to little more than that.
    noise = noise_of(result)
    assert np.median(table["flux"].value / noise) > 95
    assert np.all(table["flux_error"].value < np.hypot(noise, 0.015 * table["flux"].value))
    assert_allclose(row["optimal_over_aperture"], 1, atol=0.01)
    assert row["lost"] == 0
    # Sky lines leave no trace in the spectrum.
    sky, flux = table["background"].value, table["flux"].value
    spikes = sky > 2 * np.median(sky)
    smooth = np.convolve(np.pad(flux, 10, mode="edge"), np.ones(21) / 21, mode="valid")
    assert spikes.sum() > 10
    assert abs(np.median(flux[spikes] / smooth[spikes]) - 1) < 0.05


def test_noisy_grism_exposure_has_the_flux_of_the_noiseless_one(shared_data):
    folder = shared_data / "extraction"
    rate = fits.getdata(folder / "slope_NRCALONG_SUBGRISM64_F322W2_sim.fits").astype(float)
    noisy = fits.getdata(folder / "ideal_noise_int_012.fits").astype(float)
    clean = rate * np.sum(noisy * rate) / np.sum(rate**2)  # the exposure time
    tables = []
    for data in (noisy, clean):
        parts = {"read": np.full(data.shape, 13.0**2), "poisson": np.maximum(data, 1e-3)}
        result = sm.OptimalExtraction()(sm.SpectralImage(data, components=parts))
        reason = result.report()["reason"][0]
        if data is noisy:
            own_error = noise_of(result)
            covariance = result.covariance("source")
        if data is clean:
            assert "variances are off" in reason  # it has no noise
        else:
            assert "variances" not in reason
        tables.append(result.table("source"))
    flux, truth = (table["flux"].value for table in tables)
    lit = truth > 1000  # electrons, within the filter
    # Of the error the part of each column alone: wings that the slit cuts off are in both.
    flux, truth, error = (a[lit] for a in (flux, truth, own_error))
    pulls = (flux - truth) / error
    assert abs(robust_width(pulls) - 1) < 4 * 1.17 / np.sqrt(pulls.size)
    unknown = np.sqrt(np.sum(covariance[np.ix_(lit, lit)])) / np.sum(flux)
    assert unknown < 0.02  # without any noise a twelfth of the spectrum tells of 2.5 % more or less
    light = np.sum((clean - np.min(clean))[:, lit])  # the simulated sky is the same in all pixels
    assert_allclose(np.sum(flux), light, rtol=0.01)
    assert abs(np.median(flux / truth) - 1) < 2 * unknown
    assert np.mean(np.abs(pulls) > 5) < 1e-3
