"""What benchmarks measure themselves, and how it comes into docs/performance.md: units, places, and what is refused."""

import json

import matplotlib.pyplot as plt
import pytest

from benchmarks import report, scripts, soak
from benchmarks.growth import growth_figure

SCRIPT = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[-1] + '/given.json', 'w'))"


@pytest.mark.parametrize("name", ["device.py", "some_training.py"])
def test_a_script_has_its_files_in_the_folder_and_its_memory_in_megabytes(tmp_path, name):
    """A Python without a library takes some ten MB, or as many as this one had when it was forked; a training would write
    voltages/ else.
    """
    (tmp_path / name).write_text(SCRIPT)
    wall, cpu, memory = scripts.measure([str(tmp_path / name), "--jobs", "1"], str(tmp_path))
    assert wall > 0 and cpu >= 0 and 3 < memory < 3000
    voltages = ["--voltages", f"{tmp_path}/{tmp_path / name}.json"] if "training" in name else []
    assert json.loads((tmp_path / "given.json").read_text()) == ["--jobs", "1", *voltages, "--figures", str(tmp_path)]


def test_a_script_that_fails_is_not_timed(tmp_path):
    (tmp_path / "failing.py").write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match=r"failing\.py ended with status"):
        scripts.measure([str(tmp_path / "failing.py")], str(tmp_path))


def test_resident_memory_is_what_the_kernel_says_in_megabytes():
    with open("/proc/self/status", encoding="ascii") as file:
        kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    assert soak.resident() == pytest.approx(kilobytes * 1.024e-3, rel=0.2)


def test_tables_stand_in_columns_and_numbers_to_the_right():
    assert report.markdown(("size", "time/s"), [("5x5", "1.25"), ("28x28", "120.00")]) == (
        "| size  | time/s |\n| ----- | -----: |\n| 5x5   |   1.25 |\n| 28x28 | 120.00 |")


def test_only_the_text_between_the_marks_is_replaced(tmp_path, monkeypatch, capsys):
    page = tmp_path / "performance.md"
    page.write_text("before\n<!-- growth -->\nold\n<!-- end of growth -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "PERFORMANCE", page)
    monkeypatch.setattr(report, "ROOT", tmp_path)
    report.put("growth", "new")
    assert page.read_text(encoding="utf-8") == "before\n<!-- growth -->\nnew\n<!-- end of growth -->\nafter\n"
    assert capsys.readouterr().out == "wrote performance.md, section 'growth'\n"


def test_growth_is_drawn_of_training_and_of_reading_over_the_cells():
    figure = growth_figure([(250, 1.0, 0.003), (1000, 5.0, 0.008)])
    drawn = {axis.get_title(): (axis.get_ylabel(), axis.lines[0].get_xydata().tolist()) for axis in figure.axes}
    assert drawn == {"Training": ("time (s)", [[250, 1.0], [1000, 5.0]]),
                     "Reading": ("time per image (s)", [[250, 0.003], [1000, 0.008]])}
    plt.close(figure)
