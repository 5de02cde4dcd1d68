"""Chains of scripts run side by side, each script as its own process: as many at a time as there are cores."""

import contextlib
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from memristive.cli.process import undisturbed
from memristive.io.files import ROOT
from memristive.spice.ngspice import signals_deferred as signals_held

POLL = 0.05  # s


class Chain:
    """Scripts with their options that run one after the other, each once the one before it has ended well."""

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        self._commands = list(commands)
        self._done = 0
        self.start()

    def start(self) -> None:
        """Start the script whose turn it is; what it says is collected."""
        self._said: tuple[IO[str], IO[str]] = (_scratch(), _scratch())
        self._began = time.perf_counter()
        self.script = subprocess.Popen([sys.executable, *self.command], cwd=ROOT, stdout=self._said[0], stderr=self._said[1])

    @property
    def command(self) -> Sequence[str]:
        """The script at work, or the last one."""
        return self._commands[self._done]

    def next(self) -> bool:
        """Whether there is another script, which is then at work."""
        self._done += 1
        if self._done == len(self._commands):
            return False
        with signals_held():
            self.start()
        return True

    def told(self) -> tuple[str, str]:
        """What the script has put out, behind its command and seconds, and what errors; nothing when asked again."""
        if self._said[0].closed:
            return "", ""
        texts = []
        for file in self._said:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return f"\n$ python {' '.join(self.command)}  # {time.perf_counter() - self._began:.1f} s\n{texts[0]}", texts[1]


def _scratch() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


def run_side_by_side(chains: Sequence[Sequence[Sequence[str]]], lanes: int) -> int:
    """Run `chains` of commands (a script or module with its options), `lanes` at a time, begun in their order.

    Behind a bar, each script's output is printed whole when it ends. Returns 0, or the exit code of the first
    that fails, which is named; those still at work are then stopped, as they are when this process is.
    """
    waiting, running = list(reversed(chains)), list[Chain]()
    with _bar(sum(map(len, chains))) as bar:
        try:
            return _run(bar, waiting, running, lanes)
        finally:
            with undisturbed():
                _stop([chain.script for chain in running])
                for chain in running:
                    _tell(bar, chain)


def _run(bar: "tqdm[Any]", waiting: list[Sequence[Sequence[str]]], running: list[Chain], lanes: int) -> int:
    while waiting or running:
        while waiting and len(running) < lanes:
            with signals_held():  # no script at work that is not in the list of those to be stopped
                running.append(Chain(waiting.pop()))
            _show(bar, running)
        for chain in [chain for chain in running if chain.script.poll() is not None]:
            _tell(bar, chain)
            bar.update()
            if chain.script.returncode:
                running.remove(chain)
                return _failed(chain.command, chain.script.returncode)
            if not chain.next():
                running.remove(chain)
            _show(bar, running)
        bar.update(0)  # its clock
        time.sleep(POLL)
    return 0


def run_alone(command: Sequence[str]) -> int:
    """Run a script or module with its options in this process's own terminal, with its own bars; its exit code."""
    print(f"\n$ python {' '.join(command)}", flush=True)
    scripts: list[subprocess.Popen[Any]] = []
    try:
        with signals_held():
            scripts.append(subprocess.Popen([sys.executable, *command], cwd=ROOT))
        code = scripts[0].wait()
        return _failed(command, code) if code else 0
    finally:
        with undisturbed():
            _stop(scripts)


def _failed(command: Sequence[str], code: int) -> int:
    name = " ".join(command[:2]) if command[0] == "-m" else command[0]
    print(f"{Path(sys.argv[0]).name}: {name} ended with exit code {code}; what ran before is kept", file=sys.stderr)
    return code


def _bar(total: int) -> "tqdm[Any]":
    return tqdm(total=total, bar_format="{n_fmt} of {total_fmt} scripts |{bar:20}| {elapsed}{postfix}",
                miniters=0, mininterval=0.5, dynamic_ncols=True, leave=False, disable=None)


def _show(bar: "tqdm[Any]", running: list[Chain]) -> None:
    """Which scripts are at work, by their names and first options."""
    named = [" ".join(itertools.takewhile(lambda part: part != "--figures", chain.command)) for chain in running]
    bar.set_postfix_str(" and ".join(name.removeprefix("-m ")[:70] for name in named))


def _tell(bar: "tqdm[Any]", chain: Chain) -> None:
    out, errors = chain.told()
    bar.write(out, end="")
    sys.stdout.flush()
    if errors:
        bar.write(errors, file=sys.stderr, end="")


def _stop(scripts: list["subprocess.Popen[Any]"]) -> None:
    """End scripts as Ctrl-C does, by whatever signal they heed, and wait for their end."""
    # At first nothing: in a terminal, Ctrl-C has reached the scripts as well.
    for send, patience in ((None, 0.5), (subprocess.Popen.terminate, 20.0), (subprocess.Popen.kill, None)):
        for script in scripts:
            if send and script.poll() is None:
                send(script)
        for script in scripts:
            with contextlib.suppress(subprocess.TimeoutExpired):
                script.wait(patience)
