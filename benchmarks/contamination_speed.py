"""Speed and memory of grism scenes, against the inner functions of jwst's ``wfss_contam``.

The same sources and wavelength steps, degree three, square pixels, one order, one thread. The
transform of both is that of an analytic WCS of astropy models, so that no reference file is needed.
"""

import resource
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
from astropy.modeling import Model
from numpy.polynomial import legendre

import specmodels as sm
from specmodels.slitless import Cutout

SHAPE, LIMITS, ORDER = (2048, 2048), (1.7, 2.28), 1
WAVELENGTH = np.linspace(1.6, 2.4, 1000)
CONVERSION = 0.01 * (1 + (WAVELENGTH - 2.0) ** 2)
LENGTH = 124.0
COUNTS = (50, 300, 1000)
PEER_AT = (50, 300)


class DetectorToGrism(Model):
    """A trace like that of NIRISS in F200W."""

    n_inputs, n_outputs = 4, 2

    def evaluate(self, x, y, wavelength, order):
        t = (wavelength - LIMITS[0]) / (LIMITS[1] - LIMITS[0])
        return x - 140 + LENGTH * t * (1 + 1e-5 * x), y - 2 + 0.1 * t + 1e-5 * x * t


class Wcs:
    """The sky is the direct image."""

    def __call__(self, x, y, with_bounding_box=True):
        return x, y

    def get_transform(self, start, end):
        return (lambda *inputs: inputs) if start == "world" else DetectorToGrism()


def transform(x, y, wavelength, order):
    """For ours: positions counted from centres of pixels."""
    out = DetectorToGrism().evaluate(x + 0.5, y + 0.5, wavelength, order)
    return out[0] - 0.5, out[1] - 0.5


def field(n_sources, seed=0):
    """A direct image of round sources of some ninety pixels each, and its segmentation map."""
    rng = np.random.default_rng(seed)
    image, segments = np.zeros(SHAPE), np.zeros(SHAPE, int)
    reach = np.arange(-8, 9)
    stamp = reach[:, None] ** 2 + reach**2
    for label in range(1, n_sources + 1):
        x, y = rng.integers(150, 1890, 2)
        cut = np.s_[y - 8 : y + 9, x - 8 : x + 9]
        image[cut] += rng.uniform(0.5, 5) * np.exp(-0.5 * stamp / 9)
        segments[cut][stamp < 29] = label
    return image, segments


def run(*, quick=False):
    """Rows of the table."""
    rows = []
    for n_sources in COUNTS[: 1 if quick else None]:
        image, segments = field(n_sources)
        ours, columns = best(partial(dispersed, image, segments))
        row = {"sources": n_sources, "dispersal (CPU s)": ours, "MB": memory(columns)}
        exposure = observed(columns)
        fits, _ = best(partial(cleaned, columns, exposure))
        row["fits, outputs (CPU s)"] = fits
        if n_sources in PEER_AT[: 1 if quick else None]:
            row |= compared(image, segments, exposure, ours, fits)
        rows.append(row)
    return rows


def best(function, repeat=3):
    """Least CPU seconds of some calls, the first left out, and the result."""
    result, times = function(), []
    for _ in range(repeat):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times), result


def grism():
    """The grism of ours."""
    response = sm.Sensitivity(WAVELENGTH, CONVERSION, inverse=True)
    return sm.Grism(transform, {ORDER: LIMITS}, {ORDER: response}, SHAPE)


def dispersed(image, segments):
    """The scene, from images to columns."""
    direct = sm.DirectImage(image, segments, error=0.01)
    return sm.GrismScene.from_direct_image(
        direct, grism=grism(), shapes=sm.SegmentShapes(), steps_per_pixel=2
    )


def memory(scene):
    """Megabytes of the columns, and of the cells that are worked on."""
    columns = scene.columns
    kept = columns.data.nbytes + columns.indices.nbytes + columns.indptr.nbytes
    return (kept + 1_000_000 * 20) / 1e6


def observed(scene):
    """A grism image with the cutouts of all sources."""
    rng = np.random.default_rng(1)
    values = scene.coefficients + 0.1 * rng.normal(size=len(scene.coefficients))
    data = scene.with_coefficients(values).simulated_image + 0.5 * rng.normal(size=SHAPE)
    cutouts = []
    for entry in scene.entries:
        start = scene.columns.indptr[entry.first : entry.first + 2]
        rows, columns = np.divmod(scene.columns.indices[start[0] : start[1]], SHAPE[1])
        window = (slice(int(rows.min()), int(rows.max()) + 1),
                  slice(int(columns.min()), int(columns.max()) + 1))  # fmt: skip
        cutouts.append(Cutout(*entry.key, window))
    return sm.SlitlessExposure(data, np.full(SHAPE, 0.25), cutouts=tuple(cutouts))


def cleaned(scene, exposure):
    """Fit in turn, and make all corrected cutouts."""
    fitter = sm.SceneFitter(joint=False, n_iterations=1)
    result = sm.ContaminationSubtraction(scene, fitter)(exposure)
    return [slit.corrected for slit in result.slits]


def compared(image, segments, exposure, ours, fits):
    """Columns of the table for the peer; empty where it is not installed."""
    try:
        from jwst.wfss_contam.disperse import disperse
        from jwst.wfss_contam.wavefit import fit_slit_by_basis_images
    except ImportError:
        return {}
    y, x = np.nonzero(segments)
    labels = segments[y, x]
    order = np.argsort(labels, kind="stable")
    models = [
        lambda w, k=k: legendre.legval(2 * (w - LIMITS[0]) / (LIMITS[1] - LIMITS[0]) - 1,
                                       np.eye(4)[k])
        for k in (1, 2, 3)
    ]  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, found = time.process_time(), {}
    for part in np.array_split(order, max(len(order) // 50000, 1)):
        found |= disperse(x[part], y[part], image[y[part], x[part]], labels[part], ORDER, *LIMITS,
                          WAVELENGTH, CONVERSION, Wcs(), Wcs(), SHAPE, 2, models)  # fmt: skip
    seconds = time.process_time() - start
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    error = np.full(SHAPE, 0.5)
    start = time.process_time()
    for label, one in found.items():
        x0, x1, y0, y1 = one["bounds"]
        cut = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        basis = {f"fluxmodel_{k + 1}": m for k, m in enumerate(one["model_counts"])}
        slit = SimpleNamespace(
            data=exposure.data[cut], err=error[cut], dq=np.zeros(one["image"].shape, int),
            source_id=label,
            meta=SimpleNamespace(wcsinfo=SimpleNamespace(spectral_order=ORDER)),
        )  # fmt: skip
        fit_slit_by_basis_images(slit, SimpleNamespace(data=one["image"], **basis),
                                 l2_alpha=0.1)  # fmt: skip
    least = time.process_time() - start
    return {"jwst dispersal (CPU s)": seconds, "jwst MB": added, "ratio": seconds / ours,
            "jwst least squares alone (CPU s)": least}  # fmt: skip


if __name__ == "__main__":
    from .tables import as_text

    print(as_text(run()))
