"""Theoretical I-V loop of an ideal memristor: i = exp(-cos t) sin t against v = sin t (Jurj 2024).

Writes figures/memristor_theoretical_iv.png in about 1 s. Nothing is simulated; `python -m
memristive.commands.loop` draws the emulator's loop.
"""

import matplotlib.pyplot as plt
import numpy as np

import plotting
from memristive.cli.script import make_parser, run


def theoretical_iv() -> tuple[np.ndarray, np.ndarray]:
    """Return voltage in V and current in A over one period, arrays of 1001 points."""
    t = np.linspace(0, 2 * np.pi, 1001)
    return np.sin(t), np.exp(-np.cos(t)) * np.sin(t)


def main(arguments: list[str] | None = None) -> None:
    """Draw the loop."""
    options = make_parser(__doc__, parameters=False).parse_args(arguments)
    voltage, current = theoretical_iv()
    figure, axis = plt.subplots(figsize=(plotting.WIDTH * 0.65, 4.0))
    axis.plot(voltage, current)
    plotting.cross(axis)
    axis.set(
        xlabel="voltage v = sin t (V)",
        ylabel="current i = exp(−cos t) sin t (A)",
        title="Pinched hysteresis loop of an ideal memristor",
    )
    plotting.save(figure, options.figures / "memristor_theoretical_iv.png")


if __name__ == "__main__":
    run(main)
