"""Code models of XSPICE, as TABLE and POLY sources are too: PySpice's own simulator in the process takes none of them away."""

from tests.spice.test_lines import alone

TOGETHER = """
from PySpice.Spice.Netlist import Circuit
circuit = Circuit("limiter")
circuit.V("in", "in_", circuit.gnd, 2)
circuit.NonLinearVoltageSource(1, "out", circuit.gnd, expression="V(in_)", table=((0, 0), (1, 3), (3, 4)))
circuit.R(1, "out", circuit.gnd, 1e3)
circuit.raw_spice = "E2 p 0 poly(1) in_ 0 0 3\\nR2 p 0 1k\\nA1 in_ g gain\\n.model gain gain(gain=4)\\nR3 g 0 1k\\n"
"""
READ = "point = loaded.op(); print(point['out'], point['p'], point['g'])\n"


def test_simulator_that_exists_takes_no_code_model_away(tmp_path):
    """Made before the session's first run, and never run; ngspice crashed."""
    assert alone(tmp_path, f"{TOGETHER}simulator = circuit.simulator()\nloaded = session.load(circuit, Solver(), [])\n{READ}"
                           ) == ["3.5", "6.0", "8.0"]


def test_session_and_simulator_run_code_models_in_turn(tmp_path):
    """Also a session whose ngspice has been started anew."""
    lines = f"""{TOGETHER}
loaded, simulator = session.load(circuit, Solver(), []), circuit.simulator()
for k in range(3):
    {READ}    print(*(float(simulator.operating_point()[node][0]) for node in ("out", "p", "g")))
    session._engine._lost = True
"""
    assert alone(tmp_path, lines) == ["3.5", "6.0", "8.0"] * 6


def test_environment_is_as_it_was(tmp_path):
    found = alone(tmp_path, "import os; print('SPICE_SCRIPTS' in os.environ, 'SPICE_USERINIT_DIR' in os.environ)")
    assert found == ["False", "False"]


def test_where_there_is_no_copy_pyspices_simulator_is_told_of_at_once(tmp_path):
    """As in a temporary folder where nothing may be executed; it waited for half a minute, and spoke of memory."""
    lines = """
import shutil
from spice import library
def refused(*places):
    raise OSError("no room")
shutil.copy = refused
from PySpice.Spice.Netlist import Circuit
circuit = Circuit("divider")
circuit.V(1, "a", circuit.gnd, 2)
circuit.R(1, "a", "b", 1)
circuit.R(2, "b", circuit.gnd, 1)
from spice import engine
engine._engines.clear()
session = NgspiceSession()
loaded = session.load(circuit, Solver(), [])
first = loaded.op()["b"]
other = float(circuit.simulator().operating_point()["b"][0])
try:
    loaded.op()
except Exception as error:
    said = str(error)
    print(first, other, type(error).__name__, "PySpice's own simulator has taken over" in said, library.NO_COPY in said)
"""
    assert alone(tmp_path, lines) == ["1.0", "1.0", "SimulationError", "True", "True"]
