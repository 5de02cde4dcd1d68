"""Chips as users name them: a file, a preset or options; what a voltages file says of the chip that it was trained on."""

import argparse
import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memristive.cli.command_line import Parser, quantity_type
from memristive.io.files import atomic_write, to_json, unique_keys
from memristive.io.voltages import Voltages, VoltagesError
from memristive.spice.parameters import ParameterError, Parameters, quantity
from memristive.variability.chip import PRESETS, Chip


@dataclass(frozen=True)
class Age(Parameters):
    """How long ago the voltages were trained."""

    age: float = quantity(0.0, 0.0, 1e12, "s", "time in s since the training; the chip forgets at its decay rate (default: 0)")


FORMAT, VERSION = "in-situ memristive chip", 1
AGE = dataclasses.fields(Age)[0]
FIELDS = [field for field in dataclasses.fields(Chip) if field.name not in ("classes", "inputs")]  # the network has these
DRAWN = [field.name for field in FIELDS if field.metadata.get("distribution") in ("log-normal", "normal", "uniform")]


def save_chip(path: str | Path, chip: Chip) -> None:
    """Write a chip file atomically. Raises FileProblem."""
    atomic_write(Path(path), to_json({"format": FORMAT, "version": VERSION, **chip.as_dict()}))


def load_chip(path: str | Path, classes: int, inputs: int) -> Chip:
    """Read a chip file for a network of classes x inputs. What it leaves out is ideal. Raises ParameterError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=unique_keys)
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror}; a chip is one of {', '.join(PRESETS)}, or a file") from error
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{path}: is no chip file, not usable JSON: {error}") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise ParameterError(f"{path}: is no chip file, expected an object with \"format\": \"{FORMAT}\"")
    version = content.pop("version", None)
    if version != VERSION or type(version) is not int:  # to Python, true and 1.0 equal 1
        raise ParameterError(f"{path}: chip file version {version!r}, expected {VERSION}")
    return chip_from(content, str(path), classes, inputs)


def chip_from(content: Any, path: str, classes: int, inputs: int) -> Chip:
    """The chip that the plain numbers `content` of a file describe. Raises ParameterError."""
    known = {field.name for field in dataclasses.fields(Chip)}
    if not isinstance(content, dict) or not set(content) <= known:
        odd = sorted(set(content) - known)[0] if isinstance(content, dict) else content
        raise ParameterError(f"{path}: a chip has no {odd!r}; it has {', '.join(sorted(known))}")
    try:
        chip = Chip(**({"classes": classes, "inputs": inputs} | content))
        chip.check_shape(classes, inputs)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error
    return chip


def add_chip_options(parser: Parser) -> None:
    """--chip, and an option for each of its deviations."""
    group = parser.add_argument_group("Chip (an ideal one by default)", "d2d: from device to device; c2c: from cycle to cycle")
    group.add_argument("--chip", metavar="FILE", help=f"a chip file (docs/imperfect_chips.md), or one of {', '.join(PRESETS)}")
    for field in FIELDS:
        unit = f" {field.metadata['unit']}" if field.metadata["unit"] else ""
        group.add_argument(f"--chip-{field.name.replace('_', '-')}", type=quantity_type(field), metavar="X",
                           help=f"{field.metadata['meaning']} (default: the chip's, {field.default:g}{unit} if ideal)")


def chosen_chip(options: argparse.Namespace, classes: int, inputs: int) -> Chip | None:
    """The chip that the options describe; None if they say nothing of one.

    Raises ParameterError, also for an option that would change nothing about the chip.
    """
    given = {field.name: getattr(options, f"chip_{field.name}") for field in FIELDS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.chip is None and not given:
        return None
    if options.chip is None or options.chip in PRESETS:
        chip = dataclasses.replace(PRESETS[options.chip or "ideal"], classes=classes, inputs=inputs)
    else:
        chip = load_chip(options.chip, classes, inputs)
    chip = dataclasses.replace(chip, **given)
    drawn = any(getattr(chip, name) for name in DRAWN)
    for name, matters, wanted in (("seed", drawn, "a spread, a share of stuck cells or a noise"),
                                  ("stuck_state", chip.stuck_on, "--chip-stuck-on"),
                                  ("decay_spread", chip.decay_rate, "--chip-decay-rate")):
        if name in given and not matters:
            raise ParameterError(f"--chip-{name.replace('_', '-')} has no bearing on a chip without {wanted}")
    return chip


def add_carry_options(parser: Parser) -> None:
    """The options that ask for the ex-situ case, and for a test long after the training."""
    parser.add_argument("--age", type=quantity_type(AGE), metavar="X", help=AGE.metadata["meaning"])
    parser.add_argument("--carry-over", action="store_true",
                        help="test the voltages on another chip than the one they were trained on: the ex-situ case")


def trained_on(voltages: Voltages, path: str | Path) -> Chip | None:
    """The chip that the voltages of the file `path` were trained on, as they say; None: an ideal one. Raises VoltagesError."""
    if "chip" not in voltages.origin:
        return None
    try:
        return chip_from(voltages.origin["chip"], str(path), *voltages.states.shape)
    except ParameterError as error:
        raise VoltagesError(str(error)) from error


def chip_to_test(options: argparse.Namespace, voltages: Voltages, path: str | Path) -> Chip | None:
    """The chip to test on: the one that the voltages were trained on, or the one that the options describe.

    Another chip has to be asked for, and is warned of. None: an ideal chip. Raises ParameterError, VoltagesError.
    """
    own, asked = trained_on(voltages, path), chosen_chip(options, *voltages.states.shape)
    if asked is None and options.carry_over:
        raise ParameterError("--carry-over has no bearing without another chip to test on; give --chip or a --chip- option")
    if asked is None or _same(asked, own):
        if options.carry_over:
            raise ParameterError(f"--carry-over has no bearing on {_named(own)}, which {path} was trained on")
        return own
    if not options.carry_over:
        raise ParameterError(f"{path} was trained on {_named(own)}, not on {_named(asked)}; give --carry-over to test it there")
    print(f"warning: {path} was trained on {_named(own)} and is carried over to {_named(asked)}: the ex-situ case",
          file=sys.stderr)
    return asked


def aged(options: argparse.Namespace, chip: Chip | None, states: np.ndarray) -> np.ndarray:
    """What the `chip` holds of trained `states` (classes x inputs, V) by the time of the test. Raises ParameterError."""
    if options.age and not (chip and chip.decay_rate):
        raise ParameterError("--age has no bearing on a chip that does not forget; give the whole chip that does: "
                             "--chip-decay-rate beside its other --chip options")
    return chip.kept(states, options.age or 0.0) if chip else states


def _same(one: Chip, other: Chip | None) -> bool:
    return one == other or (one.ideal and (other is None or other.ideal))


def _named(chip: Chip | None) -> str:
    """A chip in a few words: its seed and what is not ideal about it."""
    if chip is None or chip.ideal:
        return "an ideal chip"
    odd = {name: value for name, value in chip.as_dict().items() if value != getattr(Chip(), name)}
    said = ", ".join(f"{name} {value:g}" for name, value in odd.items() if name not in ("classes", "inputs", "seed"))
    return f"chip {chip.seed} ({said})"
