"""Tokens before they are sent: counted where the ranks are at hand, else well guessed."""

import base64
import gzip
import hashlib
import importlib
import importlib.resources
import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.llm_services import tokens
from modules.llm_services.tokens import (
    TokenEstimate,
    calibration_factor,
    count_messages,
    estimate_text_tokens,
    expected_output_tokens,
    warm,
)
from modules.llm_services.types import LLMMessageDTO

RANKS = "fb374d419588a4632f3f557e76b4b70aebbca790"

ENGLISH = """The committee met on Thursday to consider whether the bridge across the river should be
repaired or replaced. Engineers had warned for years that the steel was tired, and the latest
inspection found cracks in three of the main supports. Repairing it would cost less in the short
term, but the work would have to be done again within fifteen years. Several residents spoke against
the plan because it would mean moving the old ferry house, which has stood there since 1874."""
GERMAN = """Der Ausschuss traf sich am Donnerstag, um darüber zu beraten, ob die Brücke über den
Fluss repariert oder ersetzt werden soll. Ingenieure hatten seit Jahren davor gewarnt, dass der
Stahl ermüdet sei, und bei der letzten Überprüfung wurden Risse in drei der Hauptträger
gefunden. Eine neue Brücke wäre breiter, mit Platz für Fahrräder und Busse, und sie würde ein
Jahrhundert halten. Mehrere Anwohner sprachen sich gegen den Plan aus, weil das alte Fährhaus
versetzt werden müsste."""
RUSSIAN = """В четверг комиссия собралась, чтобы решить, следует ли отремонтировать мост через реку
или построить новый. Инженеры уже много лет предупреждали, что сталь устала, а последняя проверка
обнаружила трещины в трёх главных опорах. Ремонт обошёлся бы дешевле, но через пятнадцать лет
работу пришлось бы повторить. Новый мост был бы шире, с местом для велосипедов и автобусов."""
CHINESE = """委员会星期四开会讨论应该修理还是重建跨河大桥。工程师多年来一直警告说钢材已经疲劳，
最近一次检查在三根主要支柱上发现了裂缝。短期内修理的费用较低，但是十五年之内必须再次施工。
新桥会更宽，可以让自行车和公共汽车通过，而且能够使用一百年。一些居民反对这个计划，
因为这意味着要搬迁自1874年以来一直在那里的老渡口房屋。市长说她理解他们的担忧。"""
GREEK = """Η επιτροπή συνεδρίασε την Πέμπτη για να αποφασίσει αν η γέφυρα πάνω από τον ποταμό πρέπει
να επισκευαστεί ή να αντικατασταθεί. Οι μηχανικοί προειδοποιούσαν εδώ και χρόνια για ρωγμές."""
CODE = '''
class LRUCache:
    """Keeps the `size` entries that were used last."""

    def __init__(self, size: int = 128) -> None:
        if size <= 0:
            raise ValueError(f"size must be positive, not {size!r}")
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._size = size

    def get(self, key: str, default: bytes | None = None) -> bytes | None:
        try:
            self._entries.move_to_end(key)
        except KeyError:
            return default
        return self._entries[key]

    def put(self, key: str, value: bytes) -> None:
        self._entries[key] = value
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
'''
JSON = json.dumps(
    [
        {
            "id": 48213 + number,
            "customer": {"name": name, "email": f"{name.lower()}@example.com", "active": True},
            "items": [{"sku": "A-1042", "quantity": number, "price": 19.9}],
            "created_at": "2026-11-03T09:41:07Z",
        }
        for number, name in enumerate(["Martin", "Sofia", "Chen"], start=1)
    ],
    indent=2,
)
SAMPLES = {
    "English": ENGLISH,
    "German": GERMAN,
    "Russian": RUSSIAN,
    "Chinese": CHINESE,
    "code": CODE,
    "JSON": JSON,
}

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it reads its data by a function that Python calls outdated
    O200K = importlib.import_module("bpe_openai").get_encoding("o200k_base")


def o200k(text: str) -> int:
    """What the real encoding counts."""
    return len(O200K.encode_ordinary(text))


