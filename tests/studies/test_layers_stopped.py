"""Layers whose test in ngspice is stopped: what was read is kept, lost by nobody's doing, and gone once all is read."""

import gzip
from types import SimpleNamespace

import pytest

from memristive.cli.command_line import run
from memristive.io.claims import locked
from studies import layer_experiments as layered
from studies import layers
from tests.helpers import one_line


@pytest.fixture
def study(tmp_path, capsys, monkeypatch):
    """study(read, *options): XOR, of whose four images ngspice's part, which is played, reads so many: (exit code, error output).

    Energies are `study.measured`, a letter each time.
    """
    measured = []
    monkeypatch.setattr(layers, "draw", lambda *arguments: None)
    monkeypatch.setattr(layers, "energies", lambda *arguments: measured.append("e") or {})
    monkeypatch.setattr(layers, "print_energies", lambda found: None)

    def call(read, *options, voltages="xor.json"):
        def reads(network, images, jobs):
            for times in network.first_spikes(images)[:read]:
                yield SimpleNamespace(layers=[times])
            if read < len(images):
                raise KeyboardInterrupt
        monkeypatch.setattr(layered, "read_layers", reads)
        places = ["--data", "xor", "--figures", str(tmp_path), "--voltages", str(tmp_path / voltages)]
        code = run(layers.main, [*places, *map(str, options)])
        return code, capsys.readouterr().err
    call.measured = measured
    return call


def rows(path):
    """Of a table of decisions, without its heading."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()[2:]


NGSPICE, OTHERS = ("--test-engine", "ngspice"), "holds decisions of another network or with other options"


def test_a_stopped_test_of_a_voltages_file_is_kept_until_all_is_read(study, tmp_path):
    partial = tmp_path / "layers_xor_test_partial_decisions.csv.gz"
    assert study(4)[0] == study(4, "--seed", 2, "--force", voltages="other.json")[0] == 0
    assert study(2, "--test-only", *NGSPICE)[0] == 130 and len(rows(partial)) == 2
    code, said = study(4, "--test-only", *NGSPICE, voltages="other.json")
    assert code == 2 and OTHERS in one_line(said) and len(rows(partial)) == 2
    with locked(partial):
        code, said = study(4, "--test-only", *NGSPICE)
        assert code == 1 and "is being written by another run" in one_line(said)
    assert study(1, "--test-only", *NGSPICE, "--samples", 1)[0] == 0 and len(rows(partial)) == 2  # which are more
    assert study(4, "--test-only", *NGSPICE, "--force")[0] == 0 and not partial.exists()


def test_a_stopped_test_of_what_was_trained_is_kept_until_all_is_read(study, tmp_path):
    partial = tmp_path / "layers_xor_partial_decisions.csv.gz"
    assert study(2, *NGSPICE)[0] == 130 and len(rows(partial)) == 2
    for options in ((*NGSPICE, "--seed", 2), ()):  # another network, another engine
        code, said = study(4, *options, voltages="other.json")
        assert code == 2 and OTHERS in one_line(said) and len(rows(partial)) == 2
    with locked(partial):
        code, said = study(4, *NGSPICE, "--resume")
        assert code == 1 and "is being written by another run" in one_line(said)
    assert study(4, *NGSPICE, "--resume")[0] == 0 and not partial.exists()


def test_energies_are_measured_where_ngspice_is_asked_for(study):
    """They take a minute: a test in closed form is one of seconds."""
    assert study(4)[0] == study(4, "--test-only")[0] == 0 and study.measured == []
    assert study(4, "--test-only", *NGSPICE)[0] == 0 and study.measured == ["e"]
    assert study(4, *NGSPICE, "--seeds", 2, "--force")[0] == 0 and study.measured == ["e", "e"]  # of the first network
