"""SPICE models: the ones of the project against SciPy, libraries that attack, and one line for what
is missing.
"""

import json
import math
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from memristive.devices.characterise import (
    PULSE_EDGE,
    StateMap,
    characterise,
    read_cells,
    retention,
    write_cells,
)
from memristive.devices.characterise_gate import set_cells
from memristive.devices.measured_device import (
    MeasuredDevice,
    device_record,
    load_device,
    model_of,
)
from memristive.devices.spice_dialect import Statement, translated
from memristive.devices.spice_model import load_model
from memristive.io.records import to_json
from memristive.parameters import ParameterError, SimulationError

DEVICE = """.subckt device a b x0=0.5
Cx x 0 1n ic={x0}
Gx 0 x a b 10u
Bx 0 x i = -1 * (uramp(v(x) - 1) - uramp(-v(x)))
Gm a b poly(2) a b x 0 0 1u 0 0 1u
.ends
"""
MODEL = {
    "file": "device.lib",
    "subcircuit": "device",
    "row_pin": 1,
    "state_node": "x",
    "initial_parameter": "x0",
    "up": {"voltage": 1.0, "width": 1e-6},
    "down": {"voltage": -1.0, "width": 1e-6},
    "read_voltage": 0.1,
}


def made(folder, text=DEVICE, **changes):
    """Write a library and its model file, and load it."""
    (folder / "device.lib").write_text(text, encoding="utf-8")
    content = {key: value for key, value in (MODEL | changes).items() if value is not None}
    (folder / "device.json").write_text(json.dumps(content), encoding="utf-8")
    return load_model(str(folder / "device.json"))


def softplus(u):
    return math.log1p(math.exp(u))


# Rates in 1/s and currents in A of the publications, at x and V.
def vteam(x, v):
    return (
        1.6e6 * (v / 0.3 - 1) ** 3 if v > 0.3 else -0.933e6 * (-v / 0.4 - 1) if v < -0.4 else 0.0
    ), v * (1e-5 + 4.9e-4 * x)


def yakopcic(x, v):
    if v > 0:
        window = math.exp(-(x - 0.1)) * (1 - x) / 0.9 if x > 0.1 else 1.0
        rate = 0.1066 * (math.exp(v) - math.exp(0.5)) * window if v > 0.5 else 0.0
        return rate, x * 9e-5 * math.sinh(4.96 * v) + (1 - x) * 1.5e-5 * math.sinh(6.91 * v)
    window = math.exp(x + 0.242 - 1) * x / (1 - 0.242) if x < 1 - 0.242 else 1.0
    rate = -0.01184 * (math.exp(-v) - math.exp(0.5)) * window if v < -0.5 else 0.0
    return rate, x * 1.7e-4 * math.sinh(3.23 * v) + (1 - x) * 4.4e-7 * math.sinh(2.6 * v)


def wox(x, v):
    return 0.006 * math.sinh(12.5 * v) - x / 750, (1 - x) * 1e-6 * (
        1 - math.exp(-0.5 * v)
    ) + x * 8e-5 * math.sinh(1.7 * v)


def memdiode(x, v):
    rate = (1 - x) * math.exp(18.9 * (v - 0.898)) if v >= 0 else -x * math.exp(-2.13 * (v + 1.57))
    scale, a = 38.9e-6 + (4.74e-3 - 38.9e-6) * x, 2.95 + (2.54 - 2.95) * x
    current = 0.0
    for _ in range(50):  # behind 1 ohm
        current = 2 * scale * math.sinh(a * (v - current) / 2)
    return rate, current


def molecular(x, v):
    rate = (
        1.17e7
        / 16520
        * (softplus((abs(v) - 0.466) / 0.104) * 0.104 / ((0.9 if v > 0 else 0.75) - 0.466)) ** 0.93
    )
    return math.copysign(rate, v) if v else 0.0, v * (0.2e-6 + (2.05e-3 - 0.2e-6) * x)


