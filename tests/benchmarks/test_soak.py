"""A long session stays flat: the short version of benchmarks/soak.py, which does 20,000 reads and 2,000 writes."""

import numpy as np
import pytest

from benchmarks import soak


def test_memory_and_time_of_reads_and_writes_stay_flat():
    """600 reads, 60 writes. CPU time within 50 %; memory by less than 1 kB a read from the 200th on: runs ended early leak 2.
    The median tells a leak, which every read has, from the steps by which the background thread's memory grows now and then.
    """
    slowest = []
    # A shared machine may change its speed by half within seconds; a session that slows down does so each time.
    while len(slowest) < 3 and not (slowest and slowest[-1] < 1.5):
        times, memory = soak.soak(600)
        ratios, _ = soak.verdict(times, memory)
        assert np.median(np.diff(memory[200::40])) / 40 < 1e-3  # MB a read
        slowest.append(max(ratios.values()))
    assert slowest[-1] < 1.5


def test_another_number_of_reads_draws_nothing(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["soak", "--reads", "200"])
    monkeypatch.setattr(soak, "soak", lambda reads: ({"read": [1e-3] * reads, "write": [1e-3] * (reads // 10)}, np.ones(reads)))
    monkeypatch.setattr(soak.plotting, "save", lambda *_: "figures/soak.png")
    assert soak.main() == 0
    assert "reads: 200," in (said := capsys.readouterr().out) and "wrote" not in said
    monkeypatch.setattr("sys.argv", ["soak"])
    assert soak.main() == 0
    assert "wrote figures/soak.png" in capsys.readouterr().out


def made_up(slower, grown):
    """A soak of 200 reads: 5 MB more in the first tenth, `grown` MB from there on, the last tenth `slower` times as slow."""
    times = {kind: np.where(np.arange(count) < 0.9 * count, 1e-3, slower * 1e-3).tolist()
             for kind, count in (("read", 200), ("write", 20))}
    return times, np.concatenate([np.linspace(60, 65, 21), np.linspace(65, 65 + grown, 180)[1:]])


@pytest.mark.parametrize(("slower", "grown", "code"), [(1.0, 0.0, 0), (1.19, 4.9, 0), (1.21, 0.0, 1), (1.0, 5.1, 1),
                                                       (1.3, 6.0, 1)])
def test_a_session_that_slows_down_or_grows_fails(slower, grown, code, monkeypatch, capsys):
    """By more than 20 %, or by more than 5 MB after the first tenth: one of the two is enough."""
    ratios, growth = soak.verdict(*made_up(slower, grown))
    assert ratios == pytest.approx({"read": slower, "write": slower}) and growth == pytest.approx(grown)
    monkeypatch.setattr("sys.argv", ["soak", "--reads", "200"])
    monkeypatch.setattr(soak, "soak", lambda reads: made_up(slower, grown))
    assert soak.main() == code
    assert f"65.0 MB after the first tenth, {65 + grown:.1f} MB at the end ({grown:+.1f} MB)" in capsys.readouterr().out
