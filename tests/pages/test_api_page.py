"""docs/api.md lists every public name, and says of each what its docstring says."""

import inspect

from memristive.classifier.estimator import MemristiveClassifier
from tools.api_page import PAGE, page


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/api.md is out of date: python tools/api_page.py"


def test_every_name_has_a_line():
    names = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("- `")]
    assert len(names) > 300
    assert [line for line in names if not line.split("`: ")[-1].strip() or "`: " not in line] == []


def test_every_method_of_the_classifier_is_listed_with_a_line():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    own = [name for name, member in vars(MemristiveClassifier).items()
           if not name.startswith("_") and not name.startswith("set_") and name != "get_metadata_routing"
           and (inspect.isroutine(member) or isinstance(member, (property, classmethod)))]
    assert {"fit", "partial_fit", "predict", "decision_function", "spike_times", "export_netlist", "save", "load"} <= {*own}
    for name in own:
        assert any(line.startswith(f"- `MemristiveClassifier.{name}`: ") for line in lines), name
