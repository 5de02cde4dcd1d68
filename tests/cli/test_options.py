"""What all scripts share: options made from parameters, one line on a mistake, exit codes, files to write."""

import argparse
import dataclasses
import io
import signal
from pathlib import Path

import pytest

import plotting
from datasets import DatasetError
from memristive.cli import command_line
from memristive.cli.command_line import (
    OURS,
    add_quantities,
    draw,
    make_parser,
    netlist_of,
    print_energy,
    progress,
    quantities,
    quantity_type,
    run,
    volts,
    whole_number,
    write_netlist,
)
from memristive.io.claims import NotOverwritten
from memristive.io.files import ROOT, FileProblem
from memristive.io.voltages import VoltagesError
from memristive.single_layer.error_rule import ErrorDrivenRule
from memristive.single_layer.pulses import Schedule
from memristive.spice.errors import NgspiceMissing, SimulationError
from memristive.spice.parameters import ParameterError, quantity


def refused(parser, *arguments, capsys):
    """What the parser says before it ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith(f"{parser.prog}: ") and said.endswith(f" (see {parser.prog} --help)\n")
    return said


# Options

def test_every_script_has_these_options_and_these_defaults(monkeypatch):
    monkeypatch.setattr(plotting, "style", lambda show: None)  # this machine may have no display
    options = make_parser("What it does.\n  Kept as it stands.").parse_args([])
    assert vars(options) == {"figures": ROOT / "figures", "show": False, "force": False, "netlist": None}
    given = make_parser(None).parse_args(["--figures", "some/folder", "--show", "--force", "--netlist", "x.cir"])
    assert vars(given) == {"figures": Path("some/folder"), "show": True, "force": True, "netlist": Path("x.cir")}
    text = make_parser("What it does.\n  Kept as it stands.").format_help()
    assert "What it does.\n  Kept as it stands." in text
    said = " ".join(text.split())
    for words in ("--figures DIR where figures and results go (default: figures)", "--show show the figures in windows as well",
                  "--force overwrite what was made with other parameters",
                  "--netlist FILE write the exact netlist to FILE, for: ngspice -b FILE"):
        assert words in said


@pytest.mark.parametrize("option", ["--netlist", "--force", "--voltages"])
def test_option_that_a_script_has_no_use_for_is_refused_with_the_reason(option, capsys):
    parser = make_parser(None, {option: "nothing is simulated here"})
    for value in ((), ("x",)):
        assert f"{option} is refused: nothing is simulated here" in refused(parser, option, *value, capsys=capsys)
    assert f"{option} [FILE]" in parser.format_help()


@pytest.mark.parametrize("number", ["-1e-13", "-.5", "-3", "-inf", "-NaN"])
def test_negative_number_is_the_value_of_the_option_before_it(number):
    parser = make_parser(None)
    parser.add_argument("--low")
    assert parser.parse_args(["--low", number]).low == number
    assert parser.parse_args([f"--low={number}"]).low == number
    with pytest.raises(SystemExit):  # after a value, or a value given already, it is none
        parser.parse_args(["--low=1", number])
    with pytest.raises(SystemExit):
        parser.parse_args([number])
    with pytest.raises(SystemExit):
        parser.parse_args(["--low", "-x"])


def test_arguments_are_the_processs_own_unless_given(monkeypatch):
    monkeypatch.setattr("sys.argv", ["some.py", "--figures", "-1"])
    assert make_parser(None).parse_args().figures == Path("-1")


def test_figures_are_shown_if_asked_for(monkeypatch):
    styles = []
    monkeypatch.setattr(plotting, "style", styles.append)
    for arguments in ([], ["--show"]):
        make_parser(None).parse_args(arguments)
    assert styles == [False, True]


def test_quantities_become_options_with_unit_range_and_default(capsys):
    parser = make_parser(None)
    add_quantities(parser, Schedule(pulse=2e-3))
    said = " ".join(parser.format_help().split())
    assert "Schedule: --pulse X length of a pulse (default: 0.002 s)" in said
    assert vars(parser.parse_args([])).keys() == {"figures", "show", "force", "netlist"}  # what is not given is not there
    given = parser.parse_args(["--pulse", "0.003", "--input-voltage", "2"])
    assert (given.pulse, given.input_voltage) == (3e-3, 2.0)
    assert quantities(Schedule(), vars(given)) == Schedule(pulse=3e-3, input_voltage=2.0)
    parser = make_parser(None)
    add_quantities(parser, Schedule(), ("pulse", "rise"), {"rise": "that of another"})
    said = " ".join(parser.format_help().split())
    assert "length of a pulse (default: 0.005 s) --rise X" in said and "(default: that of another)" in said
    assert "--period" not in said
    assert "--pulse: must be 1e-06 to 10 s, got 11" in refused(parser, "--pulse", "11", capsys=capsys)
    assert "--pulse: must be 1e-06 to 10 s, got long" in refused(parser, "--pulse", "long", capsys=capsys)


def test_only_quantities_that_are_named_become_options():
    parser = make_parser(None)
    add_quantities(parser, Schedule(), ("pulse", "rise"))
    text = parser.format_help()
    assert "--pulse" in text and "--rise" in text and "--period" not in text


def test_quantity_without_a_unit_shows_none():
    parser = argparse.ArgumentParser()
    add_quantities(parser, ErrorDrivenRule())
    assert "(default: 60000)" in " ".join(parser.format_help().split())


@pytest.mark.parametrize(("name", "text", "value"), [("presentations", "5", 5), ("margin", "0", 0.0), ("seed", "0", 0)])
def test_counts_are_whole_and_quantities_are_floats(name, text, value):
    parse = quantity_type(next(field for field in dataclasses.fields(ErrorDrivenRule) if field.name == name))
    assert parse(text) == value and type(parse(text)) is type(value)
    with pytest.raises(argparse.ArgumentTypeError):
        parse("-1")
    if isinstance(value, int):
        with pytest.raises(argparse.ArgumentTypeError, match=r"must be a whole number, \d.* got 0\.5"):
            parse("0.5")


def test_voltages_lie_within_their_bounds():
    parse = volts(0.5, 2)
    assert [parse(text) for text in ("0.5", "2", "1e0")] == [0.5, 2.0, 1.0] and isinstance(parse("2"), float)
    for text in ("0.49", "2.1", "nan", "two"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"^must be 0.5 to 2 V, got {text}$"):
            parse(text)


def test_whole_number_lies_within_its_bounds():
    parse = whole_number(2, 4)
    assert [parse(text) for text in "234"] == [2, 3, 4]
    for text in ("1", "5", "2.0", "two"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"^must be a whole number, 2 to 4, got {text}$"):
            parse(text)


@pytest.mark.parametrize("text", ["", "nowhere/"])
def test_name_of_no_file_is_refused(text, capsys):
    """Of a variable that is not set, the default would have been taken in silence."""
    with pytest.raises(SystemExit):
        make_parser(None).parse_args(["--netlist", text])
    assert f"must name a file, got {text!r}" in capsys.readouterr().err
    assert make_parser(None).parse_args(["--netlist", "a b.cir"]).netlist == Path("a b.cir")


@pytest.mark.parametrize("name", ["figures/xpue.png", "figures/stdp_xpue.GIF", "voltages/xpue.json", "xpue.JSON"])
def test_netlist_is_not_named_like_the_files_that_a_run_writes_besides(name, capsys):
    with pytest.raises(SystemExit):
        make_parser(None).parse_args(["--netlist", name])
    assert "--netlist: must not be named like" in (said := capsys.readouterr().err) and name in said


def test_parameters_that_make_no_sense_together_are_refused():
    with pytest.raises(ParameterError, match="period must exceed pulse"):
        quantities(Schedule(), {"pulse": 0.02, "threshold": 3.0})


# Files

def test_netlist_is_written_only_if_asked_for(tmp_path, capsys):
    write_netlist(None, lambda: pytest.fail("made"))
    path = tmp_path / "some.cir"
    write_netlist(path, lambda: ".title some\nR1 a 0 1\n")
    assert path.read_text() == f".title some\n{OURS}\nR1 a 0 1\n" and OURS.startswith("*")
    assert capsys.readouterr().out == f"wrote {path}; run it with: ngspice -b {path}\n"
    options = argparse.Namespace(netlist=path, force=False)
    assert netlist_of(options) == [path]
    write_netlist(path, lambda: ".title some\n", "before")
    assert f"wrote {path} (before); run it with" in capsys.readouterr().out
    write_netlist(tmp_path / "with space.cir", lambda: ".title some\n")
    assert capsys.readouterr().out.endswith(f"ngspice -b '{tmp_path}/with space.cir'\n")


@pytest.mark.parametrize(("content", "force", "fine"), [
    (None, False, True), ("", False, True), (f".title x\n{OURS}\nR1 a 0 1", False, True), ("notes", False, False),
    ("notes", True, True), (".title of a user's own\nR1 a 0 1", False, False), (".title x", False, False), ("\n", False, False),
    (f"{OURS}\nR1 a 0 1", False, False)])
def test_only_a_netlist_is_overwritten_by_a_netlist(content, force, fine, tmp_path):
    path = tmp_path / "some.cir"
    if content is not None:
        path.write_text(content)
    options = argparse.Namespace(netlist=path, force=force)
    if fine:
        assert netlist_of(options) == [path]
    else:
        with pytest.raises(NotOverwritten, match=r"some\.cir is there, and no netlist of this project's; --force overwrites it$"):
            netlist_of(options)
    assert netlist_of(argparse.Namespace(netlist=None, force=force)) == []


def test_figure_is_drawn_saved_and_named(tmp_path, monkeypatch, capsys):
    saved = []

    def save(*given):
        saved.append(given)
        return "some.png"
    monkeypatch.setattr(plotting, "save", save)
    draw(argparse.Namespace(figures=tmp_path, show=True), "name", lambda a, b=0: ("figure", a, b), 1, b=2)
    assert saved == [(("figure", 1, 2), tmp_path, "name", True)]
    assert capsys.readouterr().out == "wrote some.png\n"


# What is said

def test_energies_are_told_in_their_units(capsys):
    print_energy("one write", {"inputs": 1.23456e-6, "phi": 5.6789e-12})
    assert capsys.readouterr().out == ("energy of one write: 1.235 uJ from the inputs, 5.679 pJ from phi (op-amps and "
                                       "transconductances are ideal and not counted)\n")
    print_energy("one write", {"inputs": float("nan"), "phi": float("nan")})
    assert capsys.readouterr().out == "energy of one write: not known above 15 V, where the channels' junctions conduct\n"


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self):
        return True


def test_progress_shows_on_a_terminal_alone_and_after_a_while(monkeypatch, capsys):
    assert list(progress(iter("abc"), 3, "reading", "image", quick=0.0)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")
    for quick, shown in ((0.0, True), (60.0, False)):
        monkeypatch.setattr("sys.stderr", Terminal())
        bar = progress(iter("abc"), 3, "reading", "image", quick=quick)
        list(bar)
        said = command_line.sys.stderr.getvalue()
        assert ("reading" in said and "/3" in said and "image" in said) == shown
        assert bar.leave is False and bar.dynamic_ncols and (bar.total, bar.delay) == (3, quick)
    assert progress([], 0, "reading", "image").delay == 2.0


def test_parsed_options_join_those_that_there_were(monkeypatch):
    monkeypatch.setattr(command_line, "_load_figures", lambda show: None)
    before = argparse.Namespace(size=4)
    found, rest = make_parser(None).parse_known_args(["--force"], before)
    assert found is before and (found.size, found.force, rest) == (4, True, [])


@pytest.mark.parametrize(("kind", "default", "text", "value"), [
    ("float", 2.0, "2.5", 2.5), ("int", 2, "3", 3), (float, 2.0, "3", 3.0)])
def test_option_has_the_type_of_its_quantity_also_where_annotations_are_text(kind, default, text, value):
    made = dataclasses.make_dataclass("Made", [("volts", kind, quantity(default, 1, 5, "V", "some voltage"))])
    parsed = quantity_type(dataclasses.fields(made)[0])(text)
    assert parsed == value and type(parsed) is type(default)


def test_figures_load_in_a_thread_that_keeps_no_program_from_ending(monkeypatch):
    started = []
    monkeypatch.setattr(command_line.threading.Thread, "start", lambda thread: started.append(thread))
    monkeypatch.setattr(command_line, "_early", [])
    make_parser(None).parse_args([])
    assert [thread.daemon for thread in started] == [True]


# Exit codes

@pytest.mark.parametrize(("error", "code"), [
    (ParameterError("a"), 2), (VoltagesError("b"), 2), (NotOverwritten("c"), 2), (DatasetError("d"), 2), (NgspiceMissing("e"), 2),
    (SimulationError("f"), 1), (FileProblem("g"), 1), (KeyboardInterrupt(), 130)])
def test_what_goes_wrong_is_one_line_and_an_exit_code(error, code, monkeypatch, capsys):
    def main(arguments):
        assert arguments == ["--given"]
        raise error
    monkeypatch.setattr("sys.argv", ["some/folder/page.py"])
    assert run(main, ["--given"]) == code
    said = "stopped by Ctrl-C" if code == 130 else str(error)
    assert capsys.readouterr() == ("", f"page.py: {said}\n")


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_exit_code_is_the_scripts_own(result, code, capsys):
    def main(arguments):
        print("done")
        return result
    assert run(main) == code
    assert capsys.readouterr() == ("done\n", "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_end_asked_for_by_a_service_manager_or_a_closed_terminal_has_its_own_code(name, capsys):
    number = signal.Signals[name]
    before = signal.getsignal(number)

    def main(arguments):
        signal.raise_signal(number)
    assert run(main) == 128 + number
    assert capsys.readouterr().err.endswith(f": stopped by {name}\n")
    assert signal.getsignal(number) is before


class Broken(io.StringIO):
    """A standard output that cannot be written."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.mark.parametrize(("error", "code", "said"), [
    (OSError(28, "No space left on device"), 1, "standard output cannot be written: [Errno 28] No space left on device\n"),
    (BrokenPipeError(32, "Broken pipe"), 0, "")])
def test_output_that_cannot_be_written_is_told_unless_its_reader_left(error, code, said, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Broken(error))
    done = []

    def main(arguments):
        print("some result")
        done.append(True)
    assert run(main) == code and done
    assert capsys.readouterr().err.endswith(said)


def test_error_counts_for_more_than_output_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Broken(OSError(28, "No space left on device")))

    def main(arguments):
        print("some result")
        raise ParameterError("threshold must be above 0")
    assert run(main) == 2
    assert capsys.readouterr().err.endswith(": threshold must be above 0\n")