def stanford(gap, v):
    """Gap in nm; a rate that would cross a bound is 0."""
    current = 1e-3 * math.exp(-gap / 0.25) * math.sinh(v / 0.25)
    field, heat = (16 - 0.8 * gap**3) * v / 12, 8.617e-5 * (298 + 2100 * v * current)
    rate = (
        -10e9 * math.exp(-0.6 / heat) * math.sinh(0.25 * field / heat) if abs(field) > 1.4 else 0.0
    )
    return 0.0 if (gap <= 0.2 and rate < 0) or (gap >= 1.7 and rate > 0) else rate, current


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        (vteam, 0, 1),
        (yakopcic, 0, 1),
        (wox, 0, 1),
        (memdiode, 0, 1),
        (molecular, 0, 1),
        (stanford, 0.2, 1.7),
    ],
)
def test_models_of_the_project_follow_their_equations(ngspice, law, low, high):
    """Within 0.5 % of a step and of the current, and within their bounds."""
    model, states = load_model(law.__name__), low + (high - low) * np.array([0.2, 0.5, 0.8])
    assert read_cells(model, states) == pytest.approx(
        [law(x, 0.1)[1] / 0.1 for x in states], rel=5e-3
    )
    for up, volts, width in (
        (True, model.voltage_up, model.width_up),
        (False, model.voltage_down, model.width_down),
    ):
        edge = PULSE_EDGE * width
        points = [0.0, edge, width, width + edge]
        drive = partial(np.interp, xp=points, fp=[0.0, volts, volts, 0.0])
        moved = np.array(
            [
                solve_ivp(
                    lambda t, y, drive=drive: [law(y[0], float(drive(t)))[0]],
                    (0, points[-1]),
                    [x],
                    rtol=1e-8,
                    atol=1e-12,
                    max_step=width / 100,
                ).y[0, -1]
                - x
                for x in states
            ]
        )
        assert write_cells(model, states, up)[:, -1] - states == pytest.approx(
            moved, abs=5e-3 * np.abs(moved).max()
        )
        ends = write_cells(model, [low + 0.03, high - 0.03], up, 20)
        assert ends.min() > low - 1e-4 and ends.max() < high + 1e-4


def sky130_reram(t, y, volts, width):
    """Rates of the filament in nm and of its temperature in K, by SkyWater's equations."""
    (f, kelvin), v = y, volts if t < width else 0.0
    current = 61.4e-6 * math.exp(-(5 - f) / 0.2751) * math.sinh(v / 0.43)
    kt, lowered = 8.617333e-5 * kelvin, 0.05 * (16.5 - 1.25 * (5 - f) ** 3) * v
    rate = 150e9 * (math.exp((lowered - 1.501) / kt) - math.exp((-lowered - 1.5) / kt))
    return rate, v * current / 3.1825e-16 - (kelvin - 300) / 0.23e-9


def test_a_foundrys_filament_follows_its_equations(ngspice):
    """Within 1 % of a step, with a temperature that lags behind the current, and in its bounds."""
    model, states = load_model("sky130_reram"), np.array([4.6, 4.7, 4.8])
    expected = 6.14e-5 * np.exp((states - 5) / 0.2751) * math.sinh(0.1 / 0.43) / 0.1
    assert read_cells(model, states) == pytest.approx(expected, rel=1e-3)
    for up, volts, width in (
        (True, model.voltage_up, model.width_up),
        (False, model.voltage_down, model.width_down),
    ):
        given = {"args": (volts, width), "method": "LSODA", "rtol": 1e-8, "max_step": width / 100}
        ends = [solve_ivp(sky130_reram, (0, 1.1 * width), [f, 300.0], **given) for f in states]
        moved = np.array([end.y[0, -1] for end in ends]) - states
        found = write_cells(model, states, up)[:, -1] - states
        assert found == pytest.approx(moved, abs=1e-2 * np.abs(moved).max())
    assert 4.88 < write_cells(model, [4.88], True, 100)[0, -1] < 4.9 + 1e-4


