"""Install the wheel of dist/ into an empty environment and run it there, apart from the project.

`make dist` calls it: the README's snippets (the paper's method, the classifier, a network), a fit
with its figure, and the error without ngspice. Three minutes, most of them pip's and numba's.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


# weights of scikit-learn come in, go out as NIR, and come back
WEIGHTS = """
from pathlib import Path
import numpy as np
from memristive import load_weights
from memristive.io.nir_graph import nir_weights, save_nir
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
images, labels = load_digits(return_X_y=True)
mlp = MLPClassifier((20,), max_iter=40, random_state=1).fit(images / 16, labels)
layers = [(weights.T, bias) for weights, bias in zip(mlp.coefs_, mlp.intercepts_)]
network, _ = load_weights(layers, images / 16)
save_nir("mlp.nir", network)
back = nir_weights(Path("mlp.nir"))
right = np.nanargmin(np.nan_to_num(network.first_spikes(images / 16), nan=1), axis=1) == labels
shapes = [values.shape for values in back.values()]
print(f"{right.mean():.1%} of the digits are read by weights of software;", *shapes)
"""


def run(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder outside of the project, with further variables of the environment;
    return the completed process.
    """
    given = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=folder, env=given | environment, capture_output=True, text=True
    )


def main() -> None:
    """Try everything; end with the output of the first command that fails."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    snippets = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / ("Scripts" if os.name == "nt" else "bin") / "python"
        shutil.copy(ROOT / "tests/io/readings/keithley.csv", folder / "pulses.csv")
        install = ["-m", "pip", "install", "--quiet", "-c", str(ROOT / "requirements.txt")]
        commands = [
            [*install, f"{wheel}[nir]"],
            ["-m", "memristive", "--help"],
            ["-c", WEIGHTS],
            *(["-c", snippet] for snippet in snippets),
            ["-m", "memristive", "fit", "pulses.csv"],
            ["-m", "memristive", "report", "pulses.csv", "--short"],
        ]
        for command in commands:
            done = run(folder, python, *command)
            if done.returncode:
                sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
            print(done.stdout, end="")
        for file in ("pulses_device.json", "device_fit_pulses.png", "report_pulses.html"):
            if not (folder / "own" / file).is_file():
                sys.exit(f"no own/{file} was written")
        if "epiram" not in (folder / "own" / "report_pulses.html").read_text(encoding="utf-8"):
            sys.exit("the report lacks the published devices")
        done = run(folder, python, "-c", snippets[0], NGSPICE_LIBRARY_PATH="missing.so")
        if "apt-get install libngspice0" not in done.stderr.splitlines()[-1]:
            sys.exit(f"without ngspice, the last line names no way to get it:\n{done.stderr}")
        print(done.stderr.splitlines()[-1])
    print(f"{wheel.name} works")


if __name__ == "__main__":
    main()
