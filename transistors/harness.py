"""Run the circuit of transistors in the program ngspice, score its outputs, and add up the energy that each driver delivers."""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memristive.spice.parameters import NgspiceMissing, SimulationError
from transistors.circuit import SLOT
from transistors.schedule import Schedule, pin_names

READ_AT = 0.9  # of an image's slot
RESOLUTION = 1e-6  # V, below which the two highest scores are tied
TIED = -1  # predicted class of a tie
TROUBLE = re.compile(r"\baborted\b|\bfatal\b|^\s*error|singular matrix", re.IGNORECASE | re.MULTILINE)
POLL = 1.0  # s between two looks at a running simulation


@dataclass(frozen=True)
class Trace:
    """Saved vectors of a transient: `time` in s, their ngspice `names`, and `values` in V and A (points x names)."""

    time: np.ndarray
    names: list[str]
    values: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self.values[:, self.names.index(name.lower())])

    def at(self, name: str, times: np.ndarray) -> np.ndarray:
        """Return a vector at the given times in s, interpolated."""
        return np.interp(times, self.time, self[name])


def simulate(text: str, stop: float, watch: Callable[[float], None] | None = None) -> tuple[Trace, float]:
    """Run a netlist by ``ngspice -b -r``; return its trace and the seconds it took.

    Parameters
    ----------
    text : str
        Netlist with .tran and .save.
    stop : float
        End of the transient in s.
    watch : callable, optional
        Called about each second with the simulated time in s.

    Raises
    ------
    SimulationError
        ngspice stopped early or printed an error. Its log is searched, because an aborted run still writes data and returns 0.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, begin = Path(name), time.monotonic()
        (folder / "learner.cir").write_text(text)
        with (folder / "log").open("w") as log:
            try:
                process = subprocess.Popen(["ngspice", "-n", "-b", "-r", "trace.raw", "learner.cir"], cwd=folder, stdout=log,
                                           stderr=subprocess.STDOUT)
            except FileNotFoundError:
                raise NgspiceMissing("the program ngspice was not found; Debian, Ubuntu: apt-get install ngspice") from None
            try:
                while True:
                    try:
                        process.wait(POLL)
                        break
                    except subprocess.TimeoutExpired:
                        if watch and (last := _last_time(folder / "trace.raw")) is not None:
                            watch(last)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        seconds, said = time.monotonic() - begin, (folder / "log").read_text(errors="replace")
        complaint = TROUBLE.search(said)
        if complaint or process.returncode or not (folder / "trace.raw").exists():
            begin_of_line = said.rfind("\n", 0, complaint.start() if complaint else len(said)) + 1
            raise SimulationError(f"ngspice failed on the learner: {said[begin_of_line:begin_of_line + 300].strip()!r}")
        trace = _read(folder / "trace.raw")
    if abs(trace.time[-1] - stop) > 1e-9 * stop or not np.isfinite(trace.values).all() or (np.diff(trace.time) <= 0).any():
        raise SimulationError(f"ngspice's trace ends at {trace.time[-1]:g} s instead of {stop:g} s, or is damaged")
    return trace, seconds


def _header(path: Path) -> tuple[list[str], int]:
    """Return the names in a raw file and the position of its data."""
    with path.open("rb") as file:
        names: list[str] = []
        for line in iter(file.readline, b""):
            words = line.decode().split()
            if words[:1] == ["Binary:"]:
                return names, file.tell()
            if line.startswith(b"\t"):
                names.append(words[1].lower())
    return [], 0


def _last_time(path: Path) -> float | None:
    """Return the time in s of the last complete point in a raw file that ngspice is writing; None without points."""
    if not path.exists():
        return None
    names, data = _header(path)
    points = (path.stat().st_size - data) // (8 * len(names)) if names else 0
    if points < 1:
        return None
    return float(np.fromfile(path, "<f8", 1, offset=data + (points - 1) * 8 * len(names))[0])


def _read(path: Path) -> Trace:
    names, data = _header(path)
    values = np.fromfile(path, "<f8", offset=data)
    values = values[:len(values) // len(names) * len(names)].reshape(-1, len(names))
    return Trace(values[:, 0], names, values)


def predictions(trace: Trace, schedule: Schedule, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class with the highest output (`TIED` for two within 1 uV), and all outputs in V, for images of the schedule.

    Parameters
    ----------
    trace : Trace
    schedule : Schedule
    shown : int or bool array
        Indices or mask of these images in the schedule.
    """
    times = schedule.begins[shown] + READ_AT * SLOT
    outputs = np.array([trace.at(f"v({name})", times) for name in pin_names(schedule.inputs, schedule.classes)[1]]).T
    return decisions(outputs), outputs


