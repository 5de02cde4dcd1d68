"""The circuits drawn: memristor emulator, crossbar and neuron. Apart from plotting.py, as only reproduce.py draws them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import schemdraw
import schemdraw.elements as elm
import schemdraw.logic as logic
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plotting import VERMILLION, WIDTH, save


def draw_circuits(folder: Path, show: bool = False) -> list[Path]:
    """Draw the schematics into `folder`; return the paths. Raises FileProblem."""
    return [save(circuit_memristor(), folder, "circuit_memristor", show),
            save(circuit_network(), folder, "circuit_network", show),
            save(circuit_self_learning(), folder, "circuit_self_learning", show),
            save(circuit_layers(), folder, "circuit_layers", show)]


def _schematic(axis: Axes, contents: Callable[[], None]) -> None:
    """Draw on `axis` what `contents()` adds to a schemdraw drawing."""
    axis.set_aspect("equal")
    axis.set_axis_off()
    with schemdraw.Drawing(canvas=axis, show=False) as drawing:
        drawing.config(fontsize=10, font="DejaVu Sans", lw=1.3, margin=0.3)
        contents()
    drawing.draw(show=False)


def circuit_memristor() -> Figure:
    """The cell of the memristor emulator, as `memristor.Memristor` builds it."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.3))
    _schematic(axis, _memristor)
    axis.set_title("Memristor emulator")
    return figure


def _memristor() -> None:
    charge = elm.SourceControlledI().at((0, 0)).to((0, 3)).label("K · (V$_D$ − V$_S$)", ofst=0.3)
    elm.Ground().at(charge.start)
    elm.Line().at((0, 3)).to((2.8, 3))
    elm.Dot().at((2.8, 3)).label("o", "top")
    _to_ground(elm.Resistor(), (2.8, 3), "R$_{leak}$")
    elm.Switch().at((2.8, 3)).to((6.2, 3)).label("closed while phi > 0.5 V", "top", ofst=0.6)
    elm.Dot().at((6.2, 3)).label("X", "top")
    _to_ground(elm.Capacitor(), (6.2, 3), "C$_{mem}$")
    elm.Line().at((6.2, 3)).to((8.4, 3))
    channel = elm.NFet(bulk=True).reverse().anchor("gate").at((8.4, 3)).theta(0)
    elm.Line().at(channel.drain).to((channel.drain.x, 4.6))
    elm.Dot(open=True).label("D, to the input", "right")
    elm.Line().at(channel.source).to((channel.source.x, 0.9))
    elm.Dot(open=True).label("S, to the neuron", "right")
    elm.Line().at(channel.bulk).to((channel.bulk.x + 0.9, channel.bulk.y))
    elm.Ground().label("synapse,\nweight X", "right", ofst=(0.5, 0.6))


def _to_ground(element: Any, top: tuple[float, float], label: str, location: str = "bottom") -> None:
    """Draw `element` from the point `top` down to a ground at height 0."""
    element.at(top).to((top[0], 0)).label(label, location)
    elm.Ground().at((top[0], 0))


def circuit_network() -> Figure:
    """The crossbar, three of its inputs and classes, and the Lapicque neuron at the foot of each column."""
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 8.2), height_ratios=(1.6, 1))
    _schematic(upper, _crossbar)
    upper.set_title("Crossbar: a memristor joins each input to each class's column")
    _schematic(lower, _neuron)
    lower.set_title("Lapicque neuron of a column")
    return figure


def _crossbar(count: int = 3, pitch: float = 3.6, row: float = 2.4) -> None:
    bottom = -count * row
    for i in range(count):
        elm.Dot(open=True).at((0, -row * i)).label(f"input {i}", "left")
        elm.Line().at((0, -row * i)).to((count * pitch, -row * i))
    for j in range(count):
        column, control = pitch * j + 3.0, pitch * j + 0.7
        elm.Line().at((column, -1.4)).to((column, bottom))
        elm.Line().at((control, 1.0)).to((control, bottom + row - 0.7)).linestyle("--").color(VERMILLION)
        elm.Dot(open=True).at((control, 1.0)).label(f"phi {j}", "top").color(VERMILLION)
        for i in range(count):
            cell = elm.Memristor().at((column - 1.4, -row * i)).to((column, -row * i - 1.4))
            elm.Dot().at(cell.start)
            elm.Dot().at(cell.end)
            elm.Line().at((control, cell.center.y)).to((cell.center.x - 0.35, cell.center.y)).linestyle("--").color(
                VERMILLION)
        elm.RBox().at((column, bottom)).to((column, bottom - 2)).label(f"neuron {j}", "bottom")
        elm.Dot(open=True).label(f"output {j}", "bottom")


