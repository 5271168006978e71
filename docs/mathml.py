r"""Formulae as MathML, which browsers draw by themselves: no script is fetched from a network."""

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

__all__ = ["setup"]


def _inline(writer, node):
    writer.body.append(_converted(node, inline=True))
    raise SkipNode


def _display(writer, node):
    writer.body.append(f'<div class="math notranslate">{_converted(node, inline=False)}</div>')
    raise SkipNode


def _converted(node, inline):
    try:
        return tex2mathml(node.astext(), as_block=not inline)
    except MathError as error:
        raise ValueError(f"formula {node.astext()!r}: {error}") from error


def setup(app):
    """Tell Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
