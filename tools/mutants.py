"""mutmut, several times as quick: the tests are collected once, not once for each mutant. Arguments as for mutmut.

`make mutants` runs it. mutmut forks a process for each mutant and starts pytest in it, which takes ten times as long as the few
tests that run there; here the forked process finds the collected tests ready.
"""

import sys
from collections.abc import Iterable
from typing import Any

from _pytest.config import _prepareconfig
from _pytest.main import Session
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation


class CollectedTests(PytestRunner):
    """mutmut's runner of tests, with one collection for all runs."""

    _session: Any = None

    def _collect(self) -> None:
        chosen = [*config().pytest_add_cli_args_test_selection, *config().pytest_add_cli_args]
        prepared = _prepareconfig(["--rootdir=.", "--tb=no", "-x", "-q", *chosen])
        prepared._do_configure()
        self._session = Session.from_config(prepared)
        prepared.hook.pytest_sessionstart(session=self._session)
        prepared.hook.pytest_collection(session=self._session)
        self._items = list(self._session.items)

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Run `tests` (all if there are none), the quickest first, up to the first that fails: 1 if one did, else 0."""
        with change_cwd("mutants"):
            if self._session is None:
                self._collect()
            session, wanted = self._session, set(tests)
            chosen = [item for item in self._items if not wanted or item.nodeid in wanted]
            session.items = sorted(chosen, key=lambda item: ("mnist" in item.fixturenames,  # to unpack it takes seconds
                                                             state().duration_by_test.get(item.nodeid, 0.0)))
            session.testscollected, session.testsfailed = len(chosen), 0
            session._shouldfail = session._shouldstop = False  # pytest's own setter keeps what is set once
            try:
                session.config.hook.pytest_runtestloop(session=session)
            except Session.Failed:
                return 1
            finally:
                session._setupstate.teardown_exact(None)  # what the last test that ran has left for the next one
            return int(session.testsfailed > 0)

    def run_forced_fail(self) -> int:
        """Whether mutants can fail at all; and that nothing of a failure is left, or all later ones would be killed by it."""
        failed = super().run_forced_fail()
        set_mutant_under_test("")
        if self.run_tests(mutant_name=None, tests=[self._items[0].nodeid]):
            raise RuntimeError("a test that passed before fails once another one has failed: no result would be worth anything")
        return failed


if __name__ == "__main__":
    isolation.PytestRunner = CollectedTests  # type: ignore[misc]
    sys.argv[0] = "mutmut"
    cli()
