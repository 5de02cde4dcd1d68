"""Settings of the site, which `make docs` builds."""

import dataclasses
import os
import re
import sys
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # compiled functions keep their docstrings
sys.path.insert(0, str(Path(__file__).parents[1]))

from docutils import nodes
from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

import memristive
from memristive.parameters import allowed_range

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
myst_disable_syntax = ["myst_line_comment"]  # a line may begin with %
myst_heading_anchors = 3  # links to headings, as in the repository

autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "set_partial_fit_request, set_score_request"}
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88
numpydoc_show_class_members = False
smartquotes = False  # options begin with two hyphens
default_role = "py:obj"  # a name in a docstring is a link

html_theme = "pydata_sphinx_theme"
html_title = "memristive"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "reproducing")}
html_search_scorer = str(Path(__file__).with_name("search_scorer.js"))
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 5,
    "navigation_with_keys": False,
    "collapse_navigation": True,
    "footer_start": ["copyright"],
    "footer_end": [],
}


UNIT = r"%|±|[fpnuµmkM]?([AFJSVWsm]|ohm|Hz)\b"
BEFORE_UNIT = re.compile(rf"(?<=\d)\s(?=({UNIT}))|(?<=%)\s(?=±)|(?<=±)\s")


def set_breaks(app, tree):
    """Keep each number with its unit or its deviation on one line, and mark code with words too
    long for a phone, which the style sheet wraps.
    """
    for code in tree.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) > 28:
            code["classes"].append("long")
    for text in list(tree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.FixedTextElement):
            text.parent.replace(text, nodes.Text(BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)))


def named_arrays(app, what, name, kind, options, signature, returned):
    """Let ArrayLike stay a name in signatures: Python keeps only the long union that it stands
    for.
    """
    union = stringify_annotation(ArrayLike, "smart")
    return signature and (signature.replace(union, "ArrayLike"), returned)


def skipped(app, what, name, member, skip, options):
    """Leave out the fields of a NamedTuple, which its section Parameters describes."""
    return skip or type(member).__name__ == "_tuplegetter"


def add_fields(app, what, name, kind, options, lines):
    """Describe the parameters that a dataclass declares with `quantity`: range, unit, meaning."""
    if what == "class" and dataclasses.is_dataclass(kind) and "Parameters" not in lines:
        found = [entry for entry in dataclasses.fields(kind) if "unit" in entry.metadata]
        lines += ["", "Parameters", "----------"] * bool(found)
        for entry in found:
            of = entry.metadata
            kind_of = getattr(entry.type, "__name__", entry.type)
            lines += [f"{entry.name} : {kind_of}", f"    {of['meaning']}; {allowed_range(of)}"]


def setup(app):
    app.connect("doctree-read", set_breaks, priority=400)  # before titles are collected
    app.connect("autodoc-process-signature", named_arrays)
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-docstring", add_fields, priority=400)
