"""Every failure is one clear line, with an exit code that means something; nothing already computed is lost."""

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

import plotting
from learning.error_driven import begin
from records.checkpoints import checkpoint_path, save_checkpoint
from records.claims import locked
from records.files import FileProblem
from spice.session import NgspiceSession, SimulationError, Solver
from tests.helpers import ROOT, page, script, wait_until
from workflow import training_runs
from workflow.command_line import run
from workflow.experiments import xpue_experiment
from workflow.training import chosen_experiment

READ = "MNIST_memristor_test.py"


def one_line(text):
    """The message, once it is certain that it is one line and no traceback."""
    lines = text.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in text, text
    return lines[0]


# ngspice missing or unusable

def test_missing_ngspice_names_the_packages(tmp_path):
    """A Python that finds no library (none in the loader's cache): exit code 2 and the package for each system."""
    hidden = "library.ctypes.util.find_library = lambda name: None; library.os.path.exists = lambda path: False;"
    said = _with_patch(hidden, tmp_path)
    for name in ("libngspice0", "brew install libngspice", "conda-forge ngspice-lib", "Windows"):
        assert name in said


def test_library_that_is_no_ngspice_is_named(tmp_path):
    library = tmp_path / "libngspice.so"
    library.write_bytes(b"not a library")
    assert str(library) in _with_patch("", tmp_path, NGSPICE_LIBRARY_PATH=str(library))


def test_too_old_ngspice_is_refused(tmp_path):
    said = _with_patch("library.OLDEST_NGSPICE = 1000;", tmp_path)
    assert "1000 or newer is needed" in said


def _with_patch(patch, folder, **environment):
    code = (f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            "from spice import library; from studies import device; from workflow import command_line; "
            f"{patch} sys.argv = ['memristor.py']; sys.exit(command_line.run(device.main, ['--figures', {str(folder)!r}]))")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder,
                             env=os.environ | environment)
    assert process.returncode == 2, process.stderr
    return one_line(process.stderr)


def test_unsupported_version_note_does_not_reach_the_user():
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from spice.session import NgspiceSession; NgspiceSession()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0 and process.stdout == process.stderr == ""


# ngspice fails: one exception with its words, the time reached and the netlist; the session works afterwards

def divider(*extra):
    """A 2:1 divider of 1 V, and lines that make ngspice fail."""
    circuit = Circuit("divider")
    circuit.V("in", "top", circuit.gnd, 1.0)
    circuit.R("upper", "top", "middle", 1e3)
    circuit.R("lower", "middle", circuit.gnd, 1e3)
    circuit.raw_spice = "\n".join(extra) + "\n" if extra else ""
    return circuit


CONTRADICTION = ["Bnone x 0 v=v(x)<0.5?1:0"]  # no voltage solves it


