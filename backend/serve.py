"""The backend on a port: migrated, and with the sandbox in place of a vendor while no key is set.

``python -m serve --port 8000``, from anywhere with ``backend`` on the path; ``make serve``.
"""

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from alembic import command
from alembic.config import Config

from modules.shared.db import database_url

ROOT = Path(__file__).resolve().parent.parent
logger = logging.getLogger("serve")


def migrate() -> None:
    """Bring the database of ``DATABASE_URL`` to the newest version."""
    command.upgrade(Config(ROOT / "alembic.ini"), "head")


@contextmanager
def a_vendor() -> Iterator[None]:
    """The vendor whose key is in the environment, else the sandbox, marked as such."""
    with ExitStack() as stack:
        if not (os.environ.get("OPENAI_API_KEY") or os.environ.get("LLM_OPENAI_API_KEY")):
            import sandbox

            server = stack.enter_context(sandbox.running())
            os.environ["OPENAI_API_KEY"] = "sandbox"
            os.environ["OPENAI_BASE_URL"] = server.base_url
            logger.warning("OPENAI_API_KEY is not set: the sandbox answers, from prompts' words")
        yield


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    migrate()
    with a_vendor():
        logger.info("database %s", database_url().split("@")[-1])
        here = f"http://{options.host}:{options.port}"
        logger.info("routes to try %s/docs, what calls cost %s/llm-usage", here, here)
        uvicorn.run("main:app", host=options.host, port=options.port, log_level="info")


if __name__ == "__main__":
    main()
