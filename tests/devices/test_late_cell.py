"""A synapse that writes late, from end to end in ngspice: docs/writes_late.cir follows the law."""

import re

import numpy as np
import pytest

from memristive.devices import characterise
from memristive.devices.spice_model import load_model
from memristive.writing.late import due_pulses
from memristor import ISOLATED, MemristorParameters, leaked, state_rate
from tests.helpers import ROOT, printed

CIRCUIT, CELLS = ROOT / "docs/writes_late.cir", 2


def corners(text, name):
    """Return the corners of a source of the netlist: times in s, voltages in V."""
    words = re.search(rf"^V{name} .*PWL\((.*)\)", text, re.MULTILINE)[1].split()
    return np.array([float(word.rstrip("sV")) for word in words]).reshape(-1, 2).T


def test_the_column_of_the_page_follows_the_law_and_each_cell_selects_itself(ngspice, tmp_path):
    """X before each commit, and states after it as of a device alone with the same pulses."""
    text = CIRCUIT.read_text(encoding="utf-8")
    waves, model = printed(CIRCUIT), load_model("vteam")
    memristor = MemristorParameters(threshold_voltage=3.0, junction_current=ISOLATED)
    times, levels = corners(text, "phi")
    rises = np.flatnonzero(np.diff(levels) > 0)
    share, (start, full, fall) = memristor.switch_threshold / levels.max(), times[rises[0] :][:3]
    window = fall - start + (1 - 2 * share) * (full - start)  # s, in which the switch is closed
    commits = corners(text, "one")[0][1::4]
    ends = np.append(times[rises[1:]], waves["time"][-1])
    rows = [np.interp(times[rises] + window / 2, *corners(text, f"row_{i}")) for i in range(CELLS)]
    theta, lost = 0.2, leaked(window, 1 / memristor.write_time_constant)
    count = 0
    for i, row in enumerate(rows):
        held, states = 0.0, np.full(2, 0.3)
        for volts, commit, end in zip(row, commits, ends, strict=True):
            dose = float(state_rate(memristor, volts)) * window - lost * held
            x = np.interp(commit, waves["time"], waves[f"xemulator{i}.gate"])
            assert x == pytest.approx(held + dose, abs=0.3e-3)
            pulse, held = due_pulses(held, dose, -theta, theta, 1.0)
            for up in (True, False):
                chosen = np.array([pulse, -pulse]) == (1 if up else -1)
                if chosen.any():
                    states[chosen] = characterise.write_cells(model, states[chosen], up)[:, -1]
            found = [np.interp(end, waves["time"], waves[f"x{s}{i}.x"]) for s in ("plus", "minus")]
            assert found == pytest.approx(states, abs=1e-4)
            count += abs(pulse)
    assert count == 9
