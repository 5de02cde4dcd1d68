"""Tables of readings as laboratories write them, in the folder readings/, in the layouts of
instruments and programs. All are of one device, with the steps and noises of `TRUTH`, 25 pulses up
and 25 down.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memristive.devices.curve_fit import fit_pulses
from memristive.devices.measured_device import MeasuredDevice
from memristive.io.readings import read_file, read_over_time, read_readings
from memristive.parameters import ParameterError

FOLDER = Path(__file__).with_name("readings")
PLAIN = pd.read_csv(FOLDER / "plain.csv")
SIGNS = np.where(PLAIN["direction"] == "up", 1, -1)
# S; steps at x = 0 and x = 1
TRUTH = MeasuredDevice(
    "truth", 10e-6, 100e-6, (0.053, 0.003), (0.003, 0.053), write_noise=0.01, read_noise=0.005
)
EACH = {"devices_columns.csv": 3, "devices_below.csv": 2}  # files of several devices
UNUSED = pytest.mark.filterwarnings("ignore:columns that are not used")


def read(path, text=None):
    """Read a file, or a text in its place."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return read_readings(path, 0.1)[0]


def check_plain(readings):
    """Compare readings with plain.csv."""
    if len(readings.conductance) == len(PLAIN) + 1:  # the last one up is the first one down
        assert readings.direction.tolist() == [0, *25 * [1], 0, *25 * [-1]]
        found = np.delete(readings.conductance, 26)
    else:
        assert readings.direction[1:].tolist() == SIGNS[1:].tolist()
        found = readings.conductance
    assert found == pytest.approx(PLAIN["conductance"], rel=1e-5)
    assert (readings.pulses[readings.direction != 0] == 1).all()


@UNUSED
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain.csv", ["taken as S"]),
        ("keithley.csv", ["line 6", "read at 0.1 V"]),
        ("b1500.csv", ["line 9"]),
        ("time_voltage_current.csv", ["reads, others pulses", "µA"]),
        ("labview.txt", ["line 7", "cp1252", "commas"]),
        ("excel_german.csv", ["commas"]),
        ("excel_unicode.txt", ["utf-16", "kΩ"]),
        ("origin.txt", ["units", "µS"]),
        ("r.txt", ["taken as S"]),
        ("matlab.csv", ["uS"]),
        ("numpy.txt", ["kOhm"]),
        ("up_down_currents.csv", ["LTP current", "LTD current"]),
        ("up_down_units.csv", ["units", "LTP (mS)", "LTD (mS)"]),
        ("devices_columns.csv", ["devices 1, 2, 3"]),
        ("devices_below.csv", ["headers left out: 1"]),
        ("two_reads.csv", ["averaged"]),
    ],
)
def test_a_file_gives_the_readings_and_names_each_conversion(capsys, name, words):
    found = read(FOLDER / name)
    assert len(found) == EACH.get(name, 1)
    for one in found:
        check_plain(one)
    printed = capsys.readouterr().out
    assert all(word in printed for word in words) and (words or not printed)


def changed(text, change):
    """Return the text of a CSV file after `change`, a function of its DataFrame."""
    return change(pd.read_csv(io.StringIO(text))).to_csv(index=False)


@UNUSED
@pytest.mark.parametrize(
    ("name", "word", "remedy", "then"),
    [
        (
            "two_reads_without_numbers.csv",
            "rows 4 to 5 .* 2 times",
            lambda table: table.assign(pulse=np.repeat(PLAIN["pulse"], 2).to_numpy()),
            None,
        ),
        (
            "incremental.csv",
            "up have 26 voltages",
            lambda table: table[table["voltage (V)"].abs() == 1],
            "same sign",
        ),
        (
            "widths.csv",
            "up have 26 widths",
            lambda table: table[table["Pulse width (ns)"] == 200],
            "3 pulses",
        ),
        (
            "retention.csv",
            "no pulses",
            lambda table: table.assign(direction=PLAIN["direction"]),
            None,
        ),
        (
            "cycles.csv",
            "one LRS",
            lambda table: table.set_axis(["cycle", "down (ohm)", "up (ohm)"], axis=1),
            "every row",
        ),
        (
            "logarithms.csv",
            "logarithms",
            lambda table: table.assign(conductance=10 ** table["log10(G/S)"]),
            None,
        ),
        (
            "shares.csv",
            "'conductance .uS.'",
            lambda table: table.assign(conductance=1e2 * table["conductance"]).rename(
                columns={"conductance": "conductance (uS)"}
            ),
            None,
        ),
        (
            "same_names.csv",
            "'conductance' and 'Conductance",
            lambda table: table.drop(columns="conductance"),
            None,
        ),
        (
            "current_and_voltage.csv",
            "lowest is 1.2 V",
            lambda table: table.rename(columns={"Voltage": "pulse voltage"}),
            None,
        ),
    ],
)
def test_a_file_is_refused_and_the_remedy_works(tmp_path, name, word, remedy, then):
    text = (FOLDER / name).read_text()
    with pytest.raises(ParameterError, match=word) as caught:
        fitted(read(FOLDER / name))
    assert "\n" not in str(caught.value)
    if then is None:
        check_plain(read(tmp_path / "t.csv", changed(text, remedy))[0])
        return
    with pytest.raises(ParameterError, match=then):
        fitted(read(tmp_path / "t.csv", changed(text, remedy)))


