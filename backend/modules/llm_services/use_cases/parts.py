"""Several requests that make one answer."""

from collections.abc import Callable

from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.executor import Invoke
from modules.llm_services.providers.base import Attempt, Reply
from modules.llm_services.types import Call


class Alike:
    """What the first part's reply says, the others' must say too, or they don't fit together.

    ``trait`` reads it from a reply, ``what`` names it in the error.
    """

    def __init__(self, trait: Callable[[Reply], object], what: str) -> None:
        self._trait = trait
        self._what = what
        self._first: object = None

    def part(self, invoke: Invoke) -> Invoke:
        """The same request, with its reply compared."""

        async def checked(call: Call, attempt: Attempt) -> Reply:
            reply = await invoke(call, attempt)
            self._compare(reply)
            return reply

        return checked

    def _compare(self, reply: Reply) -> None:
        trait = self._trait(reply)
        if self._first is None:
            self._first = trait
        if trait != self._first:
            raise LLMBadResponseError(
                f"the provider's answers differ in their {self._what}",
                usage=reply.usage,
                status_code=reply.http_status,
                provider_request_id=reply.provider_request_id,
            )
