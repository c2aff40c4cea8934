"""When two requests are the same: a hash of everything that is sent, and of who may share it.

The whole request goes in, not a list of what is thought to matter: caches with such a list have
given people each other's answers (BerriAI/litellm#25673).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from modules.llm_services.bulk import identity
from modules.llm_services.types import (
    Attribution,
    CacheScope,
    Call,
    ContentPart,
    LLMMessageDTO,
    TextPart,
    ToolSpec,
)

KEY_VERSION = 1
"""To be raised when the same call is sent in other words than before."""


def cache_key(call: Call, endpoint: str) -> str:
    """The key of a call that goes to an endpoint: 64 hexadecimal digits."""
    policy = call.cache
    asked = {
        "version": KEY_VERSION,
        "namespace": _namespace(call.attribution, policy.scope if policy else "tenant"),
        "endpoint": [call.provider, endpoint],
        "operation": call.operation,
        "model": call.model,
        "messages": [_message(message) for message in call.messages],
        "material": list(policy.material) if policy else [],
        "parameters": call.parameters,
        "output": _schema(call.output_type),
        "tools": [_tool(spec) for spec in call.tools],
        "tool_use": [call.tool_choice, call.parallel_tool_calls],
    }
    return _digest(asked)


def _namespace(attribution: Attribution, scope: CacheScope) -> str:
    """Whose answers are shared."""
    user, tenant = attribution.user_id, attribution.tenant
    if scope == "shared" or (user is None and tenant is None):
        return "shared" if scope == "shared" else "nobody"
    if scope == "tenant" and tenant is not None:
        return f"tenant:{tenant}"
    return f"user:{user or ''}@{tenant or ''}"


def _message(message: LLMMessageDTO) -> list[Any]:
    content = message.content
    return [
        str(message.role),
        identity(content) if isinstance(content, str) else [_part(part) for part in content],
        message.name,
        [[call.id, call.name, call.arguments] for call in message.tool_calls],
        [one.model_dump() for one in message.reasoning],
        message.tool_call_id,
    ]


def _part(part: ContentPart) -> list[Any]:
    """Its type and all of its fields, of bytes their hash."""
    if isinstance(part, TextPart):
        return ["TextPart", identity(part.text)]
    fields: dict[str, Any] = {name: getattr(part, name) for name in type(part).model_fields}
    data = fields.pop("data")
    seen = None if data is None else hashlib.sha256(data).hexdigest()
    return [type(part).__name__, seen, fields]


def _tool(spec: ToolSpec) -> list[Any]:
    return [spec.name, spec.description, spec.parameters, spec.strict]


_schemas: WeakKeyDictionary[type[BaseModel], str] = WeakKeyDictionary()


def _schema(model: type[BaseModel] | None) -> str | None:
    """The hash of an output's schema, made once: a large one takes milliseconds."""
    if model is None:
        return None
    if model not in _schemas:
        _schemas[model] = _digest([model.__name__, model.model_json_schema()])
    return _schemas[model]


def _digest(value: Mapping[str, Any] | list[Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