def test_a_gate_sets_a_filament_whatever_came_before(ngspice):
    """The gap after SET solves the filament's equation with the current of the transistor's square
    law. RESET leads there from above, too, and a gate at 0 V blocks both pulses.
    """
    model, gates = load_model("stanford_1t1r"), np.array([0.9, 1.2, 1.5])

    def access(gate, volts):
        drop = min(gate - 0.4, volts)
        return 20 * 200e-6 * ((gate - 0.4) * drop - drop**2 / 2) * (1 + 0.02 * volts)

    def rate(t, gap, gate):
        row = 2.5 * min(t / 1e-10, 1.0)
        over = brentq(lambda v: stanford(gap[0], v)[1] - access(gate, row - v), 0.0, row, xtol=1e-9)
        return [stanford(gap[0], over)[0]]

    expected = [
        solve_ivp(rate, (0, 1e-7), [1.7], args=(gate,), rtol=1e-6, max_step=2e-9).y[0, -1]
        for gate in gates
    ]
    starts = [1.7] * 3 + [0.75] * 3 + [0.8, 1.4]
    reset = np.array([False] * 3 + [True] * 3 + [False] * 2)
    found = set_cells(model, starts, np.concatenate([gates, gates, [np.nan] * 2]), reset)
    assert found[:3] == pytest.approx(expected, abs=3e-3)
    assert found[3:6] == pytest.approx(found[:3], abs=1e-4)
    assert found[6:] == pytest.approx(starts[6:], abs=1e-9)


@pytest.mark.parametrize(
    ("attack", "line"),
    [
        (".control\nshell touch {}\n.endc", 7),
        ("  .CONTROL\necho 1 > {}\n.endc", 7),
        ("*#shell touch {}", 0),
        ("* note\n+ .control\n*#shell touch {}\n.endc", 10),
        ("R1 1 0 1 ; \u2028.control\n*#shell touch {}", 7),
        (".subckt more 1 2\nR1 1 2 1 \\\\\n.ends", 8),
        ("\x0c.control\nshell touch {}\n.endc", 7),
        (
            '.subckt p 1 2\nA1 [1] 2 p\n.model p d_process(process_file="/bin/touch" '
            'process_params=["{}"])\n.ends',
            8,
        ),
        ('.model p d_cosim(simulation="{}")', 7),
        (".model p nmos(file={})", 7),
        (".model {{x}} d_process", 7),
        (".options sourcepath=1", 0),
        (".csparam x=1", 7),
        (".include device.lib", 7),
        (".end", 0),
        ("V1 row_0 0 1", 7),
        (".ends", 7),
    ],
)
def test_library_runs_no_command(ngspice, tmp_path, attack, line):
    """The error names the `line` of the attack. 0: the library is accepted, because ngspice gets no
    comments and no options.
    """
    marker = tmp_path / "marker"
    text = DEVICE + attack.format(marker) + "\n"
    if line:
        with pytest.raises(ParameterError, match=rf"device\.lib, line {line}:"):
            made(tmp_path, text)
    else:
        write_cells(made(tmp_path, text), [0.5], True)
    assert not marker.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"subcircuit": "device\n.control"},
        {"state_node": "x)\n.endc"},
        {"initial_parameter": "x0 a"},
        {"parameters": {"x0": "1\n.control"}},
    ],
)
def test_model_file_adds_no_text_to_the_netlist(tmp_path, changes):
    with pytest.raises(ParameterError):
        made(tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"file": "none.lib"}, "none.lib"),
        ({"subcircuit": "other"}, "other .* device"),
        ({"state_node": "y"}, "y .* a, b, x"),
        ({"row_pin": 3}, "row_pin"),
    ],
)
def test_wrong_model_file_is_named(tmp_path, changes, name):
    with pytest.raises(ParameterError, match=name) as caught:
        made(tmp_path, **changes)
    assert "device.json" in str(caught.value) and "\n" not in str(caught.value)


