"""The pool of connections of requests that are sent directly."""

from typing import Any

import aiohttp


class Pool(aiohttp.TCPConnector):
    """Ends with its loop without a word, as the SDK's own does: nobody has to close it."""

    async def connect(self, *args: Any, **kwargs: Any) -> aiohttp.connector.Connection:
        """A connection on which nothing has come that nobody asked for.

        Expected is that aiohttp drops an idle connection then, as it does when more comes right
        behind a response (aiohttp 3.14 keeps it, and what came would be the next answer).
        """
        connection = await super().connect(*args, **kwargs)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super().connect(*args, **kwargs)
        return connection

    def __del__(self, _warnings: Any = None) -> None:
        self._close()
