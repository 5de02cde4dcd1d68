"""The chips to start from have the values that docs/imperfect_chips.md says were published, and no others."""

import re

import pytest

from memristive.variability.chip import PRESETS, Chip
from tests.helpers import ROOT

SOURCES = {"PyCLLN": "pyclln", "Li et al.": "li-2018", "Chen et al.": "chen-2015"}
UNITS = {"%": 1e-2, "mV": 1e-3}


def published():
    """The table's values by preset and field."""
    found = {preset: {} for preset in SOURCES.values()}
    page = (ROOT / "docs" / "imperfect_chips.md").read_text(encoding="utf-8")
    for names, text in re.findall(r"^\| (`.*?`) \|.*\| ([^|]*) \|$", page, re.MULTILINE):
        fields = re.findall(r"`(\w+)`", names)
        for piece in text.split(";"):
            value, unit = re.match(r"\D*([\d. and]+) (%|mV)?", piece.strip()).groups()
            numbers = [float(number) * UNITS.get(unit, 1.0) for number in re.findall(r"[\d.]+", value)]
            told = [field for field in fields if "% spread" not in piece or field.endswith("spread")]
            for source, preset in SOURCES.items():
                if source in piece:
                    found[preset] |= dict(zip(told, numbers, strict=True))
    return found


def test_every_published_value_is_in_the_preset_of_its_source_and_nothing_else():
    found = published()
    assert sum(map(len, found.values())) == 9
    for preset, values in found.items():
        assert PRESETS[preset].as_dict() == pytest.approx(Chip(**values).as_dict(), rel=1e-12), preset


def test_presets_of_no_source_are_the_ideal_chip_and_the_studys_tenth_of_both():
    """The page's "both": gain and write gain of the cells, and the neurons' thresholds (studies/device_variability.py)."""
    assert set(PRESETS) == {*SOURCES.values(), "ideal", "ten-percent"}
    assert PRESETS["ideal"] == Chip()
    odd = {name: value for name, value in PRESETS["ten-percent"].as_dict().items() if value != getattr(Chip(), name)}
    assert odd == {"cell_gain": 0.1, "cell_write_gain": 0.1, "neuron_threshold": 0.1}


def test_an_ideal_chip_deviates_in_nothing():
    """Cells that are stuck on would stand at the paper's on-state (docs/imperfect_chips.md: 7 V)."""
    assert {name: value for name, value in Chip().as_dict().items() if value} == {
        "classes": 10, "inputs": 100, "seed": 1, "stuck_state": 7.0}
