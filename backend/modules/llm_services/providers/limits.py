"""What an endpoint cannot be asked, known before anything is written or sent."""

import re

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import Call, DocumentPart

from .capabilities import check_quirks
from .formats import CHAT, WireFormat
from .quirks import NO_QUIRKS, Quirks

_OPENAI_S_OWN = re.compile(r"(.+\.)?(openai\.com|openai\.azure\.com|services\.ai\.azure\.com)")


def check_call(wire: WireFormat, call: Call, host: str, quirks: Quirks = NO_QUIRKS) -> None:
    """Raise `LLMInputError` for what ``host`` is known not to take in this format."""
    if quirks.refuses:
        check_quirks(quirks, call)
    if not wire.fetches_documents:
        _check_documents(wire, call)
    if _OPENAI_S_OWN.fullmatch(host):
        _check_cap(wire, call)


def _check_documents(wire: WireFormat, call: Call) -> None:
    listed = [(n, m.parts) for n, m in enumerate(call.messages) if not isinstance(m.content, str)]
    places = [(n, place, part) for n, parts in listed for place, part in enumerate(parts)]
    for index, place, part in places:
        if isinstance(part, DocumentPart) and part.url is not None:
            raise LLMInputError(
                f"messages[{index}].content[{place}].url: {wire.path} takes no address of a "
                "document: give its bytes as data. The Responses API does; to stay with it, "
                f"leave out sound and {', '.join(sorted(CHAT.only))}"
            )


def _check_cap(wire: WireFormat, call: Call) -> None:
    """Others that speak the format have limits of their own, and say so."""
    cap = call.parameters.get("max_tokens")
    if cap is not None and cap < wire.least_tokens:
        raise LLMInputError(
            f"max_tokens is {cap}, and {call.provider} takes no less than {wire.least_tokens} "
            f"through {wire.path}: give at least {wire.least_tokens}, or leave it out"
        )
