"""The vendor's stand-in: an adapter like the others, whose answers come from a script.

All that stands around an adapter is the real thing: arguments, the road, prices, the ledger.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from modules.llm_services.exceptions import LLMTimeoutError
from modules.llm_services.providers.base import Attempt, HandlesBatches, Reply
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.providers.formats.media import has_sound
from modules.llm_services.providers.limits import check_call
from modules.llm_services.providers.structured import output_schema
from modules.llm_services.providers.verdict import searched, usable
from modules.llm_services.tokens import estimate_text_tokens
from modules.llm_services.types import Call, GivenImages, LLMMessageDTO, ToolCall, Usage
from modules.llm_services.types.audio import Recording, Transcript

from . import media
from .batches import ScriptedBatches
from .conversing import Spoken, spoken, unscripted
from .prices import PricedUsage
from .recorded import RecordedCall
from .script import Rule, Script, error_of, value_of
from .streaming import ScriptedStream

_OK = 200
_OPENAI, _HOST = "openai", "api.openai.com"
_PICTURE_TOKENS = 196
_COUNTS_TOKENS = "gpt-4o"  # of the models that transcribe, these charge tokens, not seconds
_HEARD = Usage(prompt_tokens=10, audio_input_tokens=10, completion_tokens=4)


class ScriptedAdapter:
    """Satisfies ``LLMProvider``, and ``SearchesWeb``. With ``real_time`` latencies take time."""

    def __init__(self, name: str, script: Script, *, real_time: bool, batch_looks: int) -> None:
        self.name = name
        self._script = script
        self._real_time = real_time
        self.batches: HandlesBatches = ScriptedBatches(self.check, self.generate_text, batch_looks)

    async def aclose(self) -> None:
        """There are no connections."""

    def check(self, call: Call) -> None:
        """What OpenAI is known not to take is refused here, too."""
        needs_chat = call.parameters.keys() & CHAT.only or has_sound(call)
        host = _HOST if self.name == _OPENAI else self.name
        check_call(CHAT if needs_chat else RESPONSES, call, host)

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Text, an object, or calls of tools."""
        asked, rule = await self._answering(call, attempt, _last(call.messages))
        said = await _spoken(call, asked, rule)
        return await judged(call, conversation(call, asked, rule, said))

    async def stream_text(self, call: Call, attempt: Attempt) -> ScriptedStream:
        """The same piece by piece."""
        asked, rule = await self._answering(call, attempt, _last(call.messages), streamed=True)
        if rule.error is not None:
            return ScriptedStream(spoken(rule.pieces).events(), error_of(rule.error, asked))
        said = await _spoken(call, asked, rule)
        whole = conversation(call, asked, rule, said)
        return ScriptedStream(said.events(), judged(call, whole))

    async def generate_image(self, call: Call, attempt: Attempt) -> Reply:
        """A picture."""
        asked, rule = await self._answering(call, attempt, _last(call.messages))
        made = await value_of(rule.answer, asked)
        picture = media.pixel() if made is None else media.picture(made)
        units = Usage(completion_tokens=_PICTURE_TOKENS, image_output_tokens=_PICTURE_TOKENS)
        text = picture if isinstance(picture, str) else ""
        return reply(call, rule, units + _prompt_usage(asked), text=text, parsed=picture)

    async def edit_image(self, call: Call, attempt: Attempt, given: GivenImages) -> Reply:
        """A picture, whatever is handed in."""
        del given
        return await self.generate_image(call, attempt)

    async def embed(self, call: Call, attempt: Attempt, texts: Sequence[str]) -> Reply:
        """Vectors."""
        _, rule = await self._answering(call, attempt, *texts)
        length = call.parameters.get("dimensions")
        made = media.vectors(rule.answer, texts, length)
        usage = Usage(prompt_tokens=sum(map(estimate_text_tokens, texts)))
        return reply(call, rule, usage, finish_reason=None, parsed=made)

    async def speak(self, call: Call, attempt: Attempt, text: str) -> Reply:
        """A sound."""
        asked, rule = await self._answering(call, attempt, text)
        made = await value_of(rule.answer, asked)
        sound = media.silence(call.parameters["format"]) if made is None else made
        tokens = estimate_text_tokens(text)
        units = Usage(
            prompt_tokens=tokens,
            completion_tokens=tokens,
            audio_output_tokens=tokens,
            characters=len(text),
        )
        return reply(call, rule, units, finish_reason=None, parsed=sound)

    async def transcribe(self, call: Call, attempt: Attempt, recording: Recording) -> Reply:
        """What is said in a recording, which the fake does not listen to."""
        del recording
        asked, rule = await self._answering(call, attempt, str(call.parameters.get("prompt", "")))
        made = await value_of(rule.answer, asked)
        heard = "Fake transcript." if made is None else made
        transcript = heard if isinstance(heard, Transcript) else Transcript(text=heard)
        seconds = Usage(audio_seconds=transcript.duration_seconds or 1.0)
        units = _HEARD if call.model.startswith(_COUNTS_TOKENS) else seconds
        return reply(call, rule, units, text=transcript.text, parsed=transcript)

    async def search_web(self, call: Call, attempt: Attempt) -> Reply:
        """Pages for one query."""
        query = _last(call.messages)
        asked, rule = await self._answering(call, attempt, query)
        made = await value_of(rule.answer, replace(asked, prompts=(query,)))
        text, findings = media.found(media.a_page(query) if made is None else made)
        if not text:
            text = "Nothing was found."
        usage = _prompt_usage(asked) + Usage(
            completion_tokens=estimate_text_tokens(text), web_searches=1
        )
        return searched(reply(call, rule, usage, text=text, parsed=findings))

    async def _answering(
        self, call: Call, attempt: Attempt, *prompts: str, streamed: bool = False
    ) -> tuple[RecordedCall, Rule]:
        """The rule that answers a request, when it is time; or its error."""
        asked, rule = self._script.take(call, prompts)
        await self._wait(call, attempt, rule)
        if rule.error is not None and not (streamed and rule.pieces):
            raise error_of(rule.error, asked)
        return asked, rule

    async def _wait(self, call: Call, attempt: Attempt, rule: Rule) -> None:
        if rule.gate is not None:
            await rule.gate.passed()
        if not self._real_time and rule.latency >= attempt.seconds_left:
            raise LLMTimeoutError(
                f"no answer within the deadline of {call.timeout:g} s", maybe_billed=True
            )
        await asyncio.sleep(rule.latency if self._real_time else 0)