def decisions(outputs: np.ndarray) -> np.ndarray:
    """Return the class of the highest output of each row, `TIED` where another is within 1 uV."""
    first_two = np.sort(outputs, axis=1)[:, -2:]
    return np.where(first_two[:, 1] - first_two[:, 0] <= RESOLUTION, TIED, outputs.argmax(axis=1))


def named(classes: Sequence[int], scores: np.ndarray) -> np.ndarray:
    """Return the class with the highest score in each row (images x `classes`); a tie stays `TIED`."""
    numbers = decisions(scores)
    return np.where(numbers < 0, numbers, np.array(classes)[numbers])


def delivered(times: np.ndarray, power: np.ndarray, begin: float, end: float) -> float:
    """Return the energy in J that a source delivers from `begin` to `end` (s), if its `power` (W) is linear between `times`.

    Negative power flows back into the source and counts as 0.
    """
    inside = (times > begin) & (times < end)
    t = np.r_[begin, times[inside], end]
    p = np.r_[np.interp(begin, times, power), power[inside], np.interp(end, times, power)]
    first, second, dt = p[:-1], p[1:], np.diff(t)
    above = np.maximum(first, 0) + np.maximum(second, 0)
    # Where the line crosses zero, only the share of the time above it counts.
    total = np.abs(first) + np.abs(second)
    share = np.where(first * second < 0, np.divide(above, total, out=np.ones_like(total), where=total > 0), 1.0)
    return float(np.sum(above * share * dt) / 2)


def energies(trace: Trace, schedule: Schedule) -> dict[str, dict[str, float]]:
    """Return by phase and driver the energy in J that each driver delivers: in start-up, training, and inference after it."""
    first, last = (np.flatnonzero(schedule.learning)[[0, -1]] if schedule.learning.any() else (0, -1))
    training, trained = (schedule.startup + SLOT * int(slot) for slot in (first, last + 1))
    phases = {"startup": (float(trace.time[0]), schedule.startup), "training": (training, trained),
              "inference": (trained, float(trace.time[-1]))}
    powers = {name: -trace[f"v({name})"] * trace[f"i(v_{name})"] for name in pin_names(schedule.inputs, schedule.classes)[0]}
    return {phase: {name: delivered(trace.time, power, begin, end) for name, power in powers.items()}
            for phase, (begin, end) in phases.items() if end > begin}


def score(trace: Trace, schedule: Schedule, labels: Sequence[int] | np.ndarray) -> dict[str, Any]:
    """Return the contest's numbers: correct test images, predictions, leads in V, energies in J in total and by driver.

    The test images are the last ones of the schedule; `labels` are theirs.
    """
    predicted, outputs = predictions(trace, schedule, np.arange(len(schedule.images))[-len(labels):])
    leads = np.diff(np.sort(outputs, axis=1)[:, -2:]).ravel()
    energy, labels = energies(trace, schedule), np.asarray(labels)
    groups = {"inputs": "in", "targets": "target"}
    by_part = {phase: {**{name: joules for name, joules in found.items() if not name.startswith(tuple(groups.values()))},
                       **{group: sum(joules for name, joules in found.items() if name.startswith(prefix))
                          for group, prefix in groups.items()}} for phase, found in energy.items()}
    return {"accuracy": float(np.mean(predicted == labels)), "correct": int(np.sum(predicted == labels)), "images": len(labels),
            "tied": int(np.sum(predicted == TIED)), "predictions": predicted.tolist(),
            "lead_V": {"lowest": float(leads.min()), "median": float(np.median(leads))},
            "inference_J_per_image": sum(energy["inference"].values()) / len(labels),
            "startup_J": sum(energy["startup"].values()), "training_J": sum(energy.get("training", {}).values()),
            "energy_by_driver_J": by_part, "points": len(trace.time)}
