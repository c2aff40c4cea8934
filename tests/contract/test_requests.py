"""What we send is what OpenAI's own document says may be sent, for every kind of call."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.llm_services.public import LLMServicesProvider, open_llm_services
from modules.shared.db import engine_for

from .extract import PATHS, extract, json_schema
from .kinds import CHAT, KINDS, RESPONSES, Kind
from .openai_document import NEWER_THAN_THE_DOCUMENT, document, form_values, problems
from .recording_vendor import RecordingVendor, recording

JSON, FORM = "application/json", "multipart/form-data"
HAS_NO_BODY = frozenset(
    {
        *("get_request", "get_user_requests", "user_requests_page", "estimate_cost"),
        *("batch_status", "collect_batch", "budget_status"),
    }
)
CASES = [
    pytest.param(kind, api, id=f"{kind.name.replace(' ', '-')}-{api}")
    for kind in KINDS
    for api, paths in (("responses", kind.responses), ("chat", kind.chat))
    if paths
]


@pytest.fixture(scope="module")
def recording_vendor() -> Iterator[RecordingVendor]:
    """The sandbox, which keeps what arrives."""
    with recording() as vendor:
        yield vendor


@pytest.fixture
def vendor(
    recording_vendor: RecordingVendor,
    migrated_sqlite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RecordingVendor]:
    """The recording sandbox in place of OpenAI, with a ledger: what is sent knows no database."""
    shutil.copyfile(migrated_sqlite, tmp_path / "backend.db")
    url = f"sqlite:///{tmp_path / 'backend.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sandbox-key")
    monkeypatch.setenv("OPENAI_BASE_URL", recording_vendor.base_url)
    recording_vendor.sent.clear()
    yield recording_vendor
    engine_for(url).dispose()
    engine_for.cache_clear()


@pytest.mark.parametrize(("kind", "api"), CASES)
async def test_requests_are_as_the_document_wants_them(
    kind: Kind, api: str, vendor: RecordingVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each body that a call sends is valid, and has no property that the document does not know."""
    monkeypatch.setenv("LLM_PROVIDERS__OPENAI__API", api)
    async with open_llm_services() as llm:
        await kind.ask(llm)
    assert {sent.path for sent in vendor.sent} == set(getattr(kind, api))
    found = [(sent.path, problems(sent.path, sent.media_type, sent.body)) for sent in vendor.sent]
    assert found == [(sent.path, []) for sent in vendor.sent]


def test_every_method_is_in_the_table() -> None:
    """A new kind of call is checked from its first day: add its row to ``KINDS``."""
    methods = {name for name in dir(LLMServicesProvider) if not name.startswith("_")}
    assert methods - HAS_NO_BODY == {kind.method for kind in KINDS}


def test_the_document_is_named() -> None:
    """Our part of the document says where it comes from, and has all paths that we use."""
    part = document()
    assert "github.com/openai/openai-openapi" in part["source"]
    assert len(part["commit"]) == 40
    assert set(part["paths"]) == set(PATHS)
    assert NEWER_THAN_THE_DOCUMENT.keys() <= set(PATHS)


