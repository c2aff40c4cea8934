"""What our signals are called: OpenTelemetry's names for generative AI, and our own beside them.

The conventions are in development, and moved to a repository of their own in 2026. These are the
names of their last published schema; what comes after it renames
``gen_ai.client.operation.duration`` and ``gen_ai.usage.cache_creation.input_tokens``, and takes
``gen_ai.client.token.usage`` apart. They change here, and with them ``deploy/grafana``.
Sources: https://github.com/open-telemetry/semantic-conventions-genai (docs/gen-ai/gen-ai-spans.md
and gen-ai-metrics.md), https://opentelemetry.io/docs/specs/semconv/general/recording-errors/.
"""

from collections.abc import Mapping

SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
SCOPE = "modules.llm_services"

# Attributes of the conventions.
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 - a kind of token
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
STATUS_CODE = "http.response.status_code"
# Of cost the conventions say nothing; this is the key that Langfuse reads.
COST = "gen_ai.usage.cost"

# Attributes of our own.
REQUEST_ID = "llm_services.request_id"
STATUS = "llm_services.status"
KIND = "llm_services.operation"
FEATURE = "llm_services.feature"
TENANT = "llm_services.tenant"
CACHED = "llm_services.cached"
CACHED_FROM = "llm_services.cached_from_id"
SAVED_COST = "llm_services.saved_cost"
ATTEMPTS = "llm_services.attempts"
ATTEMPT_NUMBER = "llm_services.attempt.number"
ATTEMPT_PART = "llm_services.attempt.part"
MAYBE_PAID = "llm_services.maybe_paid"
USAGE_SOURCE = "llm_services.usage_source"
COST_SOURCE = "llm_services.cost_source"
PROVIDER_REQUEST_ID = "llm_services.provider_request_id"

# Metrics of the conventions, and of our own.
OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - likewise
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
COST_TOTAL = "llm_services.cost"
SAVED_TOTAL = "llm_services.cost.saved"
RETRIES = "llm_services.retries"
UNPRICED = "llm_services.unpriced"
METRICS = (OPERATION_DURATION, TOKEN_USAGE, FIRST_CHUNK, COST_TOTAL, SAVED_TOTAL, RETRIES, UNPRICED)

# Bounds that the conventions advise.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = tuple(4**power for power in range(14))
FIRST_CHUNK_SECONDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)

OPERATIONS: Mapping[str, str] = {
    **dict.fromkeys(("chat", "structured", "tools", "search"), "chat"),
    "embedding": "embeddings",
    **dict.fromkeys(("image", "image_edit", "speech", "transcription"), "generate_content"),
}
"""Our kinds of calls by the conventions' well-known values."""

OUTPUT_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("chat", "tools", "search", "transcription"), "text"),
    "structured": "json",
    **dict.fromkeys(("image", "image_edit"), "image"),
    "speech": "speech",
}

PROVIDERS: Mapping[str, str] = {
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Providers that the conventions spell otherwise; every other has its own name."""

PARAMETERS: Mapping[str, str] = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
"""Parameters that are numbers. Stop sequences are words of the prompt's author: content."""

USAGE: Mapping[str, str] = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "usage_source": USAGE_SOURCE,
}
"""Columns of tokens. As in our columns, inputs include cached ones and outputs reasoning."""

OUTCOME: Mapping[str, str] = {
    **USAGE,
    "status": STATUS,
    "response_model": RESPONSE_MODEL,
    "error_type": ERROR_TYPE,
    "http_status": STATUS_CODE,
    "cost_estimate": COST,
    "cost_source": COST_SOURCE,
    "cached": CACHED,
    "saved_cost": SAVED_COST,
    "retry_attempt": ATTEMPTS,
    "maybe_paid": MAYBE_PAID,
    "provider_request_id": PROVIDER_REQUEST_ID,
}
"""Columns of a settled row that the span has, too."""