def _neuron() -> None:
    elm.Dot(open=True).at((0, 0)).label("column", "top")
    elm.Line().at((0, 0)).to((1.2, 0))
    x, y = _inverting_stage(1.2, 0, "1 kΩ")
    elm.Resistor().at((x, y)).to((x + 2.6, y)).label("10 kΩ")
    x, y = _inverting_stage(x + 2.6, y, "10 kΩ", negative=True)
    elm.Line().at((x, y)).to((x + 0.6, y))
    drive = elm.Opamp(sign=False).anchor("center").at((x + 1.68, y)).theta(0)
    drive.label("1 S", "center", ofst=(-0.3, 0))
    elm.Line().at(drive.out).to((x + 3.5, y))
    elm.Dot()
    elm.Resistor().at((x + 3.5, y)).to((x + 3.5, y - 2.6)).label("1 Ω", "bottom")
    elm.Ground()
    elm.Line().at((x + 3.5, y)).to((x + 5.3, y)).label("membrane")
    elm.Dot()
    elm.Capacitor().at((x + 5.3, y)).to((x + 5.3, y - 2.6)).label("150 µF", "bottom")
    elm.Ground()
    logic.Schmitt().at((x + 5.3, y)).to((x + 8.1, y)).label("4 V", "top")
    elm.Dot()
    elm.Resistor().at((x + 8.1, y)).to((x + 8.1, y - 2.6)).label("1 kΩ", "bottom")
    elm.Ground()
    elm.Line().at((x + 8.1, y)).to((x + 9.2, y))
    elm.Dot(open=True).label("output", "top")


def _inverting_stage(x: float, y: float, feedback: str, negative: bool = False) -> tuple[float, float]:
    """Draw an inverting amplifier with its summing node at (x, y); return where its output is."""
    elm.Dot().at((x, y))
    elm.Line().at((x, y)).to((x + 1.2, y))
    amplifier = elm.Opamp().anchor("in1").at((x + 1.2, y)).theta(0)
    elm.Line().at(amplifier.in2).to((x + 0.8, amplifier.in2.y))
    elm.Ground()
    out = (amplifier.out.x + 0.3, amplifier.out.y)
    elm.Line().at(amplifier.out).to(out)
    elm.Dot()
    elm.Line().at((x, y)).to((x, y + 1.4))
    elm.Resistor().at((x, y + 1.4)).to((out[0], y + 1.4)).label(feedback)
    elm.Line().at((out[0], y + 1.4)).to(out)
    if negative:
        elm.Line().at((x, y)).to((x, y - 2.4))
        elm.Resistor().at((x, y - 2.4)).to((x - 2.6, y - 2.4)).label("10 kΩ", "bottom")
        elm.Dot(open=True).label("negative\ncolumn (0 V)", "left")
    return out


def circuit_self_learning() -> Figure:
    """What closes the loop of neuron j: phi from its output, inhibition by the others, homeostasis."""
    figure, axis = plt.subplots(figsize=(WIDTH, 4.6))
    _schematic(axis, _closed_loop)
    axis.set_title("A column that learns by itself: what the output of its neuron does")
    return figure


def _closed_loop() -> None:
    elm.Dot(open=True).at((-2.0, 2.4)).label("input i", "left")
    elm.Line().at((-2.0, 2.4)).to((0, 2.4))
    elm.Memristor().at((0, 2.4)).to((0, 0))
    elm.Line().at((0, 0)).to((2.0, 0)).label("column j", "bottom", ofst=0.1)
    elm.RBox().at((2.0, 0)).to((4.6, 0)).label("sum", "top", ofst=0.1)
    elm.Line().at((4.6, 0)).to((7.4, 0)).label("membrane j", "top", ofst=0.1)
    elm.Dot().at((6.4, 0))
    elm.Switch().at((6.4, 0)).to((6.4, -2.6)).label("closed while the\nother outputs\nsum to > 0.5 V", "bottom", ofst=0.1)
    elm.Ground().at((6.4, -2.6))
    logic.Schmitt().at((7.4, 0)).to((10.2, 0))
    elm.Line().at((10.2, 0)).to((13.0, 0))
    elm.Dot(open=True).at((13.0, 0)).label("output j", "right")
    _loop_back(10.6, 1.2, "phi j = 1.2 × output j: opens the column's cells", 0.3)
    _homeostasis(11.8, -4.2)


def _loop_back(x: float, y: float, label: str, end: float) -> None:
    """A dashed line from the output at (x, 0) back to the memristor at height `y`."""
    elm.Dot().at((x, 0)).color(VERMILLION)
    elm.Line().at((x, 0)).to((x, y)).linestyle("--").color(VERMILLION)
    elm.Line().at((x, y)).to((end, y)).linestyle("--").color(VERMILLION).label(label, "top", color=VERMILLION)


