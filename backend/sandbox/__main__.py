"""`python -m sandbox --port 8081`: the sandbox alone, in the foreground."""

from __future__ import annotations

import argparse
import os

import uvicorn

from sandbox.endpoint import State
from sandbox.serve import config_for, listen, url_of


def main() -> None:
    """Serve until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081, help="0 takes a free port")
    options = parser.parse_args()
    try:
        taken = listen(options.host, options.port)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        parser.exit(1, f"{options.host}:{options.port}: {reason}; --port takes another\n")
    with taken as sock:
        print(f"The sandbox answers at {url_of(sock)}; nothing leaves this machine.\n")
        print(f"export OPENAI_BASE_URL={url_of(sock)}\nexport OPENAI_API_KEY=sandbox", flush=True)
        uvicorn.Server(config_for(State())).run(sockets=[sock])


if __name__ == "__main__":
    main()
