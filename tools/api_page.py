"""Write docs/api.md: every public name of the library, with the first line of its docstring. Run as `python tools/api_page.py`.

The classifier comes first, with all its methods; then the floors below it, module by module. tests/pages/test_api_page.py
holds the page against the code.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
CLASSIFIER = "memristive/classifier/estimator.py"
MODULES = ("memristor.py", "snn_circuit.py", "datasets.py", "plotting.py")
WINGS = ("learning", "spice", "records")
INHERITED = {"check": "Raise ParameterError if values that are allowed one by one do not go together."}
INTRODUCTION = """# Every public name, in one line each

Written by `python tools/api_page.py` from the docstrings; shapes, units and what is raised stand there in full
(`help(memristive.classifier.estimator.MemristiveClassifier.fit)`).
"""
ENCODING = """
**Features as voltages.** Each feature is scaled to 0..1 by its range in the training data; what lies outside that range later is
clipped, and `clipped(X)` says how large a share that was. With `encoding="complement"` (the default) each level v has a row for
1 - v beside it, and every network has a bias row at full level. So each sample drives its rows by the same total: the current of
the reference column, and with it the stages' feedback (chosen for the number of rows) and the energy of a read, hardly depend on
the sample. The price is twice the rows. With `encoding="plain"` a sample of low values drives little: reads take less energy, and
neurons fire late or not at all. The range goes from lowest to highest: of a feature with a long tail nearly all samples lie at
one end then. Put scikit-learn's `QuantileTransformer`, or a logarithm, in front of such features (six log-normal ones: 93
instead of 57 %).
"""


def sources() -> list[Path]:
    """The modules of the library, the classifier's first."""
    files = [ROOT / CLASSIFIER, *(ROOT / name for name in MODULES)]
    files += sorted(path for wing in WINGS for path in (ROOT / wing).glob("*.py"))
    return list(dict.fromkeys(path for path in files if path.name != "__init__.py"))


def public(nodes: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """The functions and classes among `nodes` whose names have no underscore in front."""
    return (node for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"))


def entries(path: Path) -> dict[str, str]:
    """First line of each public function, class and method of a module, by name; of an overloaded one, the line that it has."""
    found: dict[str, str] = {}
    for node in public(ast.parse(path.read_text(encoding="utf-8")).body):
        found[node.name] = first_line(node)
        if isinstance(node, ast.ClassDef):
            for method in public(node.body):
                name = f"{node.name}.{method.name}"
                found[name] = found.get(name) or first_line(method) or INHERITED.get(method.name, "")
    return found


def first_line(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    """The first sentence or line of a docstring, as far as its first paragraph's first line goes."""
    said = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<!\b[A-Z])\.(?=\s+[A-Z`\"0-9])", said)[0].rstrip(".") + "." if said else ""


def page() -> str:
    """The text of the page."""
    parts = [INTRODUCTION]
    for path in sources():
        found = entries(path)
        if found:
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            parts.append(f"\n## {name}\n\n{first_line(ast.parse(path.read_text(encoding='utf-8')))}\n\n")
            parts += [f"- `{entry}`{f': {said}' if said else ''}\n" for entry, said in found.items()]
            if path == ROOT / CLASSIFIER:
                parts.append(ENCODING)
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
