"""Spiking networks that learn inside a circuit: memristors emulated in SPICE, trained in situ by
voltage pulses.

The names below are loaded when they are first used, so that a script imports only what it needs.
"""

import importlib
from typing import Any

__version__ = "1.2.0"

_HOMES = {
    "Chip": "memristive.network.chip",
    "Conv": "memristive.network.recipe",
    "Convolution": "memristive.network.convolution",
    "Crossbar": "memristive.network.crossbar",
    "Dense": "memristive.network.recipe",
    "ErrorDrivenRule": "memristive.learning.rule",
    "LayerDesign": "memristive.network.design",
    "LayeredRule": "memristive.learning.rule",
    "MeasuredDevice": "memristive.devices.measured_device",
    "MemristiveClassifier": "memristive.classifier",
    "Network": "memristive.network.networks",
    "NgspiceSession": "memristive.spice.session",
    "READING": "memristive.engines.solvers",
    "Recipe": "memristive.network.recipe",
    "Schedule": "memristive.network.design",
    "Setup": "memristive.network.design",
    "SpiceModel": "memristive.devices.spice_model",
    "build": "memristive.learning.build",
    "costs": "memristive.accounting.overview",
    "emulator": "memristive.devices.measured_device",
    "export": "memristive.io.laboratory",
    "infer": "memristive.learning.hebbian",
    "learn": "memristive.learning.training",
    "load": "memristive.io.networks",
    "load_results": "memristive.io.records",
    "load_table": "memristive.io.records",
    "load_weights": "memristive.io.weights",
    "load_voltages": "memristive.io.voltages",
    "netlist": "memristive.engines.read_netlist",
    "network_on_chip": "memristive.network.networks",
    "read": "memristive.engines.engine",
    "save": "memristive.io.networks",
    "save_voltages": "memristive.io.voltages",
    "train_hebbian": "memristive.learning.hebbian",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
