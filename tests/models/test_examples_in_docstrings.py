"""Every public model shows how it is used; the doctests of its module run what it shows."""

import doctest
import inspect
import re

import pytest
from astropy.modeling import Model

import specmodels as sm

MODELS = [
    name
    for name in sm._NAMES["models"]
    if inspect.isclass(getattr(sm, name)) and issubclass(getattr(sm, name), Model)
]


@pytest.mark.parametrize("name", MODELS)
def test_docstring_has_an_example(name):
    text = inspect.cleandoc(getattr(sm, name).__doc__).split("Examples\n--------\n")
    assert len(text) == 2
    lines = doctest.DocTestParser().get_examples(text[1])
    assert any(re.search(rf"\b{name}\b", line.source) for line in lines)
