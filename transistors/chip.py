"""Chips whose transistors differ in their thresholds: the same deviations for ngspice and for the law.

Spreads follow Pelgrom: the standard deviation falls with the square root of the gate's area.

References
----------
M. J. M. Pelgrom, A. C. J. Duinmaijer, A. P. G. Welbers: Matching properties of MOS transistors, IEEE Journal of Solid-State
Circuits 24 (5), 1433-1440, 1989.
"""

import re
from collections.abc import Mapping

import numpy as np

from transistors.circuit import models

TRANSISTOR = re.compile(r"^m\S+(?: \S+){4} (nch|pch|syn) w=(\S+)u l=(\S+)u$", re.IGNORECASE | re.MULTILINE)
PELGROM = 20e-9  # V m, that is 20 mV um: one mV um for each nm of the models' 20 nm of oxide


def draw_thresholds(netlist: str, seed: int, deviation: float | None = None) -> dict[str, float]:
    """Return the threshold's deviation in V of each transistor by its name in lower case.

    Parameters
    ----------
    netlist : str
        Circuit of `circuit.netlist`.
    seed : int
    deviation : float, optional
        Standard deviation in V of every transistor; by default it follows from the area of the transistor's gate.
    """
    rng, found = np.random.default_rng(seed), {}
    for transistor in TRANSISTOR.finditer(netlist):
        area = float(transistor[2]) * float(transistor[3]) * 1e-12  # m^2
        found[transistor[0].split()[0].lower()] = float(rng.standard_normal()
                                                        * (PELGROM / area**0.5 if deviation is None else deviation))
    return found


def on_chip(netlist: str, thresholds: Mapping[str, float]) -> tuple[str, str]:
    """Return the circuit with a model of its own for each transistor, and the .model lines.

    A positive deviation makes any transistor conduct less. So it makes the negative threshold of a PMOS more negative.
    """
    kinds: dict[str, tuple[str, float]] = {}

    def named(transistor: re.Match[str]) -> str:
        name = transistor[0].split()[0].lower()
        kinds[f"model_{name}"] = (transistor[1], thresholds[name] * (-1 if transistor[1] == "pch" else 1))
        return transistor[0].replace(f" {transistor[1]} ", f" model_{name} ", 1)

    changed = TRANSISTOR.sub(named, netlist)
    return changed, models(kinds)


def carried_weights(weights: Mapping[str, float]) -> list[str]:
    """Return .ic lines that begin a transient with these weights in V by cell, "0_15" for class 0 and pixel 15."""
    return [f".ic v(xlearner.n_w{cell})={volts:.9g}" for cell, volts in weights.items()]
