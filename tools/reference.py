"""Write the pages of the API for the site (`make docs`), below docs/reference, which git ignores.

Each module, and each public class and function, has a page. A page names the pages, scripts and
modules that use it: found in imports, in the snippets of documents, and in names in backticks.
"""

import ast
import dataclasses
import inspect
import io
import re
import shutil
import textwrap
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

import memristive
from memristive.parameters import allowed_range

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs/reference"
SINGLE = ("memristor", "snn_circuit", "datasets", "plotting")
DOCUMENTS = {"readme": "README.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}
NAME = ":template: name.rst"  # of a page of its own
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
MENTION = re.compile(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`")
DISTINCT = re.compile(r"[A-Z]|\w+_")  # names that are not also words


@dataclass(frozen=True)
class Source:
    """File that uses names: `kind` is page, script or module; `page` is its page on the site."""

    path: Path
    kind: str
    page: str
    title: str


@dataclass
class Reference:
    """What the site shows of the library.

    Attributes
    ----------
    modules : dict
        Public names of each module, by its dotted name.
    homes : dict
        Full name under which the site shows each object, by module and name.
    unique : dict
        Full name of each object, by its short name if only one has it.
    users : dict
        Sources that use each object or script, by full name.
    """

    modules: dict[str, list[str]] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    unique: dict[str, str] = field(default_factory=dict)
    users: dict[str, list[Source]] = field(default_factory=lambda: defaultdict(list))


def dotted(path: Path) -> str:
    """Return the name by which Python imports a file of the repository."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def public_names(path: Path) -> list[str]:
    """Return the names of a file's classes and functions that begin with no underscore, in its
    order.
    """
    kinds = (ast.ClassDef, ast.FunctionDef)
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"]


def library() -> Iterator[Path]:
    """Yield the files of the library that have public names."""
    for path in [ROOT / f"{name}.py" for name in SINGLE] + sorted(ROOT.glob("memristive/**/*.py")):
        if public_names(path):
            yield path


def scripts() -> Iterator[Path]:
    """Yield the scripts: those of the root, studies and the circuit of transistors."""
    root = [path for path in ROOT.glob("*.py") if path.stem not in SINGLE]
    for path in sorted(root) + sorted([*ROOT.glob("studies/*.py"), *ROOT.glob("transistors/*.py")]):
        if path.name != "__init__.py":
            yield path


def pages() -> Iterator[Path]:
    """Yield the documents and notebooks that can use a name."""
    yield from sorted(ROOT.glob("docs/*.md"))
    yield from sorted(ROOT.glob("docs/*.ipynb"))
    yield from (ROOT / DOCUMENTS[page] for page in ("readme", "contributing"))


def code_and_text(path: Path) -> tuple[str, str]:
    """Return the Python code of a file, and the text of a page, which is "" for a Python file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text, ""
    if path.suffix == ".md":
        return "\n".join(CODE.findall(text)), text
    cells = nbformat.reads(text, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    markdown = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^%.*$", "", code, flags=re.MULTILINE), f"{markdown}\n{code}"


def used_names(code: str) -> set[str]:
    """Return the full names of all imported objects that the code uses."""
    tree, imported = ast.parse(code), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                imported[alias.asname or first] = alias.name if alias.asname else first
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            if first in imported:
                used.add(imported[first] + dot + rest)
    return used


def mentioned_names(text: str, by_name: Mapping[str, str]) -> set[str]:
    """Return the full names of the objects that a text mentions in backticks, such as `read` or
    `io.read()`. `by_name`: full name of each object by its short name.
    """
    found = {name.rpartition(".")[2] for name in MENTION.findall(CODE.sub("", text))}
    found = {name for name in found if DISTINCT.match(name) or name in memristive.__all__}
    return {by_name[name] for name in found if name in by_name}


def command(path: Path) -> re.Pattern[str]:
    """Return the regular expression that finds a script's command in a text: its dotted name, or
    the name of its file if it is a script of the root.
    """
    name = dotted(path)
    return re.compile(rf"\b{re.escape(name if '.' in name else path.name)}\b")


def title(path: Path) -> str:
    """Return the first heading of a page of docs/, or the name of a document of the root."""
    if path.parent == ROOT:
        return path.stem
    match = re.search(r"^# (.*)$", code_and_text(path)[1], re.MULTILINE)
    return match[1] if match else path.stem


def sources() -> Iterator[Source]:
    """Yield all files that can use a name: pages first, then scripts, then modules."""
    generated = {name: f"/reference/{page}" for page, name in DOCUMENTS.items()}
    for path in pages():
        yield Source(path, "page", generated.get(path.name, f"/{path.stem}"), title(path))
    for path in scripts():
        yield Source(path, "script", f"/reference/scripts/{dotted(path)}", dotted(path))
    for path in library():
        yield Source(path, "module", f"/reference/modules/{dotted(path)}", dotted(path))


def collect() -> Reference:
    """Return what the site shows of the repository: public names, the pages that show them, and the
    files that use them.
    """
    reference, front = Reference(), set(memristive.__all__)
    by_name: dict[str, set[str]] = defaultdict(set)
    for path in library():
        module = dotted(path)
        reference.modules[module] = public_names(path)
        for name in reference.modules[module]:
            at_front = name in front and getattr(memristive, name).__module__ == module
            home = f"memristive.{name}" if at_front else f"{module}.{name}"
            reference.homes[f"{module}.{name}"] = reference.homes[home] = home
            by_name[name].add(home)
    reference.unique = {name: min(homes) for name, homes in by_name.items() if len(homes) == 1}
    reference.unique |= {name: f"memristive.{name}" for name in front}
    commands = {dotted(path): command(path) for path in scripts()}
    for source in sources():
        code, text = code_and_text(source.path)
        names = {reference.homes.get(name, "") for name in used_names(code)}
        names |= mentioned_names(text, reference.unique)
        names |= {name for name, pattern in commands.items() if pattern.search(text)}
        for name in sorted(names - {""}):
            reference.users[name].append(source)
    return reference


def used_by(users: Sequence[Source]) -> str:
    """Return a section in reStructuredText that links to the users of an object, by kind; "" if it
    has none.
    """
    lines = []
    for kind in ("page", "script", "module"):
        links = [f":doc:`{user.title} <{user.page}>`" for user in users if user.kind == kind]
        if links:
            lines += [f":{kind.title()}s: {', '.join(links)}"]
    return "\n".join(["", ".. rubric:: Used by", "", *lines, ""]) if lines else ""


def heading(text: str) -> str:
    """Return `text` as a title in reStructuredText."""
    return f"{text}\n{'=' * len(text)}\n\n"


def listing(directive: str, entries: Iterable[str], *options: str) -> str:
    """Return a `directive` in reStructuredText, with its `options` and, one a line, its
    `entries`.
    """
    lines = [f".. {directive}::", *(f"   {option}" for option in options), ""]
    return "\n".join([*lines, *(f"   {entry}" for entry in entries), "", ""])


def summary(path: Path) -> str:
    """Return the first sentence of a file's docstring, without names of documents."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = re.sub(r"\s*\(docs/[^)]*\)", "", text.partition("\n\n")[0])
    return re.split(r"(?<=\w[.]) ", " ".join(first.split()))[0]


def contents(place: str, files: Iterable[Path]) -> str:
    """Return for the files of each folder a hidden toctree, for the sidebar, and a table that
    describes each file in one sentence. `place`: folder of the files' pages.
    """
    groups, trees, tables = defaultdict(list), "", ""
    for path in files:
        groups[dotted(path).rpartition(".")[0] or "Files of the root"].append(path)
    for group, paths in groups.items():
        targets = {path: f"<{place}{dotted(path)}>" for path in paths}
        pages = [f"{path.stem} {target}" for path, target in targets.items()]
        trees += listing("toctree", pages, f":caption: {group}", ":hidden:")
        rows: list[str] = []
        for path, target in targets.items():
            rows += [f"* - :doc:`{dotted(path)} {target}`", f"  - {summary(path)}"]
        tables += f".. rubric:: {group}\n\n"
        tables += listing("list-table", rows, ":class: autosummary", ":widths: 35 65")
    return trees + tables


def module_page(module: str, reference: Reference) -> str:
    """Return the page of a module: its docstring, and a table of its names."""
    names = [reference.homes[f"{module}.{name}"] for name in reference.modules[module]]
    own = [name.removeprefix(f"{module}.") for name in names if name.startswith(f"{module}.")]
    front = [f"~{name}" for name in names if not name.startswith(f"{module}.")]
    tables = [listing("autosummary", front)] if front else []
    tables += [listing("autosummary", own, ":toctree: ../names", NAME)] if own else []
    return f"{heading(module)}.. automodule:: {module}\n   :no-members:\n\n" + "".join(tables)


def script_page(path: Path, reference: Reference) -> str:
    """Return the page of a script: its command, its docstring, the pages that use it, its source.
    Files that only other scripts import have no command.
    """
    name, code = dotted(path), path.read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(code)) or ""
    text = re.sub(r"^(\w+)\n-+$", r".. rubric:: \1\n", text, flags=re.MULTILINE)
    run = f"python -m {name}" if "." in name else f"python {path.name}"
    command = f".. code-block:: sh\n\n   {run}\n\n" if "__main__" in code else ""
    source = f".. literalinclude:: /../{path.relative_to(ROOT)}\n   :language: python\n"
    return (
        heading(name)
        + f"{command}{with_links(text)}\n"
        + used_by(reference.users[name])
        + f"\n.. rubric:: Source\n\n{source}"
    )


def write() -> Reference:
    """Write all pages of the site's reference to docs/reference. Return the names that the pages
    show, and the users of each name.
    """
    reference = collect()
    shutil.rmtree(REFERENCE, ignore_errors=True)
    texts = {f"modules/{name}.rst": module_page(name, reference) for name in reference.modules}
    for path in scripts():
        texts[f"scripts/{dotted(path)}.rst"] = script_page(path, reference)
    for page, name in DOCUMENTS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        texts[f"{page}.md"] = re.sub(r"\]\((?!https?:)", "](../../", text)
    front = [f"~memristive.{name}" for name in memristive.__all__]
    texts["index.rst"] = (
        heading("Reference")
        + "The names that ``from memristive import ...`` finds:\n\n"
        + listing("autosummary", front, ":toctree: names", NAME)
        + contents("modules/", library())
    )
    texts["scripts/index.rst"] = heading("Scripts") + contents("", scripts())
    for file, text in texts.items():
        path = REFERENCE / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return reference


def with_links(text: str) -> str:
    """Return text in which names of the documents, as in (docs/layers.md), are links."""
    return re.sub(r"\bdocs/(\w+)\.md\b", r":doc:`/\1`", text)


class Short:
    """Value whose repr fits on a line: parameters within parameters are left out."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        text = repr(self.value)
        fits = len(text) <= 40 and " at 0x" not in text
        return text if fits else f"{type(self.value).__name__}(...)"


def comments(source: str) -> dict[str, str]:
    """Return the comments of the fields in the `source` text of a class, by the field's name. A
    comment stands at the end of the field's line, or above it.
    """
    lines, alone = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0]] = token.string.lstrip("# ")
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            row = node.lineno
            while row - 1 in alone:
                row -= 1
            above = " ".join(lines[k] for k in range(row, node.lineno))
            found[node.target.id] = above or lines.get(node.end_lineno or 0, "")
    return found


def field_lines(kind: type) -> list[str]:
    """Return the lines of a section Parameters for a dataclass or NamedTuple: type, default, unit,
    range and meaning of each field, as its `quantity` or its comment gives them.
    """
    texts: dict[str, str] = {}
    types: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base) or hasattr(base, "_fields"):
            texts |= comments(textwrap.dedent(inspect.getsource(base)))
            types |= inspect.get_annotations(base)
    if dataclasses.is_dataclass(kind):
        fields = {entry.name: entry for entry in dataclasses.fields(kind) if entry.init}
        defaults = {name: entry.default for name, entry in fields.items()}
        metadata = {name: dict(entry.metadata) for name, entry in fields.items()}
    else:
        defaults = dict.fromkeys(kind._fields, dataclasses.MISSING) | kind._field_defaults  # type: ignore[attr-defined]
        metadata = {}
    lines = ["", "Parameters", "----------"]
    for name, default in defaults.items():
        about, text = metadata.get(name, {}), texts.get(name, "")
        if "unit" in about:
            text = f"{about['meaning']}; {allowed_range(about)}"
        given = "" if default is dataclasses.MISSING else f", default {Short(default)!r}"
        lines += [f"{name} : {inspect.formatannotation(types[name])}{given}", f"    {text}"]
    return [*lines, ""] if len(lines) > 3 else []


def short_signature(
    app: Any, what: str, name: str, kind: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Return a dataclass's signature without types, because the section Parameters has these, and
    with short defaults; None for other objects (a handler of Sphinx's autodoc-process-signature).
    """
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    empty = inspect.Parameter.empty
    parameters = [
        parameter.replace(
            annotation=empty,
            default=empty if parameter.default is empty else Short(parameter.default),
        )
        for parameter in inspect.signature(kind).parameters.values()
    ]
    return str(inspect.Signature(parameters)), returned


def add_fields(app: Any, what: str, name: str, kind: Any, options: Any, lines: list[str]) -> None:
    """Turn names of documents in the `lines` of a docstring into links. If `lines` is the docstring
    of a class without a section Parameters, add this section with the fields of the class (a
    handler of Sphinx's autodoc-process-docstring).
    """
    lines[:] = [with_links(line) for line in lines]
    has_fields = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
    if what in ("class", "exception") and has_fields and "Parameters" not in lines:
        lines += field_lines(kind)


def linked(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Return the link of a name in backticks in a docstring, or None if it is not known (a handler
    of Sphinx's missing-reference).
    """
    target, place = node.get("reftarget"), node.get("refdoc")
    name = env.config.autosummary_context["unique"].get(target) if DISTINCT.match(target) else None
    python = env.domains.python_domain
    return name and python.resolve_xref(env, place, app.builder, "obj", name, node, content)


def with_root_links(app: Any, page: str, text: list[str]) -> None:
    """Let links to the documents of the root lead to their pages (a handler of Sphinx's
    source-read). `text` changes in place.
    """
    for target, name in DOCUMENTS.items():
        text[0] = re.sub(rf"\]\((?:\.\./)+{name}\)", f"](/reference/{target}.md)", text[0])
