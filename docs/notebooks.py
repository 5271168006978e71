"""Tutorials as notebooks: made of their pages, run when the pages are built, and offered on them.

A page stays the only source. Its doctests, its ``plot`` blocks and the functions of scripts that it
shows become cells of code, what is between them text. A cell that fails, fails the build.
"""

import os
import re
from doctest import DocTestParser, Example
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

__all__ = ["cells", "setup"]

FOLDER = "tutorials"
INTRODUCTION = "tutorials/index"
# Pages whose files have to be fetched: the variable that names their folder, and one of them.
FETCHED = {"tutorials/longslit": ("SPECMODELS_LONGSLIT", "osiris_tres_3b.fits.bz2")}
OPTION = re.compile(r"[ \t]*# doctest:.*")
TIMEOUT = 1200  # seconds for a cell
DIRECTIVE = re.compile(r"^\.\.(?: +([\w-]+)::)?(?![.\w])(.*)\n((?:[ \t]+\S.*\n|[ \t]*\n)*)", re.M)
HEADING = re.compile(r"^(\S.*)\n([=\-~])\2{2,}$", re.M)
LEVELS = {"=": "#", "-": "##", "~": "###"}
INLINE = (
    (re.compile(r":math:`([^`]*)`", re.S), r"$\1$"),
    (re.compile(r"(?<!`)`([^`<]*?)\s*<(http[^`>]*)>`__?", re.S), r"[\1](\2)"),
    (re.compile(r":\w+:`([^`<]*?)\s*<[^`>]*>`", re.S), r"\1"),
    (re.compile(r":\w+:`[./~]*([^`]*)`", re.S), r"*\1*"),
    (re.compile(r"(?<!`)`~[\w.]*?(\w+)`(?!`)"), r"`\1`"),
    (re.compile(r"``([^`]*)``", re.S), r"`\1`"),
    (re.compile(r"::$", re.M), ":"),
)


def cells(page):
    """Kind and source of each cell of the notebook of a page.

    Parameters
    ----------
    page : `~pathlib.Path`
        A page in reStructuredText.

    Returns
    -------
    cells : list of tuple of str
        ``("code", source)`` or ``("markdown", source)``.
    """
    text, found, end = page.read_text(encoding="utf-8"), [], 0
    for match in DIRECTIVE.finditer(text):
        found += _of_text(text[end : match.start()])
        found += _of_directive(*match.groups(), page.parent)
        end = match.end()
    found += _of_text(text[end:])
    return _joined(found)


def _of_text(text):
    """Cells of paragraphs and doctests."""
    out = []
    for part in DocTestParser().parse(text):
        if isinstance(part, Example):
            out.append(("code", OPTION.sub("", part.source.rstrip("\n"))))
            out += [("break", "")] if part.want else []  # which only the end of a cell shows
        elif part.strip():
            part = HEADING.sub(lambda match: f"{LEVELS[match[2]]} {match[1]}", part)
            for pattern, new in INLINE:
                part = pattern.sub(new, part)
            out.append(("markdown", part.strip("\n")))
    return out


def _of_directive(name, argument, body, folder):
    """Cells of a directive; comments and labels (without a name) have none."""
    options = dict(re.findall(r"^ +:([\w-]+):[ \t]*(.*)$", body, re.M))
    body = dedent(re.sub(r"^ +:[\w-]+:.*\n", "", body, flags=re.M)).strip("\n")
    if name == "plot":
        return [("code", body), ("break", "")]
    if name == "literalinclude":
        return [("break", ""), ("code", _included(folder / argument.strip(), options))]
    if name == "code-block":
        return [("markdown", f"```{argument.strip()}\n{body}\n```")]
    return [("markdown", f"$$\n{body}\n$$")] if name == "math" else []


def _included(path, options):
    """Part of a script, as Sphinx cuts it."""
    from sphinx.directives.code import LiteralIncludeReader

    known = {"encoding": "utf-8", **options}
    return dedent(LiteralIncludeReader(str(path), known, _Settings()).read()[0]).strip("\n")


class _Settings:
    """What the reader of Sphinx asks of a configuration."""

    source_encoding = "utf-8"


def _joined(found):
    """Neighbours of one kind as one cell."""
    out = []
    for kind, source in found:
        if out and out[-1][0] == kind and kind != "break":
            out[-1] = (kind, f"{out[-1][1]}\n{source}" if kind == "code" else
                       f"{out[-1][1]}\n\n{source}")  # fmt: skip
        else:
            out.append((kind, source))
    return [cell for cell in out if cell[0] != "break"]


def notebook(page):
    """Notebook of a page, not run."""
    from nbformat import v4

    made = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    new = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}
    made.cells = [new[kind](source) for kind, source in cells(page)]
    for number, cell in enumerate(made.cells):
        cell.id = f"{page.stem}-{number}"  # the same in every build
    return made


def run(made):
    """Run all cells, with figures, in an empty folder.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    from nbclient import NotebookClient

    inline = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(
            made, timeout=TIMEOUT, resources=place, extra_arguments=["--log-level=40"]
        )
        client.execute(env=inline)


def missing_files(docname):
    """What is missing to run the notebook of a page, in words; nothing where all is there."""
    if docname not in FETCHED:
        return ""
    variable, name = FETCHED[docname]
    folder = os.environ.get(variable, "")
    if folder and (Path(folder) / name).is_file():
        return ""
    return f"set {variable} to the folder with {name}, got {folder!r}"


def _offer(app, docname, source):
    """Make and run the notebook of a page, and put a link to it below the title of the page."""
    named = docname.startswith(f"{FOLDER}/") and docname != INTRODUCTION
    if app.builder.format != "html" or not named:
        return
    import nbformat
    from sphinx.util import logging

    page, missing = Path(app.env.doc2path(docname)), missing_files(docname)
    made = notebook(page)
    if missing:
        logging.getLogger(__name__).info("%s: its notebook is not run: %s", docname, missing)
    else:
        run(made)
    nbformat.write(made, page.with_suffix(".ipynb"))
    title, line, rest = source[0].split("\n", 2)
    state = "not run here, as its files have to be fetched" if missing else "run"
    link = f":download:`This page as a notebook, {state} <{page.stem}.ipynb>`"
    source[0] = f"{title}\n{line}\n\n{link}\n{rest}"


def setup(app):
    """Tell Sphinx."""
    app.connect("source-read", _offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
