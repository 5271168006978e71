"""Draw the figure of the page about master backgrounds: simulated slitlets.

Run ``python docs/figures/master_background.py``; the figure is part of the repository.
"""

from pathlib import Path

import matplotlib

import specmodels as sm

TARGET = Path(__file__).resolve().parents[1] / "_static" / "master_background.png"


def main():
    """Simulate, subtract and draw."""
    matplotlib.use("agg")
    exposure, truth = sm.datasets.make_slitlets(
        seed=3, n_background=6, contaminated=1, snr=5, shape=(21, 400)
    )
    result = sm.MasterBackgroundSubtraction(throughput=truth.throughputs)(exposure)
    result.plot().savefig(TARGET, dpi=90)


if __name__ == "__main__":
    main()
