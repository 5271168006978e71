"""The table of instruments in the documentation says what the classes say."""

from pathlib import Path

import pytest

import specmodels as sm

PAGE = Path(__file__).resolve().parents[2] / "docs" / "instruments.rst"
AXES = {-1: "rows", -2: "columns"}


def rows():
    text = PAGE.read_text(encoding="utf-8")
    body = text.split(".. instruments")[1].split(".. end of the instruments")[0]
    lines = [line for line in body.splitlines() if line and not line.startswith("=")][1:]
    return [tuple(cell.strip() for cell in line.split("  ") if cell.strip()) for line in lines]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_table_of_instruments_is_true(row):
    key, name, dispersion, lines, outputs, stripes = row
    instrument = sm.get_instrument(tuple(key.split()))
    assert type(instrument).__name__ == name
    assert (AXES[instrument.dispersion_axis] if instrument.dispersed else "none") == dispersion
    readout = instrument.readout
    assert (AXES[readout.fast_axis], str(readout.n_outputs)) == (lines, outputs)
    assert readout.stripes == {"lines": "fast"}.get(stripes, stripes)


def test_every_class_is_in_the_table():
    listed = {row[1] for row in rows()}
    known = {name for name in sm.instruments.__all__ if name[0].isupper()}
    assert known - listed == {"Instrument", "Readout"}
