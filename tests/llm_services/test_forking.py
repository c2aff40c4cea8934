"""Forks while threads of ours are in the middle of a transaction."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from modules.llm_services.recording.forking import Undivided
from tests.support.migrations import ROOT

FORKS = """
    import os, sys, threading, time
    from sqlalchemy import create_engine, text
    from modules.llm_services.recording.forking import transaction

    url = "sqlite:///" + sys.argv[1]
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("PRAGMA journal_mode=WAL"))
        connection.execute(text("CREATE TABLE rows (n INTEGER)"))
    inside = threading.Event()

    def write():
        with transaction(engine) as connection:
            connection.execute(text("INSERT INTO rows VALUES (1)"))
            inside.set()
            time.sleep(0.3)

    writing = threading.Thread(target=write)
    writing.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        own = create_engine(url, connect_args={"timeout": 1})
        with transaction(own) as connection:
            connection.execute(text("INSERT INTO rows VALUES (2)"))
        os._exit(0)
    writing.join()
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO rows VALUES (3)"))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_can_write_whatever_its_parent_was_doing(tmp_path: object) -> None:
    """SQLite's locks are noted in memory: a child must not inherit one that is held."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKS), f"{tmp_path}/rows.db"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "backend")},
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0


def test_a_fork_waits_for_who_is_inside_and_lets_nobody_in() -> None:
    """And everybody goes on afterwards."""
    undivided, order = Undivided(), list[str]()
    forking = threading.Event()

    def fork() -> None:
        undivided.before_fork()
        order.append("forked")
        undivided.after_in_parent()

    def enter() -> None:
        forking.wait()
        with undivided:
            order.append("entered")

    threads = [threading.Thread(target=fork), threading.Thread(target=enter)]
    with undivided:
        threads[0].start()
        order.append("left")
    threads[0].join()
    forking.set()
    threads[1].start()
    threads[1].join()
    assert order == ["left", "forked", "entered"]


def test_a_fork_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that hangs is worse luck than a fork in the middle of it."""
    monkeypatch.setattr("modules.llm_services.recording.forking._PATIENCE", 0.01)
    undivided = Undivided()
    undivided.__enter__()
    undivided.before_fork()
    undivided.after_in_child()
    with undivided:
        assert undivided._inside == 1
