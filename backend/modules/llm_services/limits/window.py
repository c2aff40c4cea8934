"""A minute that slides: what was sent in it, request by request."""

from collections import deque
from dataclasses import dataclass

WINDOW = 61.0
"""Seconds. A request may take a second longer to arrive than the next one: what leaves within 61
seconds covers what arrives within 60."""


@dataclass(slots=True)
class Sent:
    """A request that was let through, and the tokens that it took or will take."""

    at: float
    tokens: int


class Window:
    """Lets as many requests and tokens through as fit, in any 61 seconds and from the start.

    Times are seconds on any clock that does not go back.
    """

    def __init__(self) -> None:
        self._log: deque[Sent] = deque()
        self._tokens = 0

    def wait(
        self, now: float, tokens: int, rpm: int | None, tpm: int | None, ahead: int = 0
    ) -> float:
        """Seconds until a request with ``tokens`` fits; at least so many when others go ahead."""
        self._forget(now)
        requests = self._until_requests(now, rpm, ahead) if rpm else 0.0
        return max(requests, self._until_tokens(now, min(tokens, tpm), tpm) if tpm else 0.0)

    def add(self, now: float, tokens: int) -> Sent:
        """Note that a request is sent."""
        sent = Sent(now, tokens)
        self._log.append(sent)
        self._tokens += tokens
        return sent

    def correct(self, sent: Sent, tokens: int) -> None:
        """A request took another number of tokens than was thought."""
        if self._log and sent.at >= self._log[0].at:
            self._tokens += tokens - sent.tokens
        sent.tokens = tokens

    def _forget(self, now: float) -> None:
        while self._log and self._log[0].at <= now - WINDOW:
            self._tokens -= self._log.popleft().tokens

    def _until_requests(self, now: float, rpm: int, ahead: int) -> float:
        over = len(self._log) + ahead + 1 - rpm
        if over <= 0:
            return 0.0
        turns, place = divmod(over - 1, rpm)
        since = self._log[place].at if place < len(self._log) else now
        return since + (turns + 1) * WINDOW - now

    def _until_tokens(self, now: float, tokens: int, tpm: int) -> float:
        over, wait = self._tokens + tokens - tpm, 0.0
        for sent in self._log:
            if over <= 0:
                break
            over -= sent.tokens
            wait = sent.at + WINDOW - now
        return wait
