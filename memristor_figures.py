"""The theoretical memristor IV curve, i = exp(-cos t) sin t against v = sin t.

Writes figures/memristor_theoretical_iv.png. Nothing is simulated; memristor.py draws the emulator's curve. About 1 s.
"""

import sys

import numpy as np

import command_line
import plotting


def theoretical_iv(points=1001):
    """Voltage v = sin t in V and current i = exp(-cos t) sin t in A over one period (arrays of `points`)."""
    t = np.linspace(0, 2 * np.pi, points)
    return np.sin(t), np.exp(-np.cos(t)) * np.sin(t)


def main(arguments=None):
    """Draw the curve."""
    parser = command_line.make_parser(__doc__, {
        "--voltages": "the theoretical curve has no trained voltages",
        "--netlist": "there is no circuit behind the theoretical curve"})
    options = parser.parse_args(arguments)
    voltage, current = theoretical_iv()
    command_line.draw(options, "memristor_theoretical_iv", plotting.theoretical_iv, voltage, current)


if __name__ == "__main__":
    sys.exit(command_line.run(main))
