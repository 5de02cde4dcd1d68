"""The fit recovers known step curves and noises of four shapes, made pulse by pulse."""

import numpy as np
import pytest

from memristive.devices.curve_fit import fit_pulses, pulsed
from memristive.devices.measured_device import MeasuredDevice
from memristive.parameters import ParameterError

LOW, HIGH = 3e-6, 1e-5  # S
CYCLES = ([1] * 100 + [-1] * 100) * 3
DRIFT = ([1] * 60 + [-1] * 40) * 6  # open: no sweep returns to its start


def growing(x):
    return 0.006 * np.exp(1.5 * x)


def shrinking(x):
    return 0.03 * (1.05 - x)


# Mean steps up and down (shares of the range), and pulses.
SHAPES = {
    "soft": (shrinking, lambda x: 0.04 * (x + 0.02), CYCLES),
    "accelerating": (growing, lambda x: growing(1 - x), CYCLES),
    "abrupt": (lambda x: 0.85 * (1 - x), lambda x: 0.025 * (x + 0.05), CYCLES),
    "drifting": (lambda x: 0.016 - 0.008 * x, lambda x: 0.006 + 0.012 * x, DRIFT),
}


def measure(up, down, pulses, write, read, seed, low=LOW, high=HIGH, start=0.0):
    """Return readings in S and directions; the state cannot leave its range."""
    rng = np.random.default_rng(seed)
    states = [start]
    for pulse in pulses:
        step = up(states[-1]) if pulse > 0 else -down(states[-1])
        states.append(float(np.clip(states[-1] + step + write * rng.standard_normal(), 0, 1)))
    readings = np.array(states) + read * rng.standard_normal(len(states))
    return low + (high - low) * readings, [0, *pulses]


def deviation(fit, steps, up, low=LOW, high=HIGH):
    """Return the rms error of a fitted curve in units of its largest step, where pulses were and
    the bound cuts no step off.
    """
    device, x = fit.device, np.linspace(0, 1, 41)
    scale = (device.highest_conductance - device.lowest_conductance) / (high - low)
    true_x = np.clip((device.conductance(x) - low) / (high - low), 0, 1)
    seen = [np.count_nonzero(np.abs(fit.steps(up)[0] - place) < 0.05) > 2 for place in x]
    used = np.array(seen) & (steps(true_x) < 0.01 + (1 - true_x if up else true_x))
    return (
        np.sqrt(np.mean((scale * device.step(x, up) - steps(true_x))[used] ** 2))
        / steps(true_x[used]).max()
    )


def noises(fit, low=LOW, high=HIGH):
    """Return write and read noise and the ends of their intervals in shares of the true range (two
    rows of value, low, high).
    """
    device, scale = (
        fit.device,
        (fit.device.highest_conductance - fit.device.lowest_conductance) / (high - low),
    )
    return scale * np.array(
        [(getattr(device, name), *fit.intervals[name]) for name in ("write_noise", "read_noise")]
    )


def held(found, *truth):
    """Count the intervals (fits x noises x 3, from `noises`) that hold the true noises."""
    return int(((found[..., 1] <= truth) & (truth <= found[..., 2])).sum())


@pytest.mark.parametrize("name", SHAPES)
def test_curves_and_noises_are_found(name):
    up, down, pulses = SHAPES[name]
    fits = [fit_pulses(*measure(up, down, pulses, 0.005, 0.01, seed)) for seed in range(3)]
    for steps, upwards in ((up, True), (down, False)):
        assert np.sqrt(np.mean([deviation(fit, steps, upwards) ** 2 for fit in fits])) < 0.05
    found = np.array([noises(fit) for fit in fits])
    errors = found[:, :, 0] - [0.005, 0.01]
    assert (np.sqrt(np.mean(errors**2, axis=0)) < [0.15 * 0.005, 0.15 * 0.01]).all()
    assert held(found, 0.005, 0.01) >= 5  # of 6


LONG = ([1] * 200 + [-1] * 200) * 6


def test_readings_after_several_pulses_give_the_steps_and_noises_of_one():
    """Two in five readings are missing. Errors are in units of their standard errors."""
    up, down = (lambda x: 0.0135 * (1.02 - x)), (lambda x: 0.003 + 0.006 * x)
    curve_errors, found = [], []
    for seed in range(3):
        readings, direction = measure(up, down, LONG, 0.002, 0.01, seed)
        direction, turns = np.array(direction), np.append(np.diff(direction) != 0, True)
        at = np.flatnonzero(turns | (np.random.default_rng(seed).random(len(turns)) < 0.6))
        fit = fit_pulses(readings[at], direction[at], pulses=np.diff(at, prepend=0))
        found.append(noises(fit))
        scale = (fit.device.highest_conductance - fit.device.lowest_conductance) / (HIGH - LOW)
        x = (fit.device.conductance(np.linspace(0, 1, len(fit.device.up))) - LOW) / (HIGH - LOW)
        for name, steps, inside in (("up", up, x < 0.95), ("down", down, x > 0.05)):
            off = np.array(getattr(fit.device, name)) - steps(x) / scale
            curve_errors += (off / fit.errors[name])[inside].tolist()
    assert held(np.array(found), 0.002, 0.01) >= 5 and np.mean(np.square(curve_errors)) < 2


