"""Every failure is one clear line, with an exit code that means something; nothing already computed is lost."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PySpice.Spice.Netlist import Circuit

import plotting
from memristive.cli import training_runs
from memristive.cli.command_line import run
from memristive.io.files import FileProblem
from memristive.spice.session import NgspiceSession, SimulationError, Solver
from tests.helpers import ROOT, one_line, page, script

READ = "MNIST_memristor_test.py"



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
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from memristive.spice.session import NgspiceSession; NgspiceSession()"
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
    "unknown parameter of an element": (["R1 top middle 1k nonsense=3"], "nonsense"),
    "second subcircuit of one name": ([".subckt half a b", "R1 a b 1k", ".ends", ".subckt half a b", "R1 a b 2k", ".ends",
                                       "Xh top 0 half"], "redefinition of .subckt half"),
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
        ngspice.load(divider(".options method=euler"), Solver(), ["middle"])


@pytest.mark.parametrize("reached", ["0.0005", "0.000999"])
def test_a_run_that_ends_early_is_not_returned_as_complete(reached, ngspice, monkeypatch):
    """ngspice says nothing but computes only a part of what was asked for: the end time is checked."""
    circuit = ngspice.load(divider(), Solver(max_step=1e-4), ["middle"])
    library = ngspice._engine.ngspice
    send = library.run_in_background
    monkeypatch.setattr(library, "run_in_background",
                        lambda command, *more: send(command.replace("tran 0.001 0.001", f"tran 0.001 {reached}"), *more))
    with pytest.raises(SimulationError, match=rf"stopped at {reached} s of 0\.001 s"):
        circuit.run(1e-3)


# Arguments

@pytest.mark.parametrize(("arguments", "words"), [
    ((READ, "--samples", "0"), "--samples: must be a whole number, 1 to 10000, got 0"),
    ((READ, "--jobs", "0"), "--jobs: must be a whole number, 1 to 1024, got 0"),
    ((READ, "--samples", "nan"), "--samples"),
    ((READ, "--encoding", "colour"), "--encoding"),
    ((READ, "--size", "0"), "--size"),
    (("XPUE_memristive_training.py", "--rule", "backpropagation"), "--rule"),
    (("XPUE_memristive_training.py", "--period", "0.001"), "period must exceed pulse"),
    (("XPUE_memristive_inference.py", "--sampling-step", "0.01"), "sampling_step must be below the pulse"),
    (("XPUE_memristive_training.py", "--phi-voltage", "0.4"), "phi_voltage must exceed switch_threshold"),
    (("XPUE_memristive_training.py", "--rise", "inf"), "--rise: must be"),
    (("XPUE_memristive_training.py", "--capacitance", "-1e-13"), "--capacitance: must be"),
    (("XPUE_memristive_training.py", "--width", "0"), "--width: must be"),
    (("XPUE_memristive_training.py", "--resume", "--rule", "error-driven", "--voltages", "nowhere/x.json"),
     "no such checkpoint"),
    (("memristor.py", "--frequency", "nan"), "--frequency: must be"),
    (("memristor.py", "--phi", "0.1"), "phi"),
    (("memristor_figures.py", "--netlist", "x.cir"), "--netlist"),
    (("reproduce.py", "--samples", "0"), "--samples"),
])
def test_wrong_argument_is_named_with_what_is_allowed(arguments, words, tmp_path, capsys, monkeypatch):
    name, *options = arguments
    monkeypatch.chdir(tmp_path)  # where the voltages of nowhere are looked for
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


@pytest.mark.parametrize(("name", "work"), [("verify.py", "NgspiceSession"), ("studies.engine_agreement", "NgspiceSession"),
                                            ("studies.dose_and_margin", "mnist_experiment")])
def test_results_that_could_not_be_written_are_found_before_minutes_of_work(name, work, tmp_path, monkeypatch, capsys):
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    monkeypatch.setattr(page(name), work, lambda *_, **__: pytest.fail("began"))
    assert run(page(name).main, ["--figures", str(blocked)]) == 1
    assert "blocked" in one_line(capsys.readouterr().err)


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
            "from memristive.io.files import atomic_write, FileProblem\n"
            f"try: atomic_write({str(voltages)!r}, 'x' * 1000)\n"
            "except FileProblem as error: print(error)")
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert str(voltages) in one_line(said)
    assert voltages.read_text() == "old" and list(tmp_path.iterdir()) == [voltages]


@pytest.mark.parametrize("work", [
    f"import subprocess; sys.exit(subprocess.call([sys.executable, {str(ROOT / 'XPUE_memristive_inference.py')!r}]))",
    "from memristive.spice.session import NgspiceSession, SimulationError\n"
    "try: NgspiceSession()\nexcept SimulationError as error: sys.exit(str(error))"])
def test_working_folder_that_is_gone_is_one_line(work, tmp_path):
    """Of a script, and of a session, which must not speak of an ngspice that is not installed."""
    gone = f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); os.rmdir(os.getcwd())\n"
    (folder := tmp_path / "folder").mkdir()
    done = subprocess.run([sys.executable, "-c", gone + work], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "the working folder is not there any more" in one_line(done.stderr)


@pytest.mark.parametrize(("place", "text"), [("home", b"\xf6 is no UTF-8"), ("work", b"\xf6"),
                                             ("work", b"figure.figsize: 1, 1\ntext.usetex: True\n")])
def test_settings_of_matplotlib_change_no_figure(tmp_path, place, text):
    """One that is no text, in the working folder, costs nothing but the figures."""
    home, work = tmp_path / "home" / "matplotlib", tmp_path / "work"
    home.mkdir(parents=True)
    work.mkdir()
    ours = os.environ | {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    script("XPUE_memristive_inference.py", "--figures", tmp_path / "usual", folder=work, env=ours)
    ((home if place == "home" else work) / "matplotlibrc").write_bytes(text)
    broken = (place, text) == ("work", b"\xf6")
    said = script("XPUE_memristive_inference.py", "--figures", tmp_path / "changed", folder=work, code=int(broken), env=ours)
    usual, changed = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("usual", "changed"))
    if broken:
        assert "matplotlibrc in this folder" in said and changed.keys() == {"xpue_inference_results.json"}
    else:
        assert changed == usual and len(usual) > 3


def test_modules_in_the_working_folder_are_not_those_of_workers(tmp_path):
    for name in ("random", "numpy", "joblib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a module of the user')")
    script(READ, "--samples", 60, "--jobs", 2, "--figures", tmp_path / "figures", folder=tmp_path)
    assert (tmp_path / "figures" / "mnist_test_results.json").exists()


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