def said(content: str, name: str | None = None) -> LLMMessageDTO:
    """A user's message."""
    return LLMMessageDTO(role="user", content=content, name=name)


@pytest.fixture
def unloaded() -> Iterator[None]:
    """As if no encoding had been looked for yet, before and after."""
    tokens._load_encoding.cache_clear()
    yield
    tokens._load_encoding.cache_clear()


@pytest.fixture
def without_extra(unloaded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No bpe-openai, no tiktoken; gives the folder where tiktoken would look for its ranks."""
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    monkeypatch.delenv("DATA_GYM_CACHE_DIR", raising=False)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


class Tiktoken(ModuleType):
    """tiktoken as far as we use it; it must never be asked when it would have to download."""

    def __init__(self) -> None:
        super().__init__("tiktoken")
        self.asked: list[str] = []

    def get_encoding(self, name: str) -> object:
        """The encoding, as tiktoken makes it from its cache."""
        self.asked.append(name)
        return O200K


@pytest.fixture
def tiktoken(without_extra: Path, monkeypatch: pytest.MonkeyPatch) -> Tiktoken:
    """tiktoken is installed, bpe-openai is not."""
    module = Tiktoken()
    monkeypatch.setitem(sys.modules, "tiktoken", module)
    return module


def put_ranks(folder: Path) -> None:
    """What tiktoken leaves behind after a download."""
    packed = importlib.resources.files("bpe_openai.data") / "o200k_base.tiktoken.gz"
    folder.mkdir(exist_ok=True)
    (folder / RANKS).write_bytes(gzip.decompress(packed.read_bytes()))


# --- the heuristic -----------------------------------------------------------------------------


def test_the_heuristic_is_close_to_the_real_count() -> None:
    """Natural languages, code and JSON: less than 12 % off on average, a quarter at worst."""
    errors = {
        name: abs(estimate_text_tokens(text) / o200k(text) - 1) for name, text in SAMPLES.items()
    }
    assert mean(errors.values()) < 0.12, errors
    assert max(errors.values()) < 0.25, errors


def test_other_alphabets_are_not_counted_letter_by_letter() -> None:
    """Greek, which nobody fitted the first classes to, is within a fifth as well."""
    assert estimate_text_tokens(GREEK) == pytest.approx(o200k(GREEK), rel=0.2)


@pytest.mark.parametrize("alphabet", ["standard", "urlsafe"])
def test_bytes_in_base64_are_dense(alphabet: str) -> None:
    """A picture or a key in the text has a token for every 1.4 characters, not every four."""
    data = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(100))
    encode = base64.b64encode if alphabet == "standard" else base64.urlsafe_b64encode
    text = f"Here it is: {encode(data).decode()} -- and thanks!"
    assert estimate_text_tokens(text) == pytest.approx(o200k(text), rel=0.1)


@pytest.mark.parametrize("text", ["-" * 400, "/usr/lib/python3/dist-packages/" * 3, "a" * 70])
def test_long_runs_of_the_same_kind_are_no_base64(text: str) -> None:
    """Rules, paths and shouting are words and signs, though they are unbroken."""
    assert estimate_text_tokens(text) < len(text) / 2


def test_no_text_has_no_tokens() -> None:
    """Nothing is nothing."""
    assert estimate_text_tokens("") == 0


@given(text=st.text())
def test_an_estimate_is_never_negative(text: str) -> None:
    """Whatever the characters: not below 0, and not above a few tokens per character."""
    assert 0 <= estimate_text_tokens(text) <= 2 * len(text) + 1


@given(first=st.text(), second=st.text())
def test_estimates_are_roughly_additive(first: str, second: str) -> None:
    """Two paragraphs have the tokens of the one and of the other."""
    apart = estimate_text_tokens(first) + estimate_text_tokens(second)
    assert abs(estimate_text_tokens(f"{first}\n{second}") - apart) <= 3


# --- conversations -----------------------------------------------------------------------------


def test_with_the_extra_counts_are_exact() -> None:
    """o200k's own count, three for each message, one for a name, three for the answer's start."""
    messages = [said(ENGLISH), said(RUSSIAN, name="Anna")]
    expected = o200k(ENGLISH) + 3 + o200k(RUSSIAN) + 3 + o200k("Anna") + 1 + 3
    assert count_messages(messages, "gpt-6-sol") == TokenEstimate(expected, "o200k")


def test_without_the_extra_counts_are_estimates(without_extra: Path) -> None:
    """The same sum by the heuristic, and the result says so."""
    messages = [said(ENGLISH), said("", name="Anna")]
    expected = estimate_text_tokens(ENGLISH) + 3 + estimate_text_tokens("Anna") + 4 + 3
    assert count_messages(messages, "gpt-6-sol") == TokenEstimate(expected, "heuristic")


def test_no_messages_are_only_the_answers_start() -> None:
    """An empty conversation is no special case."""
    assert count_messages([], "gpt-6-sol").tokens == 3


def test_special_tokens_in_a_text_are_text() -> None:
    """A user who writes a control token gets it counted, not an error."""
    assert count_messages([said("<|endoftext|>")], "gpt-6-sol").tokens > 3 + 3 + 1


def test_a_very_long_text_is_counted() -> None:
    """Also beyond the million characters and 200,000 tokens that the library takes at once."""
    long = "word " * 230_000
    assert count_messages([said(long)], "gpt-6-sol").tokens == pytest.approx(230_000, rel=0.001)
    dense = "\U00012000" * 60_000
    assert count_messages([said(dense)], "gpt-6-sol").tokens == pytest.approx(240_000, rel=0.001)


@pytest.mark.parametrize(
    ("model", "text", "factor"),
    [
        ("gpt-6-sol", ENGLISH, 1.0),
        ("our-own-model", ENGLISH, 1.0),
        ("anthropic/Claude-Opus-4-8", ENGLISH, 1.35),
        ("gemini-2.5-flash", ENGLISH, 1.15),
        ("llama-3.3-70b", ENGLISH, 1.15),
        ("Qwen3-32B", ENGLISH, 1.15),
        ("mixtral-8x22b", ENGLISH, 1.15),
        ("deepseek-chat", ENGLISH, 1.05),
        ("deepseek-chat", RUSSIAN, 1.10),
        ("deepseek-chat", CHINESE, 0.94),
        ("deepseek-r1-distill-llama-70b", CHINESE, 1.15),
    ],
)
def test_other_vendors_count_differently(model: str, text: str, factor: float) -> None:
    """A vendor without an offline tokenizer gets o200k's count times a known factor."""
    tokens_of_text = count_messages([said(text)], model).tokens - 3 - 3
    assert tokens_of_text == pytest.approx(o200k(text) * factor, abs=1)


# --- loading, and never downloading ------------------------------------------------------------


def test_warming_makes_the_first_count_quick(unloaded: None) -> None:
    """`warm` loads the encoding in whatever thread; a count after it loads nothing."""
    thread = threading.Thread(target=warm)
    thread.start()
    thread.join()
    count_messages([said("hello")], "gpt-6-sol")
    assert tokens._load_encoding.cache_info().misses == 1


def test_the_extra_works_where_warnings_are_errors() -> None:
    """bpe-openai uses a deprecated function: that does not turn a count into an error."""
    script = (
        "from modules.llm_services import tokens; tokens.warm(); "
        "assert tokens.count_messages([], 'gpt-6-sol').method == 'o200k'"
    )
    backend = Path(__file__).resolve().parents[2] / "backend"
    command = [sys.executable, "-W", "error", "-c", script]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(backend)})