def test_intervals_of_noises_hold_though_few_readings_cannot_tell_them_apart():
    """Sweeps read after every fifth pulse; three sweeps read after each tell the noises apart."""
    steps, found = ((lambda x: 0.03 * (1.2 - x)), (lambda x: 0.025 * (x + 0.3))), []
    for seed in range(8):
        readings, direction = measure(*steps, [1] * 60 + [-1] * 60, 0.02, 0.01, seed)
        fit = fit_pulses(readings[::5], direction[::5], pulses=5)
        found.append([*noises(fit).ravel(), fit.equal_noises])
        assert not fit.equal_noises or fit.device.write_noise == fit.device.read_noise
    found = np.array(found)
    intervals, equal = found[:, :6].reshape(-1, 2, 3), found[:, 6] > 0
    assert held(intervals[:, 0], 0.02) >= 7 and held(intervals[:, 1], 0.01) >= 7
    assert equal.sum() >= 5 and not intervals[equal][:, :, 1].any()
    value, low, high = np.moveaxis(intervals, 2, 0)
    assert ((low <= value) & (value <= high)).all() and np.median(value[:, 0]) > 0.014
    fit = fit_pulses(*measure(*steps, ([1] * 60 + [-1] * 60) * 3, 0.02, 0.01, 1))
    assert not fit.equal_noises and fit.intervals["write_noise"][0] > 0.01


def test_pulses_of_both_directions_may_alternate():
    up, down, _ = SHAPES["soft"]
    pulses = np.random.default_rng(5).choice([-1, 1, 1], 300).tolist() + [-1, 1] * 100 + [-1] * 60
    fit = fit_pulses(*measure(up, down, pulses, 0.003, 0.005, 1, start=0.3))
    assert deviation(fit, up, True) < 0.05 and deviation(fit, down, False) < 0.05


@pytest.mark.filterwarnings("error")
def test_the_scatter_of_readings_at_an_end_of_the_range_is_that_of_the_replays():
    pulses = ([1] * 100 + [-1] * 100) * 3
    at = np.concatenate([np.arange(171, 201) + 200 * k for k in range(3)])  # the end holds x
    conductance, direction = measure(
        lambda x: 0.02, lambda x: 0.03 - 0.015 * x, pulses, write=0.03, read=0.02, seed=1
    )
    fit = fit_pulses(conductance, direction, equal_noises=False)
    scatter = np.sqrt(np.mean((fit.reading - fit.replay)[at] ** 2))
    assert np.sqrt(np.mean(fit.band[at] ** 2)) == pytest.approx(scatter, rel=0.2)


def test_a_curve_without_noise_is_followed():
    """The field's law with A = 0.4 up and A = -0.7 down, over 60 and 40 pulses."""
    p, q = np.arange(61) / 60, np.arange(41) / 40
    readings = np.append(
        np.expm1(-p / 0.4) / np.expm1(-1 / 0.4), 1 - np.expm1(q / 0.7) / np.expm1(1 / 0.7)
    )
    fit = fit_pulses(LOW + (HIGH - LOW) * readings, [0, *[1] * 60, 0, *[-1] * 40])
    assert fit.device.step(readings[:60], True) == pytest.approx(np.diff(readings[:61]), rel=0.01)
    assert fit.device.step(readings[61:-1], False) == pytest.approx(
        -np.diff(readings[61:]), rel=0.01
    )
    assert fit.device.lowest_conductance == pytest.approx(LOW, rel=1e-3)
    assert fit.device.highest_conductance == pytest.approx(HIGH, rel=1e-3)
    assert max(fit.device.write_noise, fit.device.read_noise) < 1e-4 and fit.largest < 2e-3


SWEEP = np.linspace(1e-6, 2e-6, 11)


@pytest.mark.parametrize(
    ("conductance", "direction", "word"),
    [
        (SWEEP, [0] + [1] * 10, "'down'"),
        (SWEEP[:1], [1], "'up'"),
        (SWEEP - 1.5e-6, [0] + [1, -1] * 5, "positive"),
        ([1e-6] * 11, [0] + [1, -1] * 5, "equal"),
        (1e6 * SWEEP, [0] + [1, -1] * 5, "uS"),
        (np.append(SWEEP, SWEEP[::-1]), [0] + [-1] * 10 + [0] + [1] * 10, "swapped"),
    ],
)
def test_bad_readings_are_refused(conductance, direction, word):
    with pytest.raises(ParameterError, match=word):
        fit_pulses(conductance, direction)


def test_readings_at_both_ends_only_are_refused():
    """Twenty pulses of an abrupt device cross the range, so that no reading shows the way."""
    readings, direction = measure(*SHAPES["abrupt"][:2], CYCLES, 0.005, 0.01, 1)
    with pytest.raises(ParameterError, match="too few readings"):
        fit_pulses(readings[::20], np.array(direction)[::20], pulses=20)


def test_simulated_pulses_have_the_steps_and_the_write_noise_of_the_device():
    device = MeasuredDevice("flat", up=(0.01, 0.01), down=(0.01, 0.01), write_noise=0.005)
    x = np.full((2, 4000), 0.5)
    pulsed(device, x, np.array([0, 1]), np.array([0, 9]), np.ones(4000), np.random.default_rng(1))
    assert x[1].mean() == pytest.approx(0.59, abs=1e-3)
    assert x[1].std() == pytest.approx(0.005 * 3, rel=0.05)
