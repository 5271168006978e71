"""Figure of the section on time series: ``python docs/figures/time_series.py``."""

from pathlib import Path

import matplotlib as mpl

import specmodels as sm

mpl.use("agg")
STATIC = Path(__file__).resolve().parents[1] / "_static"


def main():
    """Draw a simulated transit."""
    series, _ = sm.datasets.make_time_series(seed=3, n_integrations=80, snr=300)
    sm.OptimalExtraction()(series).plot().savefig(STATIC / "time_series.png", dpi=80)


if __name__ == "__main__":
    main()
