"""The fit of several devices recovers the spreads and the errors of simulated devices."""

import numpy as np
import pytest

from memristive.devices.device_spread import Readings, between, combine_devices, fit_device
from memristive.parameters import ParameterError
from tests.devices.test_curve_fit import SWEEP, measure

PULSES = ([1] * 40 + [-1] * 40) * 2
LOWEST = 0.3  # of the range
TRUTH = {"range": 0.15, "lowest": 0.04, "gain": 0.12, "write_noise": 0.4, "read_noise": 0.3}


def drawn(rng, spread):
    """A log-normal factor of mean 1."""
    sigma = np.sqrt(np.log1p(spread**2))
    return rng.lognormal(-(sigma**2) / 2, sigma)


def kind(seed, spreads, devices):
    """The fit of simulated devices with these spreads."""
    rng, fitted = np.random.default_rng(seed), []
    for k in range(devices):
        width, gain, write, read = (
            drawn(rng, spreads[name]) for name in ("range", "gain", "write_noise", "read_noise")
        )
        lowest = LOWEST + spreads["lowest"] * rng.standard_normal()
        conductance, direction = measure(
            lambda x, gain=gain: gain * 0.1 * (1.04 - x),
            lambda x, gain=gain: gain * 0.12 * (x + 0.04),
            PULSES,
            write * 0.01,
            0.01 * read,
            rng,
            low=1e-5 * width * lowest,
            high=1e-5 * width * (1 + lowest),
        )
        numbers = np.abs(direction)
        readings = Readings(f"d{k}", conductance, np.array(direction), numbers, k)
        fitted.append(fit_device(readings, repeats=3))
    return combine_devices(fitted, "kind")


def test_known_spreads_are_recovered_within_their_errors():
    found = kind(1, TRUTH, 6)
    off = [(found.spreads[name][2] - TRUTH[name]) / found.spreads[name][3] for name in TRUTH]
    for name, mean in {"range": 1e-5, "lowest": LOWEST, "read_noise": 0.01}.items():
        off.append((found.spreads[name][0] - mean) / found.spreads[name][1])
    middle = len(found.device.up) // 2
    off.append((found.device.up[middle] - 0.1 * 0.54) / found.errors["up"][middle])
    assert found.device.spread == found.spreads["gain"].spread
    assert np.abs(off).max() < 3 and 0.4 < np.mean(np.square(off)) < 2


@pytest.mark.parametrize(("spread", "error"), [(0.2, 0.05), (0.1, 0.1), (0.0, 0.1)])
def test_the_spread_is_that_of_the_devices_without_the_errors_of_their_fits(spread, error):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        values = rng.normal(1, spread, 12) + rng.normal(0, error, 12)
        found.append(between(values, np.full(12, error)))
    means, mean_errors, spreads, errors = np.array(found).T
    assert np.mean(((means - 1) / mean_errors) ** 2) == pytest.approx(11 / 9, rel=0.1)  # Student's
    assert np.mean(np.abs(spreads - spread) < 3 * errors) > 0.96
    if spread > error:
        assert np.mean(spreads) == pytest.approx(spread, rel=0.05)
        assert np.mean(errors) == pytest.approx(np.std(spreads), rel=0.3)


def test_a_device_with_too_few_readings_is_named():
    few = Readings("east 7", SWEEP, np.array([0] + [1] * 10), np.ones(11, int))
    with pytest.raises(ParameterError, match=r"east 7.*'down'"):
        fit_device(few)