def test_the_encoding_is_loaded_on_first_use() -> None:
    """Importing us is quick and takes none of the encoding's memory."""
    script = (
        "import sys; import modules.llm_services.tokens; assert 'bpe_openai' not in sys.modules"
    )
    backend = Path(__file__).resolve().parents[2] / "backend"
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(backend)})


def test_warming_without_the_extra_does_no_harm(without_extra: Path) -> None:
    """There is nothing to load, and that is found out once."""
    warm()
    assert count_messages([said("hello")], "gpt-6-sol").method == "heuristic"


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", None])
def test_tiktoken_counts_when_its_ranks_are_on_disk(
    tiktoken: Tiktoken,
    without_extra: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
) -> None:
    """Where tiktoken itself would look: in either variable's folder, else in the temporary one."""
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(without_extra))
    folder = without_extra / "data-gym-cache"
    if variable:
        folder = without_extra / "elsewhere"
        monkeypatch.setenv(variable, str(folder))
    put_ranks(folder)
    estimate = count_messages([said(ENGLISH)], "gpt-6-sol")
    assert estimate == TokenEstimate(o200k(ENGLISH) + 6, "o200k")
    assert tiktoken.asked == ["o200k_base"]


def test_tiktoken_without_ranks_is_left_alone(tiktoken: Tiktoken) -> None:
    """It would download them."""
    assert count_messages([said("hello")], "gpt-6-sol").method == "heuristic"
    assert tiktoken.asked == []


