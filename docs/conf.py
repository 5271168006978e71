"""Configuration of Sphinx."""

import os
import sys
from importlib.metadata import version as installed_version

from sphinx_astropy.conf.v3 import *  # noqa: F403
from sphinx_astropy.conf.v3 import extensions, intersphinx_mapping

sys.path.insert(0, os.path.dirname(__file__))  # for what is our own

project = "specmodels"
author = "specmodels developers"
project_copyright = f"2026, {author}"
release = installed_version("specmodels")
version = ".".join(release.split(".")[:2])

needs_sphinx = "8.2"
root_doc = "index"
exclude_patterns = ["_build", "_templates", "**.ipynb_checkpoints"]
html_title = f"specmodels {version}"
htmlhelp_basename = "specmodelsdoc"

extensions += [
    "matplotlib.sphinxext.plot_directive",
    "mathml",
    "notebooks",  # tutorials to download
    "sphinx_copybutton",
    "sphinx_design",
]

# Links to other packages need the network, so they are made only where asked for; a build without
# them gives the same pages and needs nothing but what is installed.
if os.environ.get("SPECMODELS_DOCS_INTERSPHINX") or os.environ.get("READTHEDOCS"):
    intersphinx_mapping.update(
        {
            "gwcs": ("https://gwcs.readthedocs.io/en/stable/", None),
            "photutils": ("https://photutils.readthedocs.io/en/stable/", None),
            "specutils": ("https://specutils.readthedocs.io/en/stable/", None),
            "stdatamodels": ("https://stdatamodels.readthedocs.io/en/latest/", None),
        }
    )
else:
    intersphinx_mapping = {}

# Members inherited from astropy.modeling are documented there.
automodsumm_inherited_members = False

# Figures are drawn when the pages are built, so that they show what this version does.
plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = {"figure.figsize": (8, 4.5), "savefig.bbox": "tight"}
plot_apply_rcparams = True

# Formulae that need no script of a network.
html_math_renderer = "mathml"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
