"""The decisions of a test as a file, image by image; and those of a test that ended early, which say whose they are."""

import argparse
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from memristive.io.claims import NotOverwritten
from memristive.io.files import atomic_write, to_json
from memristive.io.results import results_path
from memristive.single_layer.pulses import Schedule
from memristive.single_layer.scores import decide, decision_name
from memristive.single_layer.spike_decoding import lead, strict_decision


def decisions_table(indices: Iterable[int], labels: np.ndarray, spikes: np.ndarray, schedule: Schedule | None,
                    resolution: float, heading: str = "") -> bytes:
    """Compressed CSV, an image a line: image, label, strict and paper's decision, lead and all first spike times in us.

    Without a `schedule`, which says when the paper samples, there is no paper's decision. A `heading` comes before all lines.
    """
    digits = [str(digit) for digit in range(spikes.shape[1])]
    strict = [strict_decision(times, resolution) for times in spikes]
    paper = {"paper_decision": decide(spikes, schedule, resolution)[1]} if schedule else {}
    text = io.StringIO(heading)
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "decision", *paper, "lead_us", *(f"spike_{d}_us" for d in digits)])
    for k, label, decision, *papers, times in zip(indices, labels, strict, *paper.values(), spikes, strict=True):
        writer.writerow([k, label, decision_name(decision, digits), *papers, _microseconds(lead(times)),
                         *map(_microseconds, times)])
    return gzip.compress(text.getvalue().encode(), mtime=0)  # without the time of day: the same bytes from the same run


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.4f}" if np.isfinite(seconds) else ""


def table_path(folder: Path, name: str) -> Path:
    """Where the decisions of a test go."""
    return folder / f"{name}_decisions.csv.gz"


def refuse_fewer(options: argparse.Namespace, name: str, count: int) -> None:
    """Raise NotOverwritten if a test that was stopped before its results left the decisions of more than `count` images."""
    table = table_path(options.figures, name)
    if not options.force and not results_path(options.figures, name).exists():
        before = len(_lines(table)) - 1
        if before > count:
            raise NotOverwritten(f"{table} holds the decisions of {before} images, without their results; --force overwrites "
                                 "it, or write elsewhere")


@dataclass(frozen=True)
class Partial:
    """The decisions of a test that ends early; `made` is all that made them but how many images there were."""

    path: Path
    made: Mapping[str, Any]

    @staticmethod
    def of(folder: Path, name: str, made: Mapping[str, Any]) -> "Partial":
        """That of a test with its results in `folder`; `made` may say how many "samples" were asked for."""
        known = {key: value for key, value in made.items() if key != "samples"}
        return Partial(folder / f"{name}_partial_decisions.csv.gz", known)

    @property
    def heading(self) -> str:
        """The line that says whose decisions these are."""
        return f"# {json.dumps(json.loads(to_json(self.made)), sort_keys=True)}\n"

    def refuse_another(self, force: bool) -> None:
        """Raise NotOverwritten if the file holds decisions of another test than this one, unless `force` gives them up."""
        lines = _lines(self.path)
        if len(lines) > 1 and lines[0] != self.heading and not force:
            raise NotOverwritten(f"{self.path} holds decisions of another network or with other options, as its first line says, "
                                 "of a test that was stopped; --force overwrites it, or write elsewhere")

    def keep(self, indices: Iterable[int], labels: np.ndarray, spikes: np.ndarray, schedule: Schedule | None,
             resolution: float) -> str:
        """Write the decisions of a run that ends early, unless an earlier one of the same test left more.

        Returns the line that says where they are; "" if no image was finished.
        """
        if not (count := len(spikes)):
            return ""
        before = self._count()
        if before <= count:
            atomic_write(self.path, decisions_table(indices, labels, spikes, schedule, resolution, self.heading))
        return f"{max(count, before)} finished images{' of an earlier run' * (before > count)} are kept in {self.path}"

    def drop(self, count: int) -> None:
        """Remove the file, once there are the decisions of all its images and of `count`."""
        if self._count() <= count:
            self.path.unlink(missing_ok=True)

    def _count(self) -> int:
        lines = _lines(self.path)
        return len(lines) - 2 if lines[:1] == [self.heading] else 0


def _lines(table: Path) -> list[str]:
    """The lines of a table; none, if it is not there or none."""
    try:
        return gzip.decompress(table.read_bytes()).decode().splitlines(keepends=True) if table.is_file() else []
    except (OSError, EOFError, zlib.error, UnicodeError):
        return []
