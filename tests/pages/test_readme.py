"""What the README shows works, and says what the results say."""

import re

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from spice import session
from tests.helpers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def shown(ngspice, monkeypatch, capsys):
    """Run the README's k-th example on the tests' session; return what it prints."""
    monkeypatch.setattr(session, "NgspiceSession", lambda: ngspice)

    def run(k, **names):
        exec(compile(BLOCKS[k], f"README example {k}", "exec"), names)
        return capsys.readouterr().out
    return run


def test_memristor_in_a_circuit_of_ones_own(shown):
    """Two half periods at 1 V, K = 2e-9 S, half the gate: X grows as the closed form says."""
    time, state = map(float, shown(0).split())
    charged = 2e-9 * 10e-3 / (1e-13 + 0.5 * 3.453e-12)
    assert time == pytest.approx(20e-3)
    assert state == pytest.approx(0.5 + charged, rel=0.01)


def test_patterns_of_ones_own(shown):
    assert shown(1).strip() == "[0, 1]"


def test_persistent_session(shown, ngspice):
    divider = Circuit("divider")
    divider.V("in", "top", divider.gnd, 1.0)
    divider.R("upper", "top", "out", 1e3)
    divider.R("lower", "out", divider.gnd, 1e3)
    values = np.array([line.split() for line in shown(2, my_circuit=divider, NgspiceSession=lambda: ngspice,
                                                     Solver=session.Solver).splitlines()], float)
    assert values[:, 1] == pytest.approx(values[:, 0] / 2)


def test_figures_and_pages_it_links_are_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_table_of_results_is_the_one_reproduce_wrote():
    table = [line for line in (ROOT / "figures" / "results.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert "\n".join(table) in README