def fitted(readings):
    """Fit the first of several readings."""
    return fit_pulses(readings[0].conductance, readings[0].direction, pulses=readings[0].pulses)


def test_decimal_commas_between_commas_are_refused(tmp_path):
    text = (FOLDER / "decimal_commas.csv").read_text()
    with pytest.raises(ParameterError, match=r"row 2 .*points"):
        read(FOLDER / "decimal_commas.csv")
    check_plain(read(tmp_path / "t.csv", re.sub(r",(\d+e)", r".\1", text))[0])


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("pulse,G (a.u.),direction", "G .a.u..* unit"),
        ("Pulse (V),G,direction", "Pulse .V."),
        ("1,2,direction", "no header"),
        ("pulse,G read 1,G read 2", "missing"),
    ],
)
def test_a_header_that_does_not_do_is_named(tmp_path, header, word):
    text = (FOLDER / "plain.csv").read_text().replace("pulse,conductance,direction", header)
    with pytest.raises(ParameterError, match=word):
        read(tmp_path / "t.csv", text)


@pytest.mark.parametrize("content", [b"PK\x03\x04...", b""])
def test_files_that_are_no_text_are_one_line(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ParameterError, match=r"t\.csv"):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["model.va", "model.lib"])
def test_a_circuit_is_no_table(tmp_path, name):
    with pytest.raises(ParameterError, match=f"{name} .*model file"):
        read(tmp_path / name, "module a(p, n);\ninout p, n;\n1, 2\n")


# The forms of rows. From 1 to 4 uS in 40 pulses as a capacitor is charged, and back likewise.
UP = 1e-6 + 3e-6 * np.expm1(-np.arange(41) / 20) / np.expm1(-2)
DOWN = 5e-6 - UP


def long(*sweeps):
    """Return sweeps, pairs of (direction, conductances), as a table with one row for each pulse."""
    parts = [
        pd.DataFrame({"pulse": range(len(curve)), "conductance": curve, "direction": name})
        for name, curve in sweeps
    ]
    return pd.concat(parts, ignore_index=True)


CYCLE = long(("up", UP), ("down", DOWN))


def columns(tmp_path, table, **options):
    """Return conductances, directions and numbers of pulses of a table, through a file."""
    (found,) = read(tmp_path / "t.csv", table.to_csv(**{"index": False, **options}))
    return found.conductance, found.direction, found.pulses


def test_each_way_to_write_directions_and_sweeps_is_read(tmp_path):
    table = pd.concat([CYCLE, CYCLE])
    expected = columns(tmp_path, table)
    assert expected[1].tolist() == ([0] + [1] * 40 + [0] + [-1] * 40) * 2
    assert (expected[0] == [*UP, *DOWN, *UP, *DOWN]).all()
    signs = table["direction"].map({"up": 1, "down": -1})
    first_rows = table.assign(
        sweep=np.where(table["pulse"] == 0, np.arange(len(table)), np.nan)
    ).drop(columns="pulse")
    for other in (
        table.assign(direction=signs),
        table.assign(direction=np.where(table["pulse"] == 0, "", table["direction"])),
        table.assign(voltage=1.5 * signs).drop(columns="direction"),
        table.assign(amplitude=1.5, width=1e-6),
        table.assign(voltage=0.1),
        first_rows,
    ):
        assert (columns(tmp_path, other)[1] == expected[1]).all()
    two = pd.DataFrame({"sweep": [1] * 41 + [2] * 41, "up": [*UP, *UP], "down": [*DOWN, *DOWN]})
    found = columns(tmp_path, two)
    assert found[1].tolist() == ([0] + [1] * 40) * 2 + ([0] + [-1] * 40) * 2
    assert (found[0] == [*UP, *UP, *DOWN, *DOWN]).all()


