"""OpenAI's SDK writes whole requests to its log at DEBUG: of ours only where they go is left."""

import logging
from collections.abc import Mapping

_OURS = "X-Client-Request-Id"


class _WithoutContent(logging.Filter):
    """Other users of the SDK in the same process keep what they ask for."""

    def filter(self, record: logging.LogRecord) -> bool:
        options = record.args
        if isinstance(options, Mapping) and _is_ours(options.get("headers")):
            record.args = {name: options.get(name) for name in ("method", "url")}
        return True


def _is_ours(headers: object) -> bool:
    return isinstance(headers, Mapping) and _OURS in headers


_FILTER = _WithoutContent()


def keep_content_out_of_log() -> None:
    """Install the filter; doing it again changes nothing."""
    logging.getLogger("openai._base_client").addFilter(_FILTER)
