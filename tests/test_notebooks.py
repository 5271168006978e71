"""Notebooks of the tutorials, which the build of the documentation makes, runs and offers."""

import importlib.util

import pytest

from tests.example_scripts import EXAMPLES

pytest.importorskip("sphinx", reason="sphinx is not installed (extra docs)")

DOCS = EXAMPLES.parent / "docs"
SPEC = importlib.util.spec_from_file_location("notebooks", DOCS / "notebooks.py")
notebooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(notebooks)
cells = notebooks.cells
TUTORIALS = DOCS / "tutorials"
PAGES = sorted(page.stem for page in TUTORIALS.glob("*.rst") if page.stem != "index")
PAGE = """
A page
======

Text with ``code``, a `link <https://example.org>`_, `~specmodels.Source`, :doc:`../other` and
:math:`x^2`.

.. _a-label:

>>> numbers = []
>>> for number in range(2):
...     numbers.append(number)
>>> numbers
[0, 1]

.. a comment that nobody reads

..
    >>> numbers = "hidden"

>>> len(numbers)
2

.. plot::
    :context: close-figs

    if numbers:
        numbers = 7

.. literalinclude:: script.py
    :pyobject: function

.. code-block:: sh

    ls
"""
SCRIPT = "import os\n\n\ndef function():\n    return 3\n\n\ndef other():\n    pass\n"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    page = tmp_path / "page.rst"
    page.write_text(PAGE, encoding="utf-8")
    return page


def code_of(page):
    return [source for kind, source in cells(page) if kind == "code"]


def test_code_of_a_page_is_in_cells_that_end_where_something_is_shown(page):
    numbers = "numbers = []\nfor number in range(2):\n    numbers.append(number)\nnumbers"
    plot = "if numbers:\n    numbers = 7"
    assert code_of(page) == [numbers, "len(numbers)", plot, "def function():\n    return 3"]


def test_text_of_a_page_is_markdown(page):
    text = [source for kind, source in cells(page) if kind == "markdown"]
    assert text[0] == (
        "# A page\n\nText with `code`, a [link](https://example.org), `Source`, *other* and\n$x^2$."
    )
    assert text[-1] == "```sh\nls\n```"


@pytest.mark.parametrize("name", PAGES)
def test_tutorials_say_what_they_are_for_and_become_python_and_markdown(name):
    made = cells(TUTORIALS / f"{name}.rst")
    text = "\n".join(source for kind, source in made if kind == "markdown")
    for word in ("# ", "**Goals**", "**Keywords**", "## Summary"):
        assert word in text
    for markup in (":doc:", ":ref:", ":class:", "\n.. ", ">>> ", "==="):
        assert markup not in text
    for source in code_of(TUTORIALS / f"{name}.rst"):
        compile(source, name, "exec")


def test_notebook_has_what_its_cells_show(page):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (extra docs)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra docs)")
    made = notebooks.notebook(page)
    notebooks.run(made)
    shown = [cell.outputs[0]["data"]["text/plain"] for cell in made.cells if cell.get("outputs")]
    assert shown == ["[0, 1]", "2"]
    page.write_text(">>> 1 / 0\n", encoding="utf-8")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        notebooks.run(notebooks.notebook(page))


def test_notebook_whose_files_are_missing_is_not_run_and_says_which(monkeypatch, tmp_path):
    page = "tutorials/longslit"
    monkeypatch.delenv("SPECMODELS_LONGSLIT", raising=False)
    assert "set SPECMODELS_LONGSLIT to the folder with osiris" in notebooks.missing_files(page)
    monkeypatch.setenv("SPECMODELS_LONGSLIT", str(tmp_path))
    assert str(tmp_path) in notebooks.missing_files(page)
    (tmp_path / "osiris_tres_3b.fits.bz2").touch()
    assert not notebooks.missing_files(page)
    assert not notebooks.missing_files("tutorials/extraction")


def test_long_slit_notebook_runs_on_its_files(shared_data, monkeypatch):
    pytest.importorskip("nbclient", reason="nbclient is not installed (extra docs)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (extra docs)")
    pytest.importorskip("specreduce", reason="specreduce is not installed")
    monkeypatch.setenv("SPECMODELS_LONGSLIT", str(shared_data / "extraction"))
    made = notebooks.notebook(TUTORIALS / "longslit.rst")
    notebooks.run(made)
    shown = [out.get("text", "") for cell in made.cells for out in cell.get("outputs", ())]
    assert any("source 2" in text for text in shown)
