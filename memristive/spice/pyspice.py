"""The four names of PySpice that the project uses.

PySpice 1.5 is no longer maintained. Its fork InSpice gives the same numbers for XPUE, bit for bit.
To take it, change the two imports.
"""

from PySpice.Spice.Netlist import Circuit, SubCircuit
from PySpice.Spice.NgSpice.Shared import NgSpiceCommandError, NgSpiceShared

__all__ = ["Circuit", "NgSpiceCommandError", "NgSpiceShared", "SubCircuit"]
