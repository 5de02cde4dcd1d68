"""Settings of the site, which `make docs` builds."""

import os
import sys
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # compiled functions keep their docstrings
sys.path.insert(0, str(Path(__file__).parents[1]))

from numpydoc.xref import DEFAULT_LINKS

import memristive
from tools import reference

shown = reference.write()
project = "memristive"
author = "The authors of this repository"
version = release = memristive.__version__
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_templates"]
templates_path = ["_templates"]

nb_execution_mode = "off"  # the tour shows what `python -m tools.tour` has stored
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # links to headings, as in the repository

autosummary_context = {
    "used_by": {name: reference.used_by(users) for name, users in shown.users.items()},
    "unique": shown.unique,
}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "set_partial_fit_request, set_score_request"}
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
classes = {name: home for name, home in shown.unique.items() if name[0].isupper()}
numpydoc_xref_aliases = dict(zip(DEFAULT_LINKS, DEFAULT_LINKS, strict=True)) | classes
smartquotes = False  # options begin with two hyphens
default_role = "py:obj"  # a name in a docstring is a link

html_theme = "pydata_sphinx_theme"
html_title = "memristive"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "gallery", "reproducing", "reference/[cr]*")}
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "collapse_navigation": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app):
    app.connect("missing-reference", reference.linked)
    app.connect("source-read", reference.with_root_links)
    app.connect("autodoc-process-signature", reference.short_signature)
    app.connect("autodoc-process-docstring", reference.add_fields, priority=400)