async def judged(call: Call, said: Reply) -> Reply:
    """The reply when it is an answer, by the rules for every vendor's."""
    if call.output_type is not None:
        await output_schema(call.output_type)  # loads what reads objects, off the loop
    return usable(said, call.output_type, call.tools)


async def _spoken(call: Call, asked: RecordedCall, rule: Rule) -> Spoken:
    said = await value_of(rule.answer, asked)
    return unscripted(call, asked) if said is None else spoken(said)


def conversation(call: Call, asked: RecordedCall, rule: Rule, said: Spoken) -> Reply:
    """What was said, as a vendor's reply."""
    usage = _prompt_usage(asked) + Usage(completion_tokens=_completion_tokens(said))
    usual = "tool_calls" if said.tool_calls else "stop"
    items = [_as_item(one) for one in said.tool_calls]
    return replace(
        reply(call, rule, usage, text=said.text, finish_reason=usual),
        tool_calls=said.tool_calls,
        raw={"output": items} if items else None,
    )


def reply(
    call: Call,
    rule: Rule,
    usage: Usage,
    *,
    text: str = "",
    finish_reason: str | None = "stop",
    parsed: object = None,
) -> Reply:
    """A vendor's reply, with what the rule says of it."""
    return Reply(
        text=text,
        model=call.model,
        finish_reason=rule.finish_reason or finish_reason,
        usage=_priced(rule, rule.usage or usage),
        http_status=_OK,
        provider_request_id=f"fake-{call.id}",
        parsed=parsed,
    )


def _priced(rule: Rule, usage: Usage) -> Usage:
    if rule.cost is None:
        return usage
    usd = rule.cost if isinstance(rule.cost, Decimal) else None
    return PricedUsage(**usage.as_dict(), usd=usd)


def _last(messages: Sequence[LLMMessageDTO]) -> str:
    return messages[-1].text


def _prompt_usage(asked: RecordedCall) -> Usage:
    said = sum(estimate_text_tokens(message.text) for message in asked.messages)
    return Usage(prompt_tokens=said)


def _completion_tokens(said: Spoken) -> int:
    return estimate_text_tokens(said.text) + sum(
        estimate_text_tokens(str(call.arguments)) for call in said.tool_calls
    )


def _as_item(call: ToolCall) -> dict[str, Any]:
    """As OpenAI's Responses API has it, for whoever reads the row."""
    arguments = json.dumps(call.arguments)
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}
