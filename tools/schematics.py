"""Draw the circuits as SVG files: python -m tools.schematics (needs schemdraw, see
requirements/dev.txt).

Writes figures/circuit_{memristor,network,pair,self_learning,transistors,layers}.svg and
figures/lifted_gate.svg, which the documents show. Run it after a change of a circuit.
"""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import schemdraw
import schemdraw.elements as elm
import schemdraw.logic as logic
from matplotlib.figure import Figure

from memristor import MemristorParameters, raised_state
from plotting import letter_panels

FIGURES = Path(__file__).parents[1] / "figures"
WIDTH = 8.0  # in
BLUE, VERMILLION, SKY = "#0072B2", "#D55E00", "#56B4E9"
PITCH, ROW, CELL = 2.5, 1.8, 1.2  # distances of a layer's columns and of its rows; width of a cell
BOX = (0.85, 1.3)  # half of a neuron's width, and its height

Part = tuple[str, Callable[[], None]]  # title, and the function that adds the elements

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titley": 1.0,
    }
)


def main() -> None:
    """Draw all circuits."""
    _draw("memristor", 3.3, ("Memristor emulator", _memristor))
    _draw(
        "network",
        8.2,
        ("Crossbar: a memristor joins each input to each class's column", _crossbar),
        ("Lapicque neuron of a column", _neuron),
    )
    _draw(
        "pair",
        4.2,
        ("A differential pair at each input: the weight is the difference of two cells", _pairs),
    )
    _draw(
        "self_learning",
        4.6,
        ("A column that learns by itself: what the output of its neuron does", _closed_loop),
    )
    _draw(
        "transistors",
        7.6,
        ("Cell: one transistor reads, two write, a capacitor holds the weight w", _transistor_cell),
        ("Error line of class c: scores take current out, the label puts current in", _error_line),
    )
    _draw(
        "layers",
        7.4,
        (
            "Two layers: outputs drive the next crossbar's rows; errors flow back through the same "
            "memristors",
            _two_layers,
        ),
    )
    _save(_lifted_gate(), "lifted_gate")


def _draw(name: str, height: float, *parts: Part) -> None:
    """Write figures/circuit_NAME.svg, `height` inches high, with its parts one below the other."""
    figure, axes = plt.subplots(
        len(parts), squeeze=False, figsize=(WIDTH, height), height_ratios=(1.6, 1)[: len(parts)]
    )
    for axis, (title, add_elements) in zip(axes.flat, parts, strict=True):
        axis.set_aspect("equal")
        axis.set_axis_off()
        with schemdraw.Drawing(canvas=axis, show=False) as drawing:
            drawing.config(fontsize=10, font="DejaVu Sans", lw=1.3, margin=0.3)
            add_elements()
        drawing.draw(show=False)
        axis.set_title(title)
    _save(figure, f"circuit_{name}")


def _save(figure: Figure, name: str) -> None:
    letter_panels(figure)
    # the same drawing gives the same bytes
    with plt.rc_context({"svg.hashsalt": name.removeprefix("circuit_")}):
        figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    print(f"wrote figures/{name}.svg")


