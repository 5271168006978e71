"""Figure of a flicker-noise subtraction. Matplotlib is imported when it is drawn."""

import numpy as np

__all__ = ["plot_flicker"]


def plot_flicker(result, figure=None):
    """Draw the draft rates before and after, their noise, the mask and the power spectra.

    Parameters
    ----------
    result : `~specmodels.evaluators.FlickerResult`
    figure : `~matplotlib.figure.Figure`, optional
        Default: a new one.

    Returns
    -------
    `~matplotlib.figure.Figure`
    """
    import matplotlib.pyplot as plt

    figure = figure or plt.figure(figsize=(11, 9), layout="constrained")
    figure.suptitle(_shown(result))
    scene = result.scenes[0]
    panels = figure.subplot_mosaic([["before", "after"], ["noise", "mask"], ["power", "power"]])
    before, after = result.draft_rates()
    frames = {"before": before, "after": after, "noise": before - after}
    shown = before[scene.use & np.isfinite(before)]
    shown = shown if shown.size else np.zeros(1)
    low, high = np.percentile(shown, [1, 99])
    for name, frame in frames.items():
        middle = 0 if name == "noise" else (low + high) / 2
        half = max((high - low) / 2, np.finfo(float).tiny)
        panels[name].imshow(frame, vmin=middle - half, vmax=middle + half, origin="lower",
                            aspect="auto", cmap="gray")  # fmt: skip
        panels[name].set_title(name)
    panels["mask"].imshow(scene.use, origin="lower", aspect="auto", cmap="gray")
    panels["mask"].set_title("pixels used (white)")
    for name, spectrum in result.spectra.items():
        positive = slice(1, None)
        panels["power"].loglog(spectrum.spectral_axis[positive].value,
                               spectrum.flux[positive].value, label=name)  # fmt: skip
    panels["power"].set(xlabel="frequency (Hz)", ylabel="power")
    panels["power"].legend()
    return figure


def _shown(result):
    """What the panels show: the frames are cleaned one by one."""
    ramp = result.ramp
    single = ramp.kind == "image" or (ramp.kind == "integrations" and ramp.n_integrations == 1)
    return "image" if single else "draft rate of the frames, which are cleaned one by one"
