"""A frame of slits with tilted lines under lines of readout, small or large."""

import numpy as np

import specmodels as sm


def frame_of_slits(shape=(60, 90), n_slits=4, *, one_sky=False, of_columns=False, along=True,
                   curve=2.0, n_harmonics=1, seed=1, masked=0.03, smooth=None,
                   ridge=None):  # fmt: skip
    """A model of sources, sky and flicker noise, and an image of noise with all coordinates."""
    rng = np.random.default_rng(seed)
    (ny, nx), pitch = shape, shape[0] / n_slits
    x, y = np.arange(nx), np.arange(ny)[:, None]
    place = y - curve * (2 * (x / (nx - 1)) - 1) ** 2
    slit = np.floor(place / pitch)
    slit = np.where((slit >= 0) & (slit < n_slits), slit, np.nan)
    image = sm.SpectralImage(
        rng.normal(size=shape) + 5, variance=rng.uniform(0.5, 2, shape),
        mask=rng.random(shape) < masked, wavelength=1 + (x + 0.1 * (place % pitch)) / nx,
        coordinates={"slit": slit}, readout=sm.Readout(fast_axis=-1 if along else -2),
    )  # fmt: skip
    sources = sm.sum_of([_source(k, pitch, nx, curve, of_columns) for k in range(n_slits)])
    if not of_columns:
        spectra = sm.MasterBackgroundSpectrum(np.linspace(0.99, 2.2, int(1.2 * nx)), name="spectra")
        spectra.coefficient_prior = None if ridge is None else sm.RidgePrior(ridge)
        sources = sm.repeated_over(spectra, "slit") * sources
    sky = sm.MasterBackgroundSpectrum(np.linspace(0.99, 2.2, int(1.8 * nx)), name="sky")
    sky = sky if one_sky else sm.repeated_over(sky, "slit")
    if smooth is not None:
        sky.coefficient_prior = sm.SmoothnessPrior(smooth)
    elif ridge is not None:
        sky.coefficient_prior = sm.RidgePrior(ridge)
    flicker = sm.FourierNoise(n_harmonics=n_harmonics, period=shape[-1 if along else 0])
    flicker.coefficient_prior = sm.FlickerPrior(1.0, offset=1.0)
    return sources + sky + flicker, image


def _source(number, pitch, nx, curve, of_columns):
    """A source in the middle of its slit; outside of that it has no light."""
    middle = (number + 0.5) * pitch - 0.5
    trace = sm.PolynomialTrace(2, limits=(0, nx - 1), c0=middle + curve / 3, c2=curve * 2 / 3)
    source = sm.Source(sm.GaussianProfile(stddev=1.2), trace, name=f"source {number}")
    source.bounding_box = ((number * pitch, (number + 1) * pitch + curve), (0, nx))
    source.flux.fixed = not of_columns
    return source
