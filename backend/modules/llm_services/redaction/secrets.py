"""Keys and tokens in what people write, found by the forms that their vendors give them.

`without_secrets` is for error messages, where a false alarm costs nothing. This is for prompts and
answers, where ordinary words must stay: a known beginning, a length, and at least one digit.
"""

import re
from collections.abc import Iterable, Iterator

_MASK = "***"
_SHORTEST_KEY = 12  # a configured "key" such as "ollama" is a word that prompts may hold

# Beginnings as the vendors document them, with the least number of characters that follow.
_BEGINNINGS = {
    "sk-": 20,  # OpenAI, Anthropic, OpenRouter, DeepSeek, …
    "sk_": 20,  # Stripe, ElevenLabs
    "rk_live_": 16,
    "gsk_": 20,  # Groq
    "xai-": 20,
    "pplx-": 20,
    "nvapi-": 20,
    "hf_": 20,  # Hugging Face
    "r8_": 20,  # Replicate
    "AIza": 30,  # Google
    "AKIA": 16,  # Amazon
    "ASIA": 16,
    "ghp_": 30,  # GitHub
    "gho_": 30,
    "ghs_": 30,
    "ghu_": 30,
    "github_pat_": 30,
    "glpat-": 20,  # GitLab
    "xoxb-": 20,  # Slack
    "xoxp-": 20,
}
_SHAPES = (
    ("earer ", r"(?<!\w)[Bb]earer +(?=[\w.~+/=-]{0,100}\d)[\w.~+/=-]{16,}"),
    ("eyJ", r"(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]*)?"),  # a JSON Web Token
    (
        " PRIVATE KEY-----",
        r"(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?"
        r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    ),
)
_FORMS = tuple(
    (start, re.compile(rf"(?<![\w-]){start}(?=[\w-]{{0,100}}\d)[\w-]{{{length},}}", re.ASCII))
    for start, length in _BEGINNINGS.items()
) + tuple((mark, re.compile(shape, re.ASCII)) for mark, shape in _SHAPES)


def marks_of_keys(configured: Iterable[str] = ()) -> Iterator[str]:
    """What a text holds that has a key in it; a text without any of them has none."""
    yield from (key for key in configured if len(key) >= _SHORTEST_KEY)
    yield from (mark for mark, _ in _FORMS)


def without_known_keys(text: str, configured: Iterable[str] = ()) -> str:
    """The text with keys masked: the configured ones letter by letter, others by their form.

    The same object when there is none: looking for a mark first is what keeps this cheap.
    """
    if len(text) < _SHORTEST_KEY:
        return text
    for key in configured:
        if len(key) >= _SHORTEST_KEY and key in text:
            text = text.replace(key, _MASK)
    for mark, form in _FORMS:
        if mark in text:
            text = form.sub(_MASK, text)
    return text
