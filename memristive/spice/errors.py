"""Errors of the ngspice session."""


class NgspiceMissing(RuntimeError):
    """The shared library of ngspice is missing or unusable."""


class SimulationError(RuntimeError):
    """ngspice refused a netlist or stopped early. The message quotes ngspice and names the saved netlist."""