def test_includes_sections_and_continuations_are_read(ngspice, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "values.lib").write_text(
        ".lib slow\n.param k=1u\n.endl\n.lib fast\n.param k = {2 *\n+ base} $ note\n"
        ".include base.inc\n.endl\n",
        encoding="utf-8",
    )
    (tmp_path / "parts" / "base.inc").write_bytes(b"* \xb5m\r\n.param base=5u\r\n")
    text = '.lib "parts/values.lib" fast\n' + DEVICE.replace("10u", "{k}").replace(
        "\nGx", "\n* comment\nGx"
    )
    assert write_cells(made(tmp_path, text), [0.5], True)[0, 1] == pytest.approx(0.51, abs=1e-5)


def test_the_only_section_of_a_library_is_read_and_of_several_one_is_to_be_chosen(
    ngspice, tmp_path
):
    typical = ".lib TT\n.param k=10u\n.endl\n" + DEVICE.replace("10u", "{k}")
    assert write_cells(made(tmp_path, typical), [0.5], True)[0, 1] == pytest.approx(0.51, abs=1e-5)
    with pytest.raises(ParameterError, match=r"line 1: .*tt, ff: choose .*'\.lib device\.lib tt'"):
        made(tmp_path, typical.replace(".endl\n", ".endl\n.lib FF\n.param k=20u\n.endl\n"))
    (tmp_path / "fast.lib").write_text(".include device.lib\n.lib device.lib ff\n")
    fast = made(tmp_path, (tmp_path / "device.lib").read_text(), file="fast.lib")
    assert write_cells(fast, [0.5], True)[0, 1] == pytest.approx(0.52, abs=1e-5)


def test_the_temperature_of_a_library_is_that_of_the_measurement(ngspice, tmp_path):
    """Steps are in proportion to temper here: 125 and 50 over 27 degrees Celsius, and the next
    circuit is cold again.
    """
    law = DEVICE.replace("Gx 0 x a b 10u", "By 0 x i = 10u / 27 * temper * v(a,b)")
    for line, celsius in ((".temp 125\n", 125), (".options reltol=1m temp=50\n", 50), ("", 27)):
        moved = write_cells(made(tmp_path, line + law), [0.5], True)[0]
        assert np.diff(moved) == pytest.approx(0.01 * celsius / 27, rel=1e-3)
    with pytest.raises(ParameterError, match="one number"):
        made(tmp_path, ".temp 0 25\n" + law)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("pwr(-v(a,b), 1.5)", 1.0),
        ("-pwrs(-v(a,b), 2)", 1.0),
        ("1.6022e-19 * v(a,b) / echarge", 1.0),
        ("v(a,b) * 1.380649e-23 / boltz", 1.0),
        ("table(v(a,b), -1, -0.5, 0.5, 1)", 1.0),  # constant beyond its ends
        ("(1 + v(gnd!))", 1.0),
        ("limit(v(a,b), 10, 0)", 1.0),  # the middle one
    ],
)
def test_formulas_of_other_simulators_have_their_values(ngspice, tmp_path, formula, value):
    law = DEVICE.replace("Gx 0 x a b 10u", f"By 0 x i = 10u * {formula} * (v(a,b) > 0.5)")
    moved = write_cells(made(tmp_path, ".global gnd!\n" + law), [0.5], True)[0]
    assert np.diff(moved) == pytest.approx(0.01 * value, rel=2e-3)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("uplim(v(a)-10,1,0.2) + dnlim(v(a)+10,1,0.2)", 0.6),  # far from their limits: x itself
        ("uplim(v(a)+10,1,0.2)", 1),
        ("dnlim(v(a)-10,1,0.2)", 1),
        ("uplim(v(a)+0.6,1,0.2)", 1 - 0.2 * math.exp(-0.5)),
        ("dnlim(v(a)+0.8,1,0.2)", 1 + 0.2 * math.exp(-0.5)),
        ("buf(v(a)) + 2*buf(v(a)+0.3)", 2),
        ("inv(v(a)) + 2*inv(v(a)+0.3)", 1),
        ("int(v(a)-2) + 10*int(v(a)+1.5)", 9),
        ("round(v(a)-2) + 10*round(v(a)+1.3)", 18),
        ("fabs(v(a)-1) + square(v(a)-1)", 0.7 + 0.49),
        ("hypot(v(a)-1, v(a)+2.1)", math.hypot(0.7, 2.4)),
        *(
            (f"atan2({y}*v(a), {x}*v(a))", math.atan2(y, x))
            for y, x in [(1, 2), (1, -2), (-1, 2), (-1, -2), (1, 0), (-1, 0), (0, -1), (0, 0)]
        ),
    ],
)
def test_functions_of_ltspice_have_their_values(ngspice, tmp_path, formula, value):
    [law] = translated([Statement(Path("my.lib"), 1, f"B1 out 0 v={formula}")], {})
    text = f"* one point\nV1 a 0 0.3\n{law.text}\n.op\n.end\n"
    (tmp_path / "one.cir").write_text(text)
    done = subprocess.run(
        ["ngspice", "-b", tmp_path / "one.cir"], capture_output=True, text=True, timeout=60
    )
    [found] = re.findall(r"^\s+out\s+(\S+)\s*$", done.stdout, re.MULTILINE)
    assert float(found) == pytest.approx(value, abs=1e-5)


