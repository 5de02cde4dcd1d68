"""A long session stays flat: the short version of benchmarks/soak.py, which does 20,000 reads and 2,000 writes."""

import numpy as np

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
