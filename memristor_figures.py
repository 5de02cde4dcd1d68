"""The theoretical memristor IV curve, i = exp(-cos t) sin t against v = sin t.

Writes figures/memristor_theoretical_iv.png. Nothing is simulated; memristor.py draws the emulator's curve. About 1 s.
"""

if __name__ == "__main__":
    from memristive.cli.loading import run

import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import plotting
from memristive.cli import command_line


def theoretical_iv(points: int = 1001) -> tuple[np.ndarray, np.ndarray]:
    """Voltage v = sin t in V and current i = exp(-cos t) sin t in A over one period (arrays of `points`)."""
    t = np.linspace(0, 2 * np.pi, points)
    return np.sin(t), np.exp(-np.cos(t)) * np.sin(t)


def theoretical_figure(voltage: np.ndarray, current: np.ndarray) -> Figure:
    """The theoretical memristor IV curve: `current` (A) against `voltage` (V), arrays over one period."""
    figure, axis = plt.subplots(figsize=(plotting.WIDTH * 0.65, 4.0))
    axis.plot(voltage, current)
    plotting.cross(axis)
    axis.set(xlabel="voltage v = sin t (V)", ylabel="current i = exp(−cos t) sin t (A)",
             title="Pinched hysteresis loop of an ideal memristor")
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Draw the curve."""
    parser = command_line.make_parser(__doc__, {
        "--voltages": "the theoretical curve has no trained voltages",
        "--force": "the curve has no parameters: it is always the same",
        "--netlist": "there is no circuit behind the theoretical curve"})
    options = parser.parse_args(arguments)
    voltage, current = theoretical_iv()
    command_line.draw(options, "memristor_theoretical_iv", theoretical_figure, voltage, current)


if __name__ == "__main__":
    sys.exit(run(main))