def test_a_capacitor_that_holds_the_state_starts_where_its_file_says(ngspice, tmp_path):
    text = DEVICE.replace(" x0=0.5", "").replace("{x0}", "0.3")
    model = made(tmp_path, text, initial_parameter=None)
    starts = [write_cells(model, of, True)[0, 0] for of in (None, [0.8])]
    assert starts == pytest.approx([0.3, 0.8], abs=1e-4)


@pytest.mark.parametrize(
    ("text", "error", "word"),
    [
        (
            DEVICE.replace("Gx 0 x a b 10u", "By 0 x i = 10u * uramp(v(a,b))"),
            ParameterError,
            "down",
        ),
        (DEVICE.replace("Gx 0 x a b", "Gx x 0 a b"), ParameterError, "row_pin"),
        (DEVICE.replace("Cx x 0 1n ic={x0}", "Cx 0 x 1n"), ParameterError, "x0"),
        (
            DEVICE.replace("Gx 0 x a b 10u", "By 0 x i = 10u * abs(v(a,b)) * (1 - v(x))"),
            ParameterError,
            "both raise",
        ),
        (DEVICE.replace("Gx", "Rx x 0 10\nGx"), ParameterError, "forgets"),
        # 1,000 pulses down from 0.5, and nothing stops the state
        (DEVICE.replace("Bx", "*"), ParameterError, r"x = -9\.5"),
        (
            DEVICE.replace("Gx 0 x a b 10u", "Bw 0 x i = 40u * v(a,b) * v(x) * (1 - v(x))"),
            ParameterError,
            "boundary lock",
        ),
        (
            DEVICE.replace(
                "-1 * (uramp(v(x) - 1) - uramp(-v(x)))", "v(a,b) > 0.5 ? 1 / (0.500001 - v(x)) : 0"
            ).replace("1n", "1f"),
            SimulationError,
            "too small",
        ),
    ],
)
def test_device_that_cannot_learn_ends_in_one_line(ngspice, tmp_path, text, error, word):
    with pytest.raises(error, match=word) as caught:
        characterise(made(tmp_path, text))
    assert "\n" not in str(caught.value)


MODELS = Path(__file__).parent / "models"


def opened(folder, name, **changes):
    """Load the model of a library in models/, from a model file in `folder`."""
    shutil.copy(MODELS / f"{name}.lib", folder / "device.lib")
    return made(folder, (folder / "device.lib").read_text(encoding="utf-8"), **changes)


