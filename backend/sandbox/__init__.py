"""An OpenAI-compatible server for work without a key: demos, tests, load.

Beside OpenAI's formats it speaks Anthropic's (`/v1/messages`), with the same faults.

It speaks HTTP on loopback and is driven through the real `openai` SDK. It answers from the words of
the prompt, always the same way, and knows no module of this backend.

    with sandbox.running() as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="sandbox", max_retries=0)

Alone, from `backend/`: `python -m sandbox --port 8081`.

What shall go wrong is written behind the model's name after a colon, or in the header
`X-Sandbox-Fault`: words with commas between them, alone or `word=value`.

    gpt-6-luna:slow=0.5          sandbox-fault:status=429,retry_after=1,times=2

`times=N`             only the first N requests of a call misbehave. Requests with the same
                      `X-Client-Request-Id` are one call; without that header, those whose prompt
                      begins with the same message.
`slow=S`              S seconds pass before anything is answered.
`status=N`            an error of that status, in OpenAI's shape; `code=` names it and knows its
                      status: insufficient_quota, rate_limit_exceeded, context_length_exceeded,
                      model_not_found, invalid_api_key, content_policy_violation, ...
`retry_after=V`       header Retry-After, any text; likewise `retry_after_ms=V`,
                      `should_retry=true|false`, `retry_after_date=S` (an HTTP date S seconds on).
`drop`                the connection closes without a reply.
`html` `garbage` `empty_body`   a 200 with a web page, with half a JSON object, with nothing.
`refuse` `filter` `truncate`    a refusal; text cut by the content filter; by the token limit.
`failed`              Responses only: HTTP 200 with status `failed` and an error inside.
`empty`               no content at all. `no_usage`: no usage. `wrong_model`: another model's name.
`invalid_json`        structured output and tool arguments: JSON that does not fit the schema;
                      `broken_json`: no JSON.
`cached=N`            N of the prompt tokens are said to come from the cache.
`cost=USD`            the usage says what the answer cost, as OpenRouter's does.
`cut=N` `sever=N`     a stream ends after N events: tidily but unfinished; or the connection dies.
`stream_error`        an error event in the middle of a stream (after `cut=N` events, if given).
`drip=S`              S seconds between the events of a stream.
`like=VENDOR`         Chat Completions only: refuses what that vendor refuses, and answers in its
                      words (`likeness.LIKENESSES`): mistral, deepseek, xai, ollama, ...
`batch=expired|cancelled|failed`   how a batch ends; its lines with this fault are not answered.
"""

from __future__ import annotations

from sandbox.journal import JournalEntry
from sandbox.serve import Sandbox, running

__all__ = ["JournalEntry", "Sandbox", "running"]
