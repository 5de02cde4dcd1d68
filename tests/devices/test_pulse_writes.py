"""Arrays of measured devices: both engines follow the law, cells without a pulse stay, states stay inside the window."""

import numpy as np
import pytest

from memristive.devices.measured_device import DEVICES, emulator
from memristive.devices.measured_setup import measured_setup
from memristive.devices.pulse_writes import write_pulses
from memristive.single_layer.engines import make_engine
from memristive.single_layer.setup import Setup

pytestmark = pytest.mark.filterwarnings("ignore::memristive.single_layer.closed_form.ClosedFormWarning")


@pytest.mark.parametrize("name", DEVICES)
def test_engines_follow_the_law_over_random_pulses_in_an_array(ngspice, name):
    device, rng = DEVICES[name], np.random.default_rng(5)
    emulated = emulator(device, array=True)
    setup = measured_setup(emulated, Setup(), rng.random((3, 10)))
    closed, circuit = (make_engine(engine, setup, 10, 10) for engine in ("closed-form", "ngspice"))
    law = rng.random((10, 10))
    ours, theirs = emulated.state(law), emulated.state(law)
    for _ in range(200):
        j, up = int(rng.integers(10)), bool(rng.integers(2))
        numbers = rng.choice([0.0, 0.25, 0.5, 1.0], 10) * (1 if up else -1)
        before = theirs.copy()
        ours[j] = write_pulses(closed, setup, emulated, ours, j, numbers)
        theirs[j] = write_pulses(circuit, setup, emulated, theirs, j, numbers)
        law[j] = np.clip(device.after(law[j], np.abs(numbers), up), 0.0, 1.0)
        assert np.abs(theirs - before)[:, numbers == 0].max(initial=0.0) < 1e-5  # V
        assert np.array_equal(np.delete(theirs, j, 0), np.delete(before, j, 0))
    assert emulated.share(theirs) == pytest.approx(emulated.share(ours), abs=2e-3)
    assert emulated.share(ours) == pytest.approx(law, abs=2e-3)
    assert emulated.share(theirs).min() > -1e-6 and emulated.share(theirs).max() < 1 + 1e-6


def test_noise_is_that_of_each_pulse():
    emulated = emulator(DEVICES["epiram"], array=True)
    setup = measured_setup(emulated, Setup(), np.ones((1, 4000)))
    engine, start = make_engine("closed-form", setup, 1, 4000), np.full((1, 4000), emulated.state(0.5))
    exact = write_pulses(engine, setup, emulated, start, 0, np.full(4000, 3.0))
    noisy = write_pulses(engine, setup, emulated, start, 0, np.full(4000, 3.0), np.random.default_rng(6))
    kept = np.exp(-2 * np.arange(3) / (64 * 2.5199)).sum()
    assert np.std(emulated.share(noisy) - emulated.share(exact)) == pytest.approx(0.02 * np.sqrt(kept), rel=0.05)