@pytest.mark.parametrize(
    ("name", "given", "rate", "conductance"),
    [
        (
            "ltspice",
            {"subcircuit": "vteam"},
            lambda x, v: 1e6 * (v / 0.4 - 1 if v > 0 else v / 0.4 + 1),
            lambda x, v: 1 / (1e5 - 98e3 * x),
        ),
        (
            "pspice",
            {"subcircuit": "memristor", "initial_parameter": None},
            lambda x, v: 1e5 * v * (1 - (x - (v < 0)) ** 4),
            lambda x, v: 1 / (1e5 - 99e3 * x),
        ),
        (
            "hspice",
            {"subcircuit": "cell", "state_node": "w", "initial_parameter": "w0"}
            | {"parameters": {"rate": 1e5, "gon": 2e-4}},
            lambda x, v: 1e5 * v * (1 - x if v > 0 else x),
            lambda x, v: 1e-6 + 2e-4 * x,
        ),
        (
            "yakopcic",
            {"subcircuit": "mem_dev", "state_node": "XSV", "initial_parameter": "xo"}
            | {"parameters": {"Ap": 3e3}},
            lambda x, v: (
                3e3 * (math.exp(v) - math.exp(0.16)) * (1 - x)
                if v > 0
                else -4e3 * (math.exp(-v) - math.exp(0.15)) * x
            ),
            lambda x, v: 170e-6 * x * math.sinh(v) / v,
        ),
    ],
)
def test_models_in_the_words_of_other_simulators(ngspice, tmp_path, name, given, rate, conductance):
    """States start where they are put, and follow the equations within 1 % of a pulse."""
    pulses = {"up": {"voltage": 0.6, "width": 2e-7}, "down": {"voltage": -0.6, "width": 2e-7}}
    model, states = opened(tmp_path, name, **given, **pulses), np.array([0.3, 0.6])
    assert read_cells(model, states) == pytest.approx(
        [conductance(x, 0.1) for x in states], rel=1e-3
    )
    for up in (True, False):
        before, after = write_cells(model, states, up).T
        assert before == pytest.approx(states, abs=1e-4)
        middle = (before + after) / 2
        moved = [rate(x, 0.6 if up else -0.6) * 2e-7 for x in middle]
        assert after - before == pytest.approx(moved, rel=0.01)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("random", {"subcircuit": "spread"}, ["line 2", "agauss", "100u"]),
        ("integral", {"subcircuit": "drift"}, ["line 2", "idt", "Cx x 0 1"]),
        ("team", {"subcircuit": "team", "up": {"voltage": -1, "width": 1e-6}}, ["row_pin"]),
        ("pins", {"subcircuit": "heated"}, ["temperature", ".subckt two"]),
        ("veriloga", {}, ["Verilog-A", ".va"]),
        ("spectre", {}, ["Spectre", ".subckt"]),
    ],
)
def test_models_that_cannot_be_taken_are_refused_with_a_remedy(tmp_path, name, given, words):
    given = given | ({"down": {"voltage": 1, "width": 1e-6}} if name == "team" else {})
    with pytest.raises(ParameterError) as caught:
        opened(tmp_path, name, **given)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_the_remedies_work(tmp_path, ngspice):
    """A turned TEAM, and a subcircuit of two pins around one of three."""
    turned = {"subcircuit": "team", "state_node": "w", "initial_parameter": "w0", "row_pin": 2}
    before, after = read_cells(
        model := opened(tmp_path, "team", **turned), write_cells(model, [0.5], True)[0]
    )
    assert after > 1.01 * before
    text = (MODELS / "pins.lib").read_text(encoding="utf-8") + (
        ".subckt two row column x0=0\nX1 row column temperature heated x0={x0}\n"
        "R1 temperature 0 1G\n.ends\n"
    )
    model = made(tmp_path, text, subcircuit="two", state_node="x1.x")
    assert write_cells(model, [0.5], True)[0, 1] == pytest.approx(0.51, abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        *("i=limit(a,b)", ".param k={unif(1,2)}", "i=if(a,b)", "v=sdt(1)", "v=trnoise(1m,1n,0,0)"),
        *("i=table(v(a),1)", "c1 x 0 q={v(x)}", ".global vdd"),
    ],
)
def test_statements_that_ngspice_takes_otherwise_are_refused(text):
    with pytest.raises(ParameterError, match=r"my\.lib, line 1: "):
        list(translated([Statement(Path("my.lib"), 1, text)], {}))


