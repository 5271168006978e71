"""Draw the picture of the README: three blended sources in a simulated slit.

Run ``python docs/figures/readme.py``; the figure is part of the repository, so that pages which
show it need nothing but the file.
"""

from pathlib import Path

import matplotlib

import specmodels as sm

TARGET = Path(__file__).resolve().parents[1] / "_static" / "readme.png"


def main():
    """Simulate, extract and draw."""
    matplotlib.use("agg")
    slit, _ = sm.datasets.make_slit(
        n_sources=3, separation=5, shape=(40, 600), snr=40, curvature=6, seed=2
    )
    result = sm.OptimalExtraction()(slit)
    figure = result.plot()
    figure.set_size_inches(11, 7.5)
    figure.savefig(TARGET, dpi=110)


if __name__ == "__main__":
    main()