def test_pulse_numbers_count_the_pulses_between_readings(tmp_path):
    missing = columns(tmp_path, CYCLE[~CYCLE["pulse"].isin([0, 7, 8])])
    assert missing[1].tolist() == [0] + [1] * 37 + [-1] * 38
    assert missing[2][1:].tolist() == [1] * 5 + [3] + [1] * 37 + [3] + [1] * 31
    # numbers go on where the direction turns
    on = CYCLE[CYCLE["pulse"] > 0].assign(pulse=np.arange(1, 81))
    assert columns(tmp_path, on.iloc[::2])[2][1:].tolist() == [2] * 39


@pytest.mark.parametrize(("numbers", "row"), [([0, 1, 3, 2, 4], 5), ([0, 1, 1.5, 2, 3], 4)])
def test_pulse_numbers_that_do_not_rise_in_whole_numbers_are_refused(tmp_path, numbers, row):
    table = pd.DataFrame({"pulse": numbers, "conductance": UP[:5], "direction": "up"})
    with pytest.raises(ParameterError, match=f"'pulse'.*row {row}"):
        columns(tmp_path, table)


def test_sweeps_without_a_reading_before_the_first_pulse(tmp_path):
    """A pulse that turns the direction starts from the last reading. Where pulse numbers begin
    again, a sweep starts.
    """
    table = long(("up", UP), ("down", DOWN), ("down", DOWN))
    direction = columns(tmp_path, table[table["pulse"] > 0])[1]
    assert direction.tolist() == [0] + [1] * 39 + [-1] * 40 + [0] + [-1] * 39


@pytest.mark.parametrize("layout", ["direction", "two columns"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_quoted_table_with_names_of_rows_and_comments_is_read(tmp_path, layout, separator):
    """R quotes texts and names the rows."""
    table = pd.DataFrame({"up": UP, "down": DOWN})
    if layout == "direction":
        table = CYCLE.assign(**{"note #, ;": "a, b; c"})
    table.index = table.index.astype(str)
    text = table.to_csv(sep=separator, quoting=csv.QUOTE_NONNUMERIC)
    rows = [" # of 300 K", "", *text.splitlines(), "", "# end"]
    (tmp_path / "table.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    (found,) = read(tmp_path / "table.csv")
    for one, other in zip(
        (found.conductance, found.direction, found.pulses), columns(tmp_path, table), strict=True
    ):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        (["1.2,1e-6", "1.2,2e-6"], "rows 3 and 4 are both pulses"),
        (["1.2,1e-6", "-1.2,2e-6"], "up and down"),
    ],
)
def test_pulses_that_nobody_can_count_are_refused(tmp_path, rows, word):
    text = ["voltage,current", "0.1,1e-6", *rows, "0.1,2e-6", "0.1,2e-6"]
    with pytest.raises(ParameterError, match=word):
        read(tmp_path / "t.csv", "\n".join(text))


def test_a_read_voltage_in_the_table_that_is_another_one_is_refused(tmp_path):
    table = CYCLE.assign(**{"Read voltage (mV)": 200, "I (A)": 0.2 * CYCLE["conductance"]})
    with pytest.raises(ParameterError, match=r"--read-voltage 0\.2"):
        columns(tmp_path, table.drop(columns="conductance"))
    (found,) = read_readings(tmp_path / "t.csv", 0.2)[0]
    assert found.conductance == pytest.approx(CYCLE["conductance"])


def test_a_cycle_that_begins_with_a_pulse_interrupts_nothing(tmp_path):
    """Filaments: each cycle is a SET and then RESETs, so SET follows the last RESET before it."""
    rows = [
        (cycle, way, g) for cycle in range(4) for way, g in (("SET", 9), ("RESET", 5), ("RESET", 2))
    ]
    table = pd.DataFrame(rows, columns=["cycle", "direction", "G (uS)"])
    table.to_csv(tmp_path / "filament.csv", index=False)
    (found,), _ = read_readings(tmp_path / "filament.csv", 0.1)
    assert found.direction.tolist() == [0, -1, -1, *[1, -1, -1] * 3]
    assert set(found.pulses[1:]) == {1}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("Time (h)", 3600), ("time [min]", 60), ("t (ms)", 1e-3), ("time (d)", 86400)],
)
def test_times_are_converted_and_the_reading_at_0_s_is_left_out(tmp_path, header, seconds):
    path = tmp_path / "aging.csv"
    pd.DataFrame({header: [0, 1, 2, 4], "G (uS)": [9, 8, 7, 6]}).to_csv(path, index=False)
    time, siemens, _ = read_over_time(path, 0.1, read_file(path))
    assert time == pytest.approx(seconds * np.array([1, 2, 4]))
    assert siemens == pytest.approx([8e-6, 7e-6, 6e-6])
