"""The scripts in ``examples``, run as a user runs them: in a process and a folder of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable
from matplotlib.image import imread

import specmodels as sm
from examples.deimos import Deimos
from specmodels.instruments import recognise_instrument
from tests.example_scripts import EXAMPLES, run


def single(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


@pytest.mark.parametrize("script", [p.name for p in sorted(EXAMPLES.glob("*.py"))])
def test_tells_its_arguments(script, tmp_path):
    assert "usage:" in run(script, "--help", folder=tmp_path)
    assert not list(tmp_path.iterdir())


class TestExtraction:
    def test_writes_a_spectrum_that_resembles_the_sum_of_the_rows(self, tmp_path):
        specreduce = pytest.importorskip("specreduce", reason="has the image of the example")
        printed = run("extraction.py", folder=tmp_path)
        path = single(tmp_path, "*.fits")
        assert str(path) in printed
        table = QTable.read(path, hdu=1, mask_invalid=False)
        image = sm.read(next(Path(specreduce.__file__).parent.glob("tests/data/*s2d.fits"))).single
        lit = np.any(image.data != 0, axis=0)
        assert np.array_equal(np.isfinite(table["flux"]), lit)
        bright = lit & (np.arange(lit.size) > 200) & (np.arange(lit.size) < 365)
        sky = np.median(image.data, axis=0)
        rows = slice(22, 39)
        plain = np.sum((image.data - sky)[rows], axis=0)
        ratio = table["flux"][bright].value / plain[bright]
        assert abs(np.median(ratio) - 1) < 0.01
        assert np.all(abs(ratio - 1) < 0.1)
        assert np.all(table["flux_error"][bright] > 0)

    def test_draws_a_figure(self, tmp_path):
        pytest.importorskip("specreduce", reason="has the image of the example")
        run("extraction.py", folder=tmp_path)
        figure = imread(single(tmp_path, "*.png"))
        assert figure.shape[0] > 500
        assert figure.std() > 0.1

    def test_takes_a_file_and_a_folder(self, tmp_path):
        slit, truth = sm.datasets.make_slit()
        sm.write(slit, tmp_path / "my.slit.fits")
        run("extraction.py", "my.slit.fits", "out", folder=tmp_path)
        assert {p.name for p in (tmp_path / "out").iterdir()} == {
            "my.slit_spectrum.fits",
            "my.slit_spectrum.png",
        }
        table = QTable.read(tmp_path / "out" / "my.slit_spectrum.fits", hdu=1)
        pull = (table["flux"].value - truth.flux[0]) / table["flux_error"].value
        assert abs(np.mean(pull)) < 0.2
        assert 0.9 < np.std(pull) < 1.1

    def test_says_what_to_do_where_the_image_is_absent(self, tmp_path):
        (tmp_path / "specreduce.py").write_text("raise ImportError")
        code = "import sys, importlib.util as u; u.find_spec = lambda name: None; import extraction"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; extraction.main()"],
            cwd=EXAMPLES, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert "quickstart" in done.stderr


class TestDeimos:
    def test_recognises_its_headers_only(self):
        assert isinstance(recognise_instrument({"SP2DVERS": "v1", "SLITNO": 72}), Deimos)
        assert not Deimos.recognises({"INSTRUME": "NIRSPEC", "SLITNO": 72})

    def test_reads_a_slit_of_the_survey(self, shared_data):
        image = sm.read(shared_data / "extraction" / "slit.1210.072B.fits.gz").single
        assert image.name == "slit 72"
        assert image.unit == u.count / u.hour
        assert image.shape == (78, 4096)
        assert image.wavelength.shape == image.shape
        assert image.wavelength_unit == u.AA
        assert 0.001 < np.mean(image.mask) < 0.01
        assert np.all(np.diff(image.wavelength[40]) > 0)

    def test_extracts_a_slit_as_bright_as_the_survey_found_it(self, shared_data, tmp_path):
        folder = shared_data / "extraction"
        run("deimos.py", folder / "slit.1210.072B.fits.gz", folder=tmp_path)
        table = QTable.read(single(tmp_path, "*.fits"), hdu=1, mask_invalid=False)
        published = QTable.read(folder / "spec1d.1210.072.12020387.fits", hdu="Bxspf-B")
        wavelength, flux = (published[name][0] for name in ("LAMBDA", "SPEC"))
        good = table["flux"][~table["mask"]].value, table["wavelength"][~table["mask"]].value
        ours = np.interp(wavelength, good[1], good[0])
        # The survey sums over fewer rows than the light falls on.
        ratio = np.median(flux) / np.median(ours)
        assert 0.8 < ratio < 1.02
        smooth = [np.convolve(a, np.ones(41) / 41, "valid") for a in (ours, flux)]
        assert np.corrcoef(*smooth)[0, 1] > 0.95


def test_raw_long_slit_gives_two_stars_with_the_lines_of_the_sun(shared_data, tmp_path):
    pytest.importorskip("specreduce", reason="finds and names the lines of the arc")
    names = ("tres_3b", "bias", "arc_HgAr")
    files = [shared_data / "extraction" / f"osiris_{name}.fits.bz2" for name in names]
    printed = run("longslit.py", *files, folder=tmp_path)
    assert "source 2" in printed
    table = QTable.read(single(tmp_path, "*.fits"), hdu=1, mask_invalid=False)
    wavelength, flux = table["wavelength"].to_value(u.AA), table["flux"].value.astype(float)
    # Sodium, hydrogen and calcium: all by the same shift, as the star is not amid its wide slit.
    shifts = []
    for line in (5893.5, 6564.6, 8544.4, 8664.5):
        near = np.flatnonzero(abs(wavelength - line + 25) < 25)
        deepest = near[np.argmin(flux[near])]
        assert flux[deepest] < 0.95 * np.median(flux[near])
        shifts.append(wavelength[deepest] - line)
    np.testing.assert_allclose(shifts, -25, atol=6)  # in columns: within one
    assert imread(single(tmp_path, "*.png")).std() > 0
