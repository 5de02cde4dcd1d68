"""The figure of `studies.engine_agreement`: spike times of both engines on one axis, their difference below, and how it falls."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from plotting import COLOURS, WIDTH

NAMES = {"mnist": "Hebbian", "mnist_error_driven": "error-driven, binary", "mnist_error_driven_grey": "error-driven, grey"}
LATEST = 300e-6  # s, of the spikes drawn


def engines_figure(networks: Sequence[tuple[str, np.ndarray, np.ndarray]], steps: Sequence[float],
                   errors: Sequence[Sequence[float]]) -> Figure:
    """`networks`: name, and spike times (images x classes, s) of the closed form and of tight reads; `errors`: ns for `steps`."""
    figure = plt.figure(figsize=(WIDTH, 5.2))
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2), height_ratios=(3, 2))
    both = figure.add_subplot(grid[0, 0])
    difference = figure.add_subplot(grid[1, 0], sharex=both)
    falling = figure.add_subplot(grid[:, 1])
    for (name, form, ngspice), colour, marker, rms in zip(networks, COLOURS, "osv", errors, strict=False):
        used = np.isfinite(form) & np.isfinite(ngspice) & (form < LATEST)
        x, y = form[used] * 1e6, ngspice[used] * 1e6
        both.plot(x, y, marker, color=colour, markersize=3, label=NAMES.get(name, name))
        difference.plot(x, (y - x) * 1e3, marker, color=colour, markersize=2)
        falling.loglog(np.array(steps) * 1e6, rms, marker + "-", color=colour)
    both.set(ylabel="spike in ngspice (µs)", title="Two engines, one circuit")
    both.legend()
    difference.set(xlabel="spike in the closed form (µs)", ylabel="difference (ns)")
    falling.set(xlabel="ngspice's largest step (µs)", ylabel="difference, root mean square (ns)", title="Smaller steps")
    falling.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_locator=NullLocator())
    falling.yaxis.set_major_formatter("{x:g}")
    for axis in (difference, falling):
        axis.grid(alpha=0.3)
    return figure
