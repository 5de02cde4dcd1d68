"""From where on studies of one memristor speak of a doubt: each threshold is looked at from right below and right above."""

import numpy as np
import pytest

from memristor import MemristorParameters
from studies import iv, stdp_window

HERTZ = 1e3
RESULTS = ("peak_state_V", "closed_form_peak_state_V", "closed_form_peak_current_A", "peak_current_A", "state_deviation",
           "current_deviation", "residue")


@pytest.fixture
def said(capsys):
    """said(loops, residue, siemens): what is said of a loop with that current at 0 V, as a share of its peak, of that K in S, and
    of (frequency in Hz, width, current at 0 V) of the loops over frequency.
    """
    def call(loops=((HERTZ, 1.0, 0.0),), residue=0.0, siemens=2e-4):
        found = [{"frequency_Hz": hertz, "lobe_area_V": 1.0, "width": width, "residue": open_} for hertz, width, open_ in loops]
        results = dict.fromkeys(RESULTS, 1.0) | {"residue": residue, "fingerprints": found}
        iv._print_iv(MemristorParameters(transconductance=siemens), iv.IvExperiment(), results)
        return capsys.readouterr().out
    return call


@pytest.mark.parametrize(("share", "told"), [(0.0099, False), (0.0101, True)])
def test_from_a_hundredth_of_its_peak_current_at_zero_volts_a_loop_is_not_pinched(said, share, told):
    """Be it the loop itself or one of those over frequency, whose lobes are wide."""
    assert ("not all loops are pinched: at 0 V up to 1% of the peak" in said(residue=share)) is told
    assert ("not all loops are pinched: at 0 V up to 1% of the peak" in said([(HERTZ, 9.0, 0.0), (2e3, 9.0, share)])) is told


@pytest.mark.parametrize(("share", "told"), [(0.0099, False), (0.0101, True)])
def test_from_a_hundredth_of_its_width_at_zero_volts_a_lobe_is_the_gates_as_well(said, share, told):
    """Of five loops the last three, the first of which is named."""
    loops = [(HERTZ, 0.5, 0.0), (2e3, 0.4, 0.0), (5e3, 0.3, 0.3 * share), (2e4, 0.2, 0.2 * share), (1e5, 0.1, 0.1 * share)]
    assert ("from 5000 Hz on, lobe area and width are those of the current" in said(loops)) is told
    assert iv._lobed(0.3 * share, 0.3) is not told


@pytest.mark.parametrize(("swing", "holds"), [(9.9, False), (10.1, True)])
def test_the_closed_form_holds_where_x_swings_by_ten_times_the_amplitude(said, swing, holds):
    """By K A / (2 pi f (C + C_gate)) to either side, of a sine of 1 V at 1 kHz; else it is not told what charges the gate."""
    found = said(siemens=swing * 2 * np.pi * HERTZ * MemristorParameters().memory_capacitance)
    assert (f"holds where X swings by far more than the amplitude: here by {swing} V" in found) is not holds


def test_what_charges_the_gate_is_said_where_the_closed_form_holds_alone(said, monkeypatch):
    """Where X does not swing by enough, the closed form's current is another anyway."""
    monkeypatch.setattr(iv, "CHARGED", 0.0)
    assert "leaves out what charges the gate" not in said(siemens=1e-8)
    assert "leaves out what charges the gate" in said(siemens=2e-4)


@pytest.mark.parametrize(("share", "told"), [(0.0049, False), (0.0051, True)])
def test_from_a_two_hundredth_of_the_largest_change_the_leak_of_a_window_is_said(share, told):
    """Of 1 V that a cell gains in 2 ms, from so high that the leak takes this share of it meanwhile, at the highest X."""
    device = MemristorParameters()
    forgets = -np.expm1(-2e-3 / (device.leak_resistance * device.memory_capacitance))
    experiment = stdp_window.StdpExperiment(initial_state=share / forgets - 1.0)
    found = stdp_window._left_out(device, experiment, np.array([-0.2, 0.0, 1.0]))
    assert ("it leaves the leak out" in found) is told