FAULTS = {
    "timestep too small": (CONTRADICTION, "imestep too small"),
    "singular matrix": (["Va x 0 1", "Vb x 0 2"], "ingular"),
    "unknown device model": (["Mx top middle 0 0 nowhere"], "nowhere"),
    "line that is no element": (["Rbad top"], "not a valid resistor"),
    "unknown subcircuit": (["Xbad top middle nothing"], "nothing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_ngspice_failure_is_one_exception_and_the_session_goes_on(ngspice, fault):
    lines, words = FAULTS[fault]
    with pytest.raises(SimulationError, match=words) as failure:
        ngspice.load(divider(*lines), Solver(), ["middle"]).run(1e-3)
    netlist = Path(re.search(r"ngspice -b: (\S+)", str(failure.value))[1])
    assert "divider" in netlist.read_text()
    netlist.unlink()
    assert ngspice.load(divider(), Solver(), ["middle"]).run(1e-3)["middle"][-1] == pytest.approx(0.5)


def test_failure_tells_the_simulated_time_reached(ngspice):
    late = ["Bnone x 0 v=(time>5e-4)*(v(x)<0.5?1:0)"]
    with pytest.raises(SimulationError, match=r"stopped at 0\.000[45]\d* s of 0\.001 s"):
        ngspice.load(divider(*late), Solver(), ["middle"]).run(1e-3)


def test_option_that_ngspice_does_not_know_is_refused(ngspice):
    with pytest.raises(SimulationError, match="unsupported integration method"):
        ngspice.load(divider(), Solver(method="euler"), ["middle"])


def test_a_run_that_ends_early_is_not_returned_as_complete(ngspice, monkeypatch):
    """ngspice says nothing but computes only half of what was asked for: the end time is checked."""
    circuit = ngspice.load(divider(), Solver(max_step=1e-4), ["middle"])
    library = ngspice._engine.ngspice
    send = library.run_in_background
    monkeypatch.setattr(library, "run_in_background",
                        lambda command, *more: send(command.replace("tran 0.001 0.001", "tran 0.001 0.0005"), *more))
    with pytest.raises(SimulationError, match=r"stopped at 0\.0005 s of 0\.001 s"):
        circuit.run(1e-3)


# Arguments

@pytest.mark.parametrize(("arguments", "words"), [
    ((READ, "--samples", "0"), "--samples: must be 1 to 10000, got 0"),
    ((READ, "--jobs", "0"), "--jobs: must be 1 to 1024, got 0"),
    ((READ, "--samples", "nan"), "--samples"),
    ((READ, "--encoding", "colour"), "--encoding"),
    ((READ, "--size", "0"), "--size"),
    (("XPUE_memristive_training.py", "--rule", "backpropagation"), "--rule"),
    (("XPUE_memristive_training.py", "--period", "0.001"), "period must exceed pulse"),
    (("XPUE_memristive_inference.py", "--sampling-step", "0.01"), "step must be below the pulse"),
    (("XPUE_memristive_training.py", "--phi-voltage", "0.4"), "phi_voltage must exceed switch_threshold"),
    (("XPUE_memristive_training.py", "--rise", "inf"), "--rise: must be"),
    (("XPUE_memristive_training.py", "--capacitance", "-1e-13"), "--capacitance: must be"),
    (("XPUE_memristive_training.py", "--width", "0"), "--width: must be"),
    (("XPUE_memristive_training.py", "--resume", "--rule", "error-driven", "--voltages", "/nowhere/x.json"),
     "no such checkpoint"),
    (("memristor.py", "--frequency", "nan"), "--frequency: must be"),
    (("memristor.py", "--phi", "0.1"), "phi"),
    (("memristor_figures.py", "--netlist", "x.cir"), "--netlist"),
    (("reproduce.py", "--samples", "0"), "--samples"),
])
def test_wrong_argument_is_named_with_what_is_allowed(arguments, words, tmp_path, capsys):
    name, *options = arguments
    try:
        code = run(page(name).main, [*options, "--figures", str(tmp_path)])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert words in one_line(capsys.readouterr().err)


# Files

def test_missing_voltages_file_is_one_line(tmp_path):
    assert "no such file" in one_line(script(READ, "--voltages", tmp_path / "x.json", code=2))


def test_voltages_of_another_dataset_are_refused(tmp_path):
    said = one_line(script(READ, "--voltages", ROOT / "voltages" / "xpue.json", code=2))
    assert "'xpue'" in said and "'mnist'" in said


@pytest.mark.parametrize("option", ["--figures", "--voltages", "--netlist"])
def test_places_that_cannot_be_written_are_found_before_any_work(option, tmp_path, monkeypatch, capsys):
    """A file where a folder is needed: exit code 1 and one line, before ngspice is asked for anything."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    places = {"--figures": tmp_path, "--voltages": tmp_path / "xpue.json", "--netlist": tmp_path / "xpue.cir"}
    places[option] = blocked if option == "--figures" else blocked / "some.file"
    monkeypatch.setattr(training_runs, "train_hebbian", lambda *_, **__: pytest.fail("trained"))
    code = run(page("XPUE_memristive_training.py").main, [word for pair in places.items() for word in map(str, pair)])
    assert code == 1 and str(places[option]) in one_line(capsys.readouterr().err)


def test_figures_that_cannot_be_drawn_cost_no_training(tmp_path, monkeypatch, capsys):
    """The disk is full when the first figure is saved: exit code 1, one line; voltages and results are there."""
    def full(*arguments):
        raise FileProblem("no space left")
    monkeypatch.setattr(plotting, "save", full)
    voltages = tmp_path / "xpue.json"
    code = run(page("XPUE_memristive_training.py").main, ["--voltages", str(voltages), "--figures", str(tmp_path)])
    assert code == 1 and "no space left" in one_line(capsys.readouterr().err)
    assert voltages.exists() and (tmp_path / "xpue_training_results.json").exists()


def test_full_disk_leaves_no_half_file(tmp_path):
    """A limit on file size stands in for a full disk: the old voltages stay whole."""
    voltages = tmp_path / "xpue.json"
    voltages.write_text("old")
    code = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            f"resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); sys.path.insert(0, {str(ROOT)!r}); "
            "from records.files import atomic_write, FileProblem\n"
            f"try: atomic_write({str(voltages)!r}, 'x' * 1000)\n"
            "except FileProblem as error: print(error)")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert str(voltages) in one_line(said)
    assert voltages.read_text() == "old" and list(tmp_path.iterdir()) == [voltages]


# Ctrl-C and SIGTERM

def stopped(arguments, ready, folder, sent=signal.SIGINT):
    """Start a script, send it the signal (to it alone, as a service manager does) once `ready()` is true; what it said."""
    process = subprocess.Popen([sys.executable, str(ROOT / arguments[0]), *map(str, arguments[1:]), "--figures", str(folder)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=_heed_interrupts if sent == signal.SIGINT else _ignore_interrupts)
    try:
        wait_until(lambda: ready(process.pid) or process.poll() is not None)
        process.send_signal(sent)
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 128 + sent, errors
        own = one_line(errors.strip().rpartition("\n")[2] if arguments[0] == "reproduce.py" else errors)  # its scripts say so too
        assert "Traceback" not in errors and own.endswith(f"stopped by {'Ctrl-C' if sent == signal.SIGINT else 'SIGTERM'}")
        wait_until(lambda: not _left_behind(process.pid))  # the last are just ending
        return out
    finally:
        for left in _left_behind(process.pid):
            os.kill(left, signal.SIGKILL)


def _ignore_interrupts():
    # As a shell starts background jobs: SIGTERM must end them all the same.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _heed_interrupts():
    # A shell starts background jobs with Ctrl-C ignored, and their children inherit that: not what is tested here.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _left_behind(session):
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(folder.name))
    return found


BOTH = pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])


@BOTH
def test_stopped_learning_saves_where_it_was(tmp_path, sent):
    voltages = tmp_path / "xpue.json"
    checkpoint = Path(f"{voltages}.checkpoint")
    arguments = ["XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", 100000, "--voltages", voltages]
    assert "--resume" in stopped(arguments, lambda pid: checkpoint.exists(), tmp_path, sent)
    with np.load(checkpoint) as arrays:
        assert 500 <= arrays["done"] < 100000


@BOTH
def test_stopped_long_transient_stops(tmp_path, sent):
    """One transient of half a minute (20x20): the run is left long before its end."""
    netlist = tmp_path / "started.cir"
    arguments = ["MNIST_memristive_training.py", "--size", 20, "--voltages", tmp_path / "v.json", "--netlist", netlist]
    stopped(arguments, lambda pid: netlist.exists(), tmp_path, sent)
    assert not (tmp_path / "v.json").exists()


@BOTH
def test_stopped_workers_leave_nothing_behind(tmp_path, temporary, sent):
    """Two workers at work; what they finished is kept if a range was done."""
    arguments = [READ, "--jobs", 2, "--voltages", ROOT / "voltages" / "mnist.json"]
    stopped(arguments, lambda pid: list(temporary.glob("*/*.began")), tmp_path / "figures", sent)
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} <= {".gz"}  # no lock, no half file


def test_killed_test_takes_its_workers_with_it(tmp_path, temporary):
    """SIGKILL leaves no time for clearing up: the workers notice."""
    process = subprocess.Popen([sys.executable, str(ROOT / READ), "--jobs", "2", "--figures", str(tmp_path / "figures")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_until(lambda: len({note.read_text() for note in temporary.glob("*/*.began")} - {""}) == 2)  # both at work
        process.kill()
        process.wait()
        wait_until(lambda: not _left_behind(process.pid))
    finally:
        for left in _left_behind(process.pid):
            os.kill(left, signal.SIGKILL)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where the scripts that a test starts keep temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.parametrize(("name", "sent"), [("reproduce.py", signal.SIGINT), ("reproduce.py", signal.SIGTERM),
                                            ("verify.py", signal.SIGTERM)])
def test_stopped_series_ends_with_the_script_at_work(name, sent, tmp_path):
    """reproduce.py once its first script is at work; verify.py in the middle of its own."""
    ready = (lambda pid: _commands(pid, "memristor")) if name == "reproduce.py" else _simulates
    stopped([name], ready, tmp_path, sent)


def _simulates(pid):
    """Whether ngspice is loaded and the process has used the processor for more than all imports take."""
    ticks = sum(map(int, _read(Path("/proc") / str(pid) / "stat").rpartition(")")[2].split()[11:13]))
    return "libngspice" in _read(Path("/proc") / str(pid) / "maps") and ticks > 6 * os.sysconf("SC_CLK_TCK")


def _commands(session, words):
    """Processes of a session whose command line holds `words`."""
    return [pid for pid in _left_behind(session) if words in _read(Path("/proc") / str(pid) / "cmdline")]


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


# Output that nobody takes

LEARN = ["XPUE_memristive_training.py", "--rule", "error-driven", "--presentations", "60"]


@pytest.mark.parametrize(("redirection", "words"), [
    ("| head -1", ""), ("| true", ""), ("> /dev/full", "standard output cannot be written: "), (">&-", ""), ("2>&- >&-", ""),
    ("2> /dev/full > /dev/full", "")])
def test_output_that_nobody_takes_costs_no_results(redirection, words, tmp_path):
    """Voltages, results and every figure are there; at most one line is said."""
    command = f"{sys.executable} {ROOT / LEARN[0]} --voltages {tmp_path / 'v.json'} --figures {tmp_path} {redirection}"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60).stderr
    assert words in one_line(said) if words else said == ""
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"v.json", "xpue_training_results.json",
                     *(f"xpue_{name}.png" for name in ("images", "inputs", "controls", "states", "trained"))}


# Nothing is overwritten unasked

def training(capsys, *options):
    """Exit code and error output of an XPUE training in this process."""
    try:
        code = run(page("XPUE_memristive_training.py").main, [str(word) for word in options])
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().err


def test_voltages_made_with_other_parameters_are_not_overwritten(tmp_path, capsys):
    """The same training again is welcome; another asks for --force, and names what differs."""
    voltages = tmp_path / "xpue.json"
    places = ["--voltages", voltages, "--figures", tmp_path]
    assert training(capsys, *places) == training(capsys, *places) == (0, "")
    before = voltages.read_bytes()
    code, said = training(capsys, "--voltages", voltages, "--figures", tmp_path / "other", "--threshold", 4.5)
    assert code == 2 and "--threshold (4 there, 4.5 now)" in one_line(said) and "--force" in said and str(voltages) in said
    assert voltages.read_bytes() == before
    code, said = training(capsys, "--voltages", tmp_path / "other.json", "--figures", tmp_path, "--threshold", 4.5)
    assert code == 2 and "xpue_training_results.json" in one_line(said)
    assert training(capsys, *places, "--threshold", 4.5, "--force") == (0, "")
    assert voltages.read_bytes() != before


def test_results_of_more_images_are_not_overwritten_by_a_quick_look(capsys):
    """The committed results hold 10,000 images."""
    code = run(page(READ).main, ["--samples", "20"])
    assert code == 2 and "--samples (10000 there, 20 now)" in one_line(capsys.readouterr().err)
    code = run(page("reproduce.py").main, ["--samples", "20"])
    assert code == 2 and "--samples (10000 there, 20 now)" in one_line(capsys.readouterr().err)


def test_checkpoint_with_progress_is_not_overwritten(tmp_path, capsys):
    voltages = tmp_path / "xpue.json"
    places = ["--rule", "error-driven", "--presentations", 20, "--voltages", voltages, "--figures", tmp_path]
    experiment = chosen_experiment(xpue_experiment, argparse.Namespace(presentations=20))
    learning = begin(experiment.rule, 4, 9)
    learning.done = 3
    parameters = training_runs.ErrorDrivenRun(None, experiment, "ngspice").parameters
    save_checkpoint(checkpoint_path(voltages), vars(learning), parameters)
    code, said = training(capsys, *places)
    assert code == 2 and "holds 3 presentations" in one_line(said) and "--resume" in said and "--force" in said
    code, said = training(capsys, *places, "--seed", 2)
    assert code == 2 and "--seed (1 there, 2 now)" in one_line(said) and "--force" in said
    code, said = training(capsys, *places, "--seed", 2, "--resume")
    assert code == 2 and "--seed (1 there, 2 now)" in one_line(said)
    assert training(capsys, *places, "--resume") == (0, "")


def test_notes_are_not_overwritten_by_a_netlist(tmp_path, capsys):
    """A netlist by another one, yes."""
    netlist = tmp_path / "some.cir"
    places = ["--voltages", tmp_path / "v.json", "--figures", tmp_path, "--netlist", netlist]
    netlist.write_text("my notes")
    code, said = training(capsys, *places)
    assert code == 2 and str(netlist) in one_line(said) and "--force" in said and netlist.read_text() == "my notes"
    assert training(capsys, *places, "--force") == training(capsys, *places) == (0, "")


def test_netlist_goes_to_standard_output_as_well(tmp_path):
    said = script("XPUE_memristive_training.py", "--voltages", tmp_path / "v.json", "--figures", tmp_path, "--netlist",
                  "/dev/stdout")
    assert ".title in-situ Hebbian training" in said and "trained 4 x 9 cells" in said


def test_two_runs_on_one_file_exclude_each_other(tmp_path, capsys):
    voltages = tmp_path / "xpue.json"
    with locked(voltages):
        code, said = training(capsys, "--voltages", voltages, "--figures", tmp_path)
    assert code == 1 and f"{voltages} is being written by another run (process {os.getpid()})" in one_line(said)
    assert training(capsys, "--voltages", voltages, "--figures", tmp_path) == (0, "")


@pytest.mark.parametrize("option", ["--resume", "--presentations", "--dose", "--margin", "--seed", "--start-state"])
def test_options_that_the_rule_would_ignore_are_refused(option, tmp_path, capsys):
    value = [] if option == "--resume" else [1]
    code, said = training(capsys, "--voltages", tmp_path / "v.json", option, *value)
    assert code == 2 and option in one_line(said)
    code, said = training(capsys, "--voltages", tmp_path / "v.json", "--rule", "error-driven", "--period", 0.02)
    assert code == 2 and "--period" in one_line(said)


# Same seed, same result

def test_results_depend_on_nothing_but_the_seed(tmp_path):
    """Another working directory, hash seed and locale: identical voltages, Hebbian and error-driven."""
    found = []
    german = {"PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"}
    for k, environment in enumerate(({"PYTHONHASHSEED": "1"}, german)):
        folder = tmp_path / str(k)
        folder.mkdir()
        for rule in ("hebbian", "error-driven"):
            voltages = folder / f"{rule}.json"
            presentations = ["--presentations", 40] if rule == "error-driven" else []
            script("XPUE_memristive_training.py", "--rule", rule, *presentations, "--voltages", voltages, "--figures",
                   folder, folder=folder, env=os.environ | environment)
            found.append(voltages.read_text())
    assert found[:2] == found[2:]


def test_comma_as_decimal_sign_changes_nothing(ngspice, simulate):
    """PySpice and ngspice read and write numbers in C's locale whatever the process's own is."""
    import locale

    before = locale.setlocale(locale.LC_NUMERIC)
    circuit = divider()
    try:
        for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
                break
            except locale.Error:
                continue
        assert simulate(circuit, ["middle"], 1e-3)["middle"][-1] == pytest.approx(0.5)
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)


def test_unforeseen_error_in_a_script_is_not_hidden():
    """`run` turns the errors it knows into one line; a bug must still show itself."""
    def bug(arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(bug, [])


def test_no_eval_pickle_or_shell_in_the_sources():
    forbidden = re.compile(r"\beval\(|\bexec\(|\bpickle\b|shell=True|os\.system|allow_pickle=True")
    for path in [*ROOT.glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        assert not forbidden.search(path.read_text(encoding="utf-8")), path


def test_session_is_usable_after_all_of_this(ngspice):
    assert isinstance(ngspice, NgspiceSession)
    assert ngspice.load(divider(), Solver(), ["middle"]).run(1e-3)["middle"][-1] == pytest.approx(0.5)