def test_tiktoken_with_damaged_ranks_is_left_alone(tiktoken: Tiktoken, without_extra: Path) -> None:
    """It would delete them and download others."""
    (without_extra / RANKS).write_bytes(b"half a file")
    assert count_messages([said("hello")], "gpt-6-sol").method == "heuristic"
    assert tiktoken.asked == []


def test_tiktoken_with_its_cache_turned_off_is_left_alone(
    tiktoken: Tiktoken, without_extra: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty folder name means "always download" to it, even next to a good file."""
    put_ranks(without_extra)
    monkeypatch.chdir(without_extra)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert count_messages([said("hello")], "gpt-6-sol").method == "heuristic"
    assert tiktoken.asked == []


def test_ranks_without_tiktoken_are_no_use(without_extra: Path) -> None:
    """A forgotten cache alone makes nothing exact, and no error."""
    put_ranks(without_extra)
    assert count_messages([said("hello")], "gpt-6-sol").method == "heuristic"


# --- learning from the ledger ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "factor"),
    [
        ([], 1.0),
        ([(0, 100), (100, 0), (-1, 5)], 1.0),
        ([(100, 130)], 1.3),
        ([(100, 130), (200, 260), (0, 7)], 1.3),
        ([(100, 100), (100, 150)], 1.1),
        ([(100, 150), (100, 100)], 1.4),
        ([(100, 9_000)], 2.0),
        ([(9_000, 100)], 0.5),
        ([(100, 100), (100, 9_000)], 1.2),
    ],
)
def test_calibration_follows_what_was_reported(pairs: list[tuple[int, int]], factor: float) -> None:
    """The newest pair counts for a fifth, and one odd pair can't spoil it."""
    assert calibration_factor(iter(pairs)) == pytest.approx(factor)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))))
def test_calibration_stays_sane(pairs: list[tuple[int, int]]) -> None:
    """Whatever the ledger holds, an estimate is at most doubled or halved."""
    assert 0.5 <= calibration_factor(pairs) <= 2.0


@pytest.mark.parametrize("true", [0.8, 1.0, 1.35])
def test_calibration_finds_a_steady_factor(true: float) -> None:
    """After some answers estimates are right, whatever they were at first."""
    pairs = [(1000, 1000)] + [(1000, round(1000 * true))] * 30
    assert calibration_factor(pairs) == pytest.approx(true, rel=0.01)


@pytest.mark.parametrize(
    ("history", "cap", "expected"),
    [
        ([], None, 500),
        ([], 200, 200),
        ([], 4000, 500),
        ([10, 5000, 300], None, 300),
        ([10, 5000, 300], 100, 100),
        ([100, 201], None, 151),
        ([0], None, 0),
    ],
)
def test_an_answer_is_expected_to_be_as_long_as_usual(
    history: list[int], cap: int | None, expected: int
) -> None:
    """The median, so that one long answer does not count; 500 at first; never above the cap."""
    assert expected_output_tokens(history, cap) == expected