def _lifted_gate() -> Figure:
    """Draw the potentials of gate and channel along the channel, with the input at 0 V and at 1 V.
    With 0 V, X is 2 V.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.4), sharey=True)
    place = np.linspace(0.0, 1.0, 200)
    for axis, volts in zip(axes, (0.0, 1.0), strict=True):
        gate = float(raised_state(MemristorParameters(), 2.0, volts))
        # (gate - channel)^2 is linear
        channel = gate - np.sqrt(gate**2 - (gate**2 - (gate - volts) ** 2) * place)
        axis.plot(place, np.full_like(place, gate), color=BLUE, linewidth=3)
        axis.plot(place, channel, color=VERMILLION, linewidth=3)
        axis.fill_between(place, channel, gate, color=SKY, alpha=0.35, linewidth=0)
        for name, x, foot in (("s", 0.06, 0.0), ("d", 0.94, volts)):
            axis.annotate(
                "",
                (x, gate),
                (x, foot),
                arrowprops={"arrowstyle": "<->", "shrinkA": 2, "shrinkB": 2},
            )
            axis.text(
                x + (0.03 if x < 0.5 else -0.03),
                (gate + foot) / 2,
                name,
                ha="left" if x < 0.5 else "right",
                va="center",
            )
        axis.text(0.5, gate + 0.06, f"floating gate: {gate:.2f} V", ha="center", color=BLUE)
        axis.text(0.5, gate / 2 + volts / 4, "gate's charge Q", ha="center", va="center")
        axis.text(0.5, 0.06 if volts == 0 else 0.2, "channel", ha="center", color=VERMILLION)
        axis.set(
            title=f"input at {volts:g} V",
            xticks=[0, 1],
            xticklabels=["neuron", "input"],
            xlim=(0, 1),
            ylim=(-0.05, 2.8),
        )
    axes[0].set_ylabel("potential (V)")
    return figure


def _line(*corners: Any) -> Any:
    """Draw a line through the `corners`; return its last part."""
    for start, end in itertools.pairwise(corners):
        part = elm.Line().at(start).to(end)
    return part


def _control(*corners: Any) -> Any:
    """Draw a control line through the `corners`; return its last part."""
    for ends in itertools.pairwise(corners):
        part = _line(*ends).linestyle("--").color(VERMILLION)
    return part


def _pin(label: str, side: str, *corners: Any) -> Any:
    """Draw a terminal at the end of a line through the `corners`, with a label at its `side`;
    return the terminal.
    """
    if len(corners) > 1:
        _line(*corners)
    return elm.Dot(open=True).at(corners[-1]).label(label, side)


def _cell(x: float, y: float, size: float, label: str = "") -> Any:
    """Draw a memristor of this `size` between the row at height `y` and the column at `x`; return
    it.
    """
    cell = elm.Memristor().at((x - size, y)).to((x, y - size))
    if label:
        cell.label(label, "bottom", ofst=0.1)
    elm.Dot().at(cell.start)
    elm.Dot().at(cell.end)
    return cell


def _memristor() -> None:
    charge = elm.SourceControlledI().at((0, 0)).to((0, 3)).label("K · (V$_D$ − V$_S$)", ofst=0.3)
    elm.Ground().at(charge.start)
    _line((0, 3), (2.8, 3))
    elm.Dot().at((2.8, 3)).label("pump", "top")
    _to_ground(elm.Resistor(), (2.8, 3), "R$_{leak}$")
    elm.Switch().at((2.8, 3)).to((6.2, 3)).label("closed while phi > 0.5 V", "top", ofst=0.6)
    elm.Dot().at((6.2, 3)).label("X", "top")
    _to_ground(elm.Capacitor(), (6.2, 3), "C$_{mem}$")
    _line((6.2, 3), (8.4, 3))
    channel = elm.NFet(bulk=True).reverse().anchor("gate").at((8.4, 3)).theta(0)
    _pin("D, to the input", "right", channel.drain, (channel.drain.x, 4.6))
    _pin("S, to the neuron", "right", channel.source, (channel.source.x, 0.9))
    _line(channel.bulk, (channel.bulk.x + 0.9, channel.bulk.y))
    elm.Ground().label("synapse,\nweight X", "right", ofst=(0.5, 0.6))


def _transistor_cell() -> None:
    for foot, kind, gate in (
        (4.2, elm.PFet, "row up: bright is low"),
        (1.2, elm.NFet, "row down: bright is high"),
    ):
        write = (
            kind()
            .anchor("drain" if kind is elm.PFet else "source")
            .at((0, foot))
            .theta(0)
            .reverse()
        )
        _pin(gate, "left", write.gate, (-2.2, write.gate.y))
        top, bottom = (
            (write.source, write.drain) if kind is elm.PFet else (write.drain, write.source)
        )
        _line(top, (0, foot + 2.0))
        _line(bottom, (0, foot))
    _line((0, 3.2), (0, 4.2))
    _pin("error line of class c", "right", (0, 6.2), (0, 6.6))
    _pin("the same error line", "right", (0, 1.2), (0, 0.8))
    elm.Dot().at((0, 3.7))
    _line((0, 3.7), (6.0, 3.7)).label("w", "top")
    elm.Dot().at((3.2, 3.7))
    _to_ground(elm.Capacitor(), (3.2, 3.7), "C", 1.8)
    read = elm.NFet().anchor("gate").at((6.0, 3.7)).theta(0).reverse()
    _pin("input of pixel i", "right", read.drain, (read.drain.x, 5.6))
    _pin("score of class c", "right", read.source, (read.source.x, 1.8))


def _error_line() -> None:
    line, mirror = 8.4, 1.6
    for x in (mirror, line):
        elm.Vdd().at((x, 6.4)).label("3 V")
    diode = elm.PFet().anchor("source").at((mirror, 6.4)).theta(0)
    copy = elm.PFet().anchor("source").at((line, 6.4)).theta(0).reverse()
    _line(diode.gate, copy.gate)
    _line(diode.gate, (diode.gate.x, diode.drain.y), (mirror, diode.drain.y))
    target = elm.NFet().anchor("drain").at((mirror, 3.4)).theta(0).reverse()
    _line(diode.drain, target.drain)
    _pin("target pin of c", "left", target.gate, (-0.6, target.gate.y))
    arm = elm.NFet().anchor("drain").at((line, 3.4)).theta(0).reverse()
    _line(copy.drain, arm.drain)
    elm.Dot().at((line, 4.4))
    _pin("error line, to all cells of c", "right", (line, 4.4), (line + 1.6, 4.4))
    _pin("score of c", "left", arm.gate, (line - 1.7, arm.gate.y))
    for x, part, label in (
        (mirror, target, "I, shared by all targets"),
        (line, arm, "I, shared by all arms"),
    ):
        bottom = part.source.y - 1.8
        elm.SourceI().at((x, bottom)).up().length(1.8).reverse().label(label, "bottom")
        elm.Ground().at((x, bottom))


def _to_ground(element: Any, top: tuple[float, float], label: str, bottom: float = 0) -> None:
    """Draw `element` from the point `top` down to a ground at height `bottom`."""
    element.at(top).to((top[0], bottom)).label(label, "bottom")
    elm.Ground().at((top[0], bottom))


def _crossbar() -> None:
    count, pitch, row = 3, 3.6, 2.4
    bottom = -count * row
    for i in range(count):
        _pin(f"input {i}", "left", (0, -row * i))
        _line((0, -row * i), (count * pitch, -row * i))
    for j in range(count):
        column, control = pitch * j + 3.0, pitch * j + 0.7
        _line((column, -1.4), (column, bottom))
        _control((control, 1.0), (control, bottom + row - 0.7))
        _pin(f"phi {j}", "top", (control, 1.0)).color(VERMILLION)
        for i in range(count):
            cell = _cell(column, -row * i, 1.4)
            _control((control, cell.center.y), (cell.center.x - 0.35, cell.center.y))
        elm.RBox().at((column, bottom)).to((column, bottom - 2)).label(f"neuron {j}", "bottom")
        _pin(f"output {j}", "bottom", (column, bottom - 2))


def _pairs() -> None:
    """Draw two inputs, the positive and the negative column of one neuron, and what an increase of
    the weight does.
    """
    columns, row = {"+": 3.4, "−": 7.6}, 2.2
    for i in range(2):
        _pin(f"input {i}", "left", (0, -row * i))
        _line((0, -row * i), (8.2, -row * i))
    for sign, x in columns.items():
        _line((x, -1.3), (x, -2 * row))
        _control((x - 2.2, 0.9), (x - 2.2, -row - 0.6))
        elm.Dot(open=True).at((x - 2.2, 0.9)).label(f"phi {sign}", "top", color=VERMILLION).color(
            VERMILLION
        )
        for i in range(2):
            cell = _cell(x, -row * i, 1.3, f"G{sign}")
            _control((x - 2.2, cell.center.y), (cell.center.x - 0.35, cell.center.y))
    bottom, (plus, minus) = -2 * row, columns.values()
    _line((plus, bottom), (plus, bottom - 0.7), (9.6, bottom - 0.7)).label(
        "column", "bottom", ofst=0.1
    )
    _line((minus, bottom), (9.6, bottom)).label("negative", "top", ofst=0.1)
    elm.Rect(corner1=(9.6, bottom + 0.5), corner2=(12.0, bottom - 1.2)).at((0, 0)).theta(0)
    elm.Label().at((10.8, bottom - 0.45)).label("neuron j")
    _pin("output j", "right", (12.0, bottom - 0.35), (12.8, bottom - 0.35))
    elm.Label().at((12.0, -1.6)).color(VERMILLION).label(
        "To raise the weight:\n1. phi + high, rows at +1 V: G+ grows\n2. phi − high, rows at −1 "
        "V: G− falls"
    )


def _neuron() -> None:
    _pin("column", "top", (0, 0))
    _line((0, 0), (1.2, 0))
    x, y = _inverting_stage(1.2, 0, "1 kΩ")
    elm.Resistor().at((x, y)).to((x + 2.6, y)).label("10 kΩ")
    x, y = _inverting_stage(x + 2.6, y, "10 kΩ", negative=True)
    _line((x, y), (x + 0.6, y))
    drive = elm.Opamp(sign=False).anchor("center").at((x + 1.68, y)).theta(0)
    drive.label("1 S", "center", ofst=(-0.3, 0))
    _line(drive.out, (x + 3.5, y))
    elm.Dot()
    _to_ground(elm.Resistor(), (x + 3.5, y), "1 Ω", y - 2.6)
    _line((x + 3.5, y), (x + 5.3, y)).label("membrane")
    elm.Dot()
    _to_ground(elm.Capacitor(), (x + 5.3, y), "150 µF", y - 2.6)
    logic.Schmitt().at((x + 5.3, y)).to((x + 8.1, y)).label("4 V", "top")
    elm.Dot()
    _to_ground(elm.Resistor(), (x + 8.1, y), "1 kΩ", y - 2.6)
    _pin("output", "top", (x + 8.1, y), (x + 9.2, y))


def _inverting_stage(
    x: float, y: float, feedback: str, negative: bool = False
) -> tuple[float, float]:
    """Draw an inverting amplifier with its summing node at (x, y), and with `negative` the negative
    column; return the point of its output.
    """
    elm.Dot().at((x, y))
    _line((x, y), (x + 1.2, y))
    amplifier = elm.Opamp().anchor("in1").at((x + 1.2, y)).theta(0)
    _line(amplifier.in2, (x + 0.8, amplifier.in2.y))
    elm.Ground()
    out = (amplifier.out.x + 0.3, amplifier.out.y)
    _line(amplifier.out, out)
    elm.Dot()
    _line((x, y), (x, y + 1.4))
    elm.Resistor().at((x, y + 1.4)).to((out[0], y + 1.4)).label(feedback)
    _line((out[0], y + 1.4), out)
    if negative:
        _line((x, y), (x, y - 2.4))
        elm.Resistor().at((x, y - 2.4)).to((x - 2.6, y - 2.4)).label("10 kΩ", "bottom")
        _pin("negative\ncolumn (0 V)", "left", (x - 2.6, y - 2.4))
    return out


def _closed_loop() -> None:
    _pin("input i", "left", (-2.0, 2.4))
    _line((-2.0, 2.4), (0, 2.4))
    elm.Memristor().at((0, 2.4)).to((0, 0))
    _line((0, 0), (2.0, 0)).label("column j", "bottom", ofst=0.1)
    elm.RBox().at((2.0, 0)).to((4.6, 0)).label("sum", "top", ofst=0.1)
    _line((4.6, 0), (7.4, 0)).label("membrane j", "top", ofst=0.1)
    elm.Dot().at((6.4, 0))
    elm.Switch().at((6.4, 0)).to((6.4, -2.6)).label(
        "closed while the\nother outputs\nsum to > 0.5 V", "bottom", ofst=0.1
    )
    elm.Ground().at((6.4, -2.6))
    logic.Schmitt().at((7.4, 0)).to((10.2, 0))
    _pin("output j", "right", (10.2, 0), (13.0, 0))
    # From the output back to the memristor.
    elm.Dot().at((10.6, 0)).color(VERMILLION)
    _control((10.6, 0), (10.6, 1.2), (0.3, 1.2)).label(
        "phi j = 1.2 × output j: opens the column's cells", "top", color=VERMILLION
    )
    _homeostasis(11.8, -4.2)


def _homeostasis(x: float, y: float) -> None:
    """Draw the homeostatic capacitor below the output at (x, 0), and the line back to the sum."""
    elm.Dot().at((x, 0))
    _line((x, 0), (x, y - 0.75)).linestyle("--")
    elm.SourceControlledI().at((x - 0.6, y - 2.4)).to((x - 0.6, y + 0.2))
    elm.Ground().at((x - 0.6, y - 2.4))
    elm.Label().at((x + 0.9, y - 1.7)).label("on while\noutput j\nis high")
    _line((x - 0.6, y + 0.2), (3.3, y + 0.2))
    elm.Label().at((4.9, y - 0.9)).label("homeostasis j\nraises the\nthreshold")
    for place, kind, name in ((9.4, elm.Capacitor, "1 nF"), (7.0, elm.Resistor, "320 MΩ")):
        elm.Dot().at((place, y + 0.2))
        _to_ground(kind(), (place, y + 0.2), name, y - 2.4)
    elm.Arrow().at((3.3, y + 0.2)).to((3.3, -0.35))


def _two_layers() -> None:
    inputs = ["input 0", "input 1", "bias"]
    columns = _layer((0.0, 0.0), inputs, ["hidden 0", "hidden 1"])
    left, top = columns[-1] + 1.7, -ROW * len(inputs) - 3.2
    # the leftmost neuron drives the lowest row, so that no wires cross
    for k, x in enumerate(columns[::-1]):
        _line((x, -ROW * len(inputs) - BOX[1]), (x, top - ROW * k), (left, top - ROW * k))
        # From the row of the second layer back to phi of the hidden column.
        right, row, column = x + 1.05, top - ROW * k + 0.35, -ROW * len(inputs) + 0.4
        _control((left + 0.5, row), (right, row), (right, column))
        elm.Arrow().at((right, column)).to((x + 0.1, column)).color(VERMILLION).label(
            "phi", "top", ofst=0.05, color=VERMILLION
        )
    for x, name in zip(
        _layer((left, top), ["", "", "bias"], ["output 0", "output 1"]),
        ("output 0", "output 1"),
        strict=True,
    ):
        end = top - ROW * len(inputs) - BOX[1]
        _pin(name, "bottom", (x, end), (x, end - 0.4))
    elm.Label().at((left + 3.6, -3.4)).color(VERMILLION).label(
        "After an error: rows of the second layer at 0 V, the right\noutput's column at +0.1 V, "
        "the wrong one's at −0.1 V."
        "\nThe current of a row is the difference of its two cells.\nIt sets sign and width of "
        "phi at the hidden neuron's"
        "\ncolumn, while the image is at the inputs once more."
    )


def _layer(corner: tuple[float, float], rows: list[str], names: list[str]) -> list[float]:
    """Draw a crossbar from its upper left `corner`, the reference column first, with labels for
    `rows` and neurons (`names`); return the positions x of its neurons' columns.
    """
    left, top = corner
    bottom = top - ROW * len(rows)
    columns = [left + PITCH * j + 1.9 for j in range(len(names) + 1)]
    for k, name in enumerate(rows):
        if name:
            _pin(name, "left", (left, top - ROW * k))
        _line((left, top - ROW * k), (columns[-1], top - ROW * k))
        for x in columns:
            _cell(x, top - ROW * k, CELL)
    for x, name in zip(columns, ["reference\n5 V cells", *names], strict=True):
        _line((x, top - CELL), (x, bottom))
        elm.Rect(corner1=(x - BOX[0], bottom), corner2=(x + BOX[0], bottom - BOX[1])).at(
            (0, 0)
        ).theta(0)
        elm.Label().at((x - 0.1, bottom - BOX[1] / 2 + 0.2)).label(
            name if "5 V" in name else f"neuron\n{name}", fontsize=9
        )
    for x in columns[:-1]:
        _line((x + BOX[0], bottom - BOX[1] / 2), (x + PITCH - BOX[0], bottom - BOX[1] / 2))
    return columns[1:]


if __name__ == "__main__":
    main()
