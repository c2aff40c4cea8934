"""Runs the demo. See the package's docstring."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from uuid import UUID, uuid4

from demo import pages, stage
from modules.content_creation.public import TopicStatus
from modules.llm_services.public import LLMRequestDTO, open_llm_services

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_SOURCE = ROOT / "docs" / "sources" / "volcanoes.md"
DEFAULT_DATABASE = ROOT / ".demo" / "demo.db"
MOST_ROWS = 200
_KEYS = {"anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}
WHOLE, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. 0: a whole lesson; 1: something failed, and was said; 2: wrong usage."""
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal without UTF-8 shows ? for what it lacks
        sys.stdout.reconfigure(errors="replace")
    parser = _parser()
    options = parser.parse_args(arguments)
    live = options.live or os.environ.get("LIVE") == "1"
    key = _KEYS.get(os.environ.get("LLM_PROVIDER", ""), "OPENAI_API_KEY")
    if live and not os.environ.get(key):
        parser.error(f"a live run needs {key}; without --live the sandbox answers")
    try:
        source = stage.read_source(options.source)
    except ValueError as error:
        parser.error(str(error))
    try:
        return _run(source, live=live, options=options)
    except stage.DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough; nothing is left to be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description="Make a lesson out of a text.")
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE, help="a UTF-8 text file")
    parser.add_argument("--live", action="store_true", help="ask the real API (OPENAI_API_KEY)")
    parser.add_argument("--database", type=Path, default=DEFAULT_DATABASE, help="a SQLite file")
    return parser


def _run(source: str, *, live: bool, options: argparse.Namespace) -> int:
    stage.prepare_database(options.database, ROOT)
    user_id = uuid4()
    with stage.model_endpoint(live=live) as sandbox:
        stage.check_settings()
        with stage.backend() as address:
            _say(pages.opening(options.source, source, options.database, address, live=live))
            topic, problem = stage.post_topic(address, source, user_id)
        rows = asyncio.run(_ledger(user_id))
        _say(pages.lesson(topic) if topic else pages.problem(problem))
        _say(pages.ledger(rows, live=live))
        agreed = sandbox is None or _agree(len(sandbox.journal()), rows)
    whole = topic is not None and topic.status is TopicStatus.COMPLETED
    return WHOLE if whole and agreed else FAILED


async def _ledger(user_id: UUID) -> list[LLMRequestDTO]:
    """The rows of this run, oldest first, read as any other module would read them."""
    async with open_llm_services() as llm:
        return llm.get_user_requests(user_id, limit=MOST_ROWS)[::-1]


def _agree(seen: int, rows: Sequence[LLMRequestDTO]) -> bool:
    attempts = sum(row.retry_attempt for row in rows)
    _say(pages.check(seen, attempts))
    return seen == attempts


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
