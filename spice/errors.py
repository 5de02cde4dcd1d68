"""What goes wrong with ngspice."""


class NgspiceMissing(RuntimeError):
    """The shared library of ngspice is not there or cannot be used."""


class SimulationError(RuntimeError):
    """ngspice refused a netlist or stopped early, or was used as it cannot be; holds its own words and the netlist's path."""