GOOD: dict[str, Any] = {"model": "gpt-6-luna", "input": [{"role": "user", "content": "hi"}]}
GOOD_CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "media_type", "body", "told"),
    [
        (RESPONSES, JSON, {**GOOD, "max_completion_tokens": 9}, "max_completion_tokens"),
        (RESPONSES, JSON, {**GOOD, "temperature": 3}, "temperature"),
        (RESPONSES, JSON, {**GOOD, "max_output_tokens": 1}, "max_output_tokens"),
        (RESPONSES, JSON, {**GOOD, "text": {"verbosity": "low", "tone": "x"}}, "tone"),
        (RESPONSES, JSON, {**GOOD, "reasoning": {"effort": "huge"}}, "effort"),
        (RESPONSES, JSON, {**GOOD, "input": [{"role": "user", "text": "hi"}]}, "input"),
        (RESPONSES, JSON, {**GOOD, "metadata": {"a": 1}}, "metadata"),
        (CHAT, JSON, {**GOOD_CHAT, "max_output_tokens": 9}, "max_output_tokens"),
        (CHAT, JSON, {**GOOD_CHAT, "response_format": {"type": "json_schema"}}, "format"),
        (CHAT, JSON, {"model": "gpt-4o"}, "messages"),
        (CHAT, JSON, {**GOOD_CHAT, "logit_bias": {"1": 0.5}}, "logit_bias"),
        ("/embeddings", JSON, {"model": "m", "input": "x", "dimension": 3}, "dimension"),
        ("/images/generations", JSON, {"prompt": "x", "quality": "best"}, "quality"),
        ("/images/edits", FORM, {"prompt": "x"}, "image"),
        ("/audio/transcriptions", FORM, {"file": "<1 bytes>"}, "model"),
        ("/files", FORM, {"file": "<1 bytes>", "purpose": "lunch"}, "purpose"),
        ("/batches", JSON, {"input_file_id": "f", "endpoint": "/v1/x"}, "endpoint"),
        ("/audio/speech", FORM, {}, "takes no"),
        ("/elsewhere", JSON, {}, "takes no"),
    ],
)
def test_a_wrong_body_is_found(path: str, media_type: str, body: dict[str, Any], told: str) -> None:
    """The check bites: each of these is wrong in one place, and the place is named."""
    assert told in " ".join(problems(path, media_type, body))


def test_right_bodies_pass() -> None:
    """What the wrong ones are made from is right."""
    assert problems(RESPONSES, JSON, GOOD) == problems(CHAT, JSON, GOOD_CHAT) == []


def test_forms_are_read_in_the_document_s_types() -> None:
    """A form says numbers as text and sends files as bytes; both are checked as what they mean."""
    form = {"image": [b"1", b"22"], "prompt": "7", "n": "2", "stream": "nonsense"}
    values = form_values("/images/edits", form)
    assert values == {
        "image": ["<1 bytes>", "<2 bytes>"],
        "prompt": "7",
        "n": 2,
        "stream": "nonsense",
    }
    assert len(problems("/images/edits", FORM, values)) == 1


def test_openapi_s_own_words_are_said_in_json_schema() -> None:
    """Nullable, recursive references and closed objects keep their meaning."""
    said = {
        "oneOf": [{"$ref": "#/components/schemas/Leaf"}, {"$recursiveRef": "#"}],
        "discriminator": {"propertyName": "type"},
        "nullable": True,
        "x-said-by": "nobody",
    }
    assert json_schema("Tree", said) == {
        "anyOf": [
            {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"$ref": "#/$defs/Tree"}]},
            {"type": "null"},
        ]
    }
    whole = {"allOf": [{"$ref": "#/components/schemas/Part"}, {"properties": {"title": {}}}]}
    assert json_schema("Whole", whole) == {
        "allOf": [{"$ref": "#/$defs/Part"}, {"properties": {"title": {}}}],
        "unevaluatedProperties": False,
    }


def test_only_what_is_needed_is_kept() -> None:
    """Definitions are followed as far as the requests reach; parts of a whole stay open."""
    reference = {"$ref": "#/components/schemas/Whole"}
    body = {"requestBody": {"content": {JSON: {"schema": reference}}}}
    found = extract(
        {
            "info": {"version": "1"},
            "paths": {path: {"post": body} for path in PATHS},
            "components": {
                "schemas": {
                    "Whole": {"allOf": [{"$ref": "#/components/schemas/Part"}]},
                    "Part": {"properties": {"leaf": {"$ref": "#/components/schemas/Leaf"}}},
                    "Leaf": {"properties": {"tree": reference}},
                    "Elsewhere": {},
                }
            },
        },
        "c",
        "d",
    )
    assert list(found["$defs"]) == ["Leaf", "Part", "Whole"]
    assert "additionalProperties" in found["$defs"]["Leaf"]
    assert "additionalProperties" not in found["$defs"]["Part"]