def _homeostasis(x: float, y: float) -> None:
    """The homeostatic capacitor below the output at (x, 0), and its way back to the sum."""
    elm.Dot().at((x, 0))
    elm.Line().at((x, 0)).to((x, y - 0.75)).linestyle("--")
    elm.SourceControlledI().at((x - 0.6, y - 2.4)).to((x - 0.6, y + 0.2))
    elm.Ground().at((x - 0.6, y - 2.4))
    elm.Label().at((x + 0.9, y - 1.7)).label("on while\noutput j\nis high")
    elm.Line().at((x - 0.6, y + 0.2)).to((3.3, y + 0.2))
    elm.Label().at((4.9, y - 0.9)).label("homeostasis j\nraises the\nthreshold")
    for place, kind, name in ((9.4, elm.Capacitor, "1 nF"), (7.0, elm.Resistor, "320 MΩ")):
        elm.Dot().at((place, y + 0.2))
        kind().at((place, y + 0.2)).to((place, y - 2.4)).label(name, "bottom")
        elm.Ground().at((place, y - 2.4))
    elm.Arrow().at((3.3, y + 0.2)).to((3.3, -0.35))


PITCH, ROW, CELL = 2.5, 1.8, 1.2  # of a layer's columns, of its rows, of a cell across
BOX = (0.85, 1.3)  # half a neuron's width, its height


def circuit_layers() -> Figure:
    """Two layers: what drives the rows of the second, the reference columns, and the way of the errors back."""
    figure, axis = plt.subplots(figsize=(WIDTH, 7.4))
    _schematic(axis, _two_layers)
    axis.set_title("Two layers: outputs drive the next crossbar's rows; errors flow back through the same memristors")
    return figure


def _two_layers() -> None:
    inputs = ["input 0", "input 1", "bias"]
    columns = _layer((0.0, 0.0), inputs, ["hidden 0", "hidden 1"])
    left, top = columns[-1] + 1.7, -ROW * len(inputs) - 3.2
    for k, x in enumerate(columns[::-1]):  # the leftmost neuron drives the lowest row, so that no wires cross
        elm.Line().at((x, -ROW * len(inputs) - BOX[1])).to((x, top - ROW * k))
        elm.Line().at((x, top - ROW * k)).to((left, top - ROW * k))
        _way_back(x, -ROW * len(inputs) + 0.4, top - ROW * k + 0.35, left)
    for x, name in zip(_layer((left, top), ["", "", "bias"], ["output 0", "output 1"]), ("output 0", "output 1"), strict=True):
        end = top - ROW * len(inputs) - BOX[1]
        elm.Line().at((x, end)).to((x, end - 0.4))
        elm.Dot(open=True).label(name, "bottom")
    elm.Label().at((left + 3.6, -3.4)).color(VERMILLION).label(
        "After an error: rows of the second layer at 0 V, the right\noutput's column at +0.1 V, the wrong one's at −0.1 V."
        "\nThe current of a row is the difference of its two cells.\nIt sets sign and width of phi at the hidden neuron's"
        "\ncolumn, while the image is at the inputs once more.")


def _layer(corner: tuple[float, float], rows: list[str], names: list[str]) -> list[float]:
    """Draw a crossbar from its upper left `corner`, its first column being the reference; where its neurons' columns are."""
    left, top = corner
    bottom = top - ROW * len(rows)
    columns = [left + PITCH * j + 1.9 for j in range(len(names) + 1)]
    for k, name in enumerate(rows):
        if name:
            elm.Dot(open=True).at((left, top - ROW * k)).label(name, "left")
        elm.Line().at((left, top - ROW * k)).to((columns[-1], top - ROW * k))
        for x in columns:
            cell = elm.Memristor().at((x - CELL, top - ROW * k)).to((x, top - ROW * k - CELL))
            elm.Dot().at(cell.start)
            elm.Dot().at(cell.end)
    for x, name in zip(columns, ["reference\n5 V cells", *names], strict=True):
        elm.Line().at((x, top - CELL)).to((x, bottom))
        elm.Rect(corner1=(x - BOX[0], bottom), corner2=(x + BOX[0], bottom - BOX[1])).at((0, 0)).theta(0)
        elm.Label().at((x - 0.1, bottom - BOX[1] / 2 + 0.2)).label(name if "5 V" in name else f"neuron\n{name}", fontsize=9)
    for x in columns[:-1]:
        elm.Line().at((x + BOX[0], bottom - BOX[1] / 2)).to((x + PITCH - BOX[0], bottom - BOX[1] / 2))
    return columns[1:]


def _way_back(x: float, column: float, row: float, left: float) -> None:
    """Dashed, from a row of the second layer at height `row`, right of `left`, to the phi of the hidden column at `x`."""
    for start, end in (((left + 0.5, row), (x + 1.05, row)), ((x + 1.05, row), (x + 1.05, column))):
        elm.Line().at(start).to(end).linestyle("--").color(VERMILLION)
    elm.Arrow().at((x + 1.05, column)).to((x + 0.1, column)).color(VERMILLION).label("phi", "top", ofst=0.05, color=VERMILLION)