@pytest.mark.parametrize(
    ("rest", "tau"), [(0.0, 1e-4), (0.5, 0.03), (0.6, 3.0), (0.0, 18.0), (0.0, 100.0)]
)
def test_retention_is_measured_without_voltage(ngspice, tmp_path, rest, tau):
    """The time constant of an exponential decay, and where it ends; one of 100 s loses nothing in
    1 s.
    """
    leak = f"\nBl x 0 i = 1n * (v(x) - {rest}) / {tau}\nGx"
    model = made(tmp_path, DEVICE.replace("\nGx", leak))
    linear = StateMap(np.linspace(0, 1, 11), np.linspace(1e-6, 2e-6, 11))
    expected = {"retention": tau * (tau < 100), "rest": rest}
    assert retention(model, linear) == pytest.approx(expected, rel=0.02, abs=1e-3)


def test_a_device_that_forgets_is_named_where_it_is_used(tmp_path):
    device = MeasuredDevice("mine", retention=1e-4)
    file = tmp_path / "mine.json"
    file.write_text(to_json(device_record(device)), encoding="utf-8")
    with pytest.warns(UserWarning, match="mine forgets"):
        assert load_device(str(file)) == device
    assert "retention" not in device_record(MeasuredDevice())


def measured(model, path):
    """Return the device of a device file that was written when the model at `path` was as it is
    now.
    """
    return MeasuredDevice("mine", model=str(path), model_sha256=model.sha256)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (DEVICE.replace("10u", "11u"), {}),
        (DEVICE, {"up": {"voltage": 0.7, "width": 1e-6}}),
        (DEVICE, {"row_pin": 2}),
    ],
)
def test_a_model_that_changed_since_it_was_measured_is_refused(tmp_path, text, changes):
    device = measured(made(tmp_path), tmp_path / "device.json")
    assert model_of(device).read_voltage == 0.1
    made(tmp_path, "* another comment\n" + DEVICE)
    assert model_of(device).read_voltage == 0.1
    made(tmp_path, text, **changes)
    with pytest.raises(ParameterError, match="memristive measure") as caught:
        model_of(device)
    assert "device.json" in str(caught.value) and "\n" not in str(caught.value)


def test_state_may_fall_while_the_conductance_rises(ngspice, tmp_path):
    """Take the gap of a filament as the state: G is 1 uS + 1 uS (1 - x) here, and 100 pulses of +1
    V lower x by 1.
    """
    found = characterise(
        made(
            tmp_path, DEVICE.replace("Gx 0 x", "Gx x 0").replace("0 0 1u 0 0 1u", "0 0 2u 0 0 -1u")
        )
    )
    assert (found.device.lowest_conductance, found.device.highest_conductance) == pytest.approx(
        (1e-6, 2e-6), rel=1e-3
    )
    assert found.device.up == pytest.approx([0.01] * 33, rel=1e-3) and found.device.misfit < 0.005
    assert found.device.half_up == pytest.approx(0.5, rel=1e-3)
    # 1,000 reads of 0.1 V: as many as 100 pulses
    assert found.drift == pytest.approx(np.linspace(1, 0, 33), abs=1e-3)


def test_map_of_states_follows_a_resistance_that_falls_with_the_state(ngspice, tmp_path):
    """Take the ion-drift device, R = 100 (1 - x) + 0.6 x kilohm: half of its conductance range is
    the last 0.6 % of x.
    """
    law = DEVICE.replace(
        "Gm a b poly(2) a b x 0 0 1u 0 0 1u", "Bm a b i = v(a,b) / (100k - 99.4k * v(x))"
    )
    model = made(tmp_path, law, read_voltage=1e-3)  # V: reads hardly move x
    x, found = np.linspace(0.01, 0.99, 99), characterise(model).map
    low, high = found.conductances[[0, -1]]
    assert (1 / (100e3 - 99.4e3 * found.state(x)) - low) / (high - low) == pytest.approx(
        x, abs=1e-3
    )
