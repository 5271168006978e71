"""Noise put into real frames that have none left, and found there."""

import importlib.util
from pathlib import Path

import specmodels as sm

FIGURE = Path(sm.__file__).resolve().parents[1] / "docs" / "figures" / "flicker.py"


def test_noise_beside_an_order_and_under_a_step_of_the_background_is_found(shared_data):
    """Faint light that a cheap model of the noise leaves near masked pixels is mostly noise."""
    spec = importlib.util.spec_from_file_location("figure_of_flicker", FIGURE)
    figure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figure)
    result, noise, left = figure.clean_soss(shared_data / "flicker")
    use = result.background_mask
    assert left[use].std() < 0.55 * noise[use].std()
