"""Synthetic tables of readings with a known truth, as laboratories would write them."""

import numpy as np
import pandas as pd

LOW, HIGH = 5e-6, 60e-6  # S
WRITE, READ = 0.01, 0.008  # noises, shares of the range


def step(x, up):
    """Return the mean step of a pulse at the state x: 7 to 0.6 % up, 0.4 to 9 % down."""
    return 0.07 * np.exp(-2.46 * x) if up else 0.004 + 0.086 * x**2


def measured(seed=1, cycles=3, pulses=40, write=WRITE, read=READ, before=False):
    """Return a table of cycles of pulses up and down: pulse, G (uS), direction and cycle. Each
    pulse has a row with the reading after it, or else `before` it. The reading before the first
    pulse has a row, too, or that after the last one has none.
    """
    rng, x, states = np.random.default_rng(seed), 0.0, [0.0]
    signs = np.tile(np.repeat([1, -1], pulses), cycles)
    for sign in signs:
        x = np.clip(x + sign * step(x, sign > 0) + write * rng.standard_normal(), 0, 1)
        states.append(x)
    siemens = LOW + (HIGH - LOW) * (np.array(states) + read * rng.standard_normal(len(states)))
    numbers, row = np.arange(len(signs)), slice(len(signs)) if before else slice(None)
    return pd.DataFrame(
        {
            "pulse": np.append(0, numbers % (2 * pulses) + 1)[row],
            "G (uS)": 1e6 * siemens[row],
            "direction": np.where((signs if before else np.append(1, signs)) > 0, "up", "down"),
            "cycle": np.append(0, numbers // (2 * pulses))[row],
        }
    )


def ratios(device):
    """Return the ratios of a device to the truth: its range, steps up and down (in S, medians over
    the inner range), write noise and read noise.
    """
    span, x = device.highest_conductance - device.lowest_conductance, np.linspace(0.1, 0.9, 33)
    own = device.lowest_conductance + span * x
    true = (own - LOW) / (HIGH - LOW)
    inside, scale = (true > 0.02) & (true < 0.98), span / (HIGH - LOW)
    steps = [
        np.median((scale * device.step(x, up) / step(true, up))[inside]) for up in (True, False)
    ]
    noises = [scale * device.write_noise / WRITE, scale * device.read_noise / READ]
    return np.array([scale, *steps, *noises])
