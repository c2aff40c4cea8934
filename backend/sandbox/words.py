"""Words: which carry meaning, what is the same word, how a title is written."""

from __future__ import annotations

import re
from functools import lru_cache


def listed(text: str) -> frozenset[str]:
    """The words of a list that is written as prose."""
    return frozenset(text.split())


WORD = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")

STOP = listed(
    """a about above across actually after again all almost along already also although always am
    among an and another any are around as at away back be became because become becomes
    been before being below between both but by call called came can cannot come comes could
    did different do does doing done down during each either else even ever every few first
    for four five from further gave get gets give gives go goes going gone good great had
    has have having he her here him his how however i if in inside into is it its itself
    just keep kept kind kinds know known large later least less let like likely little long
    look made main make makes making many may me means might more most much must my near
    need needs never new next no nor not now of off often old on once one only onto or other
    others our out outside over own part parts per perhaps place put quite rather same
    second see seen several shall she should since small so some something sometimes soon
    still such take taken takes than that the their them then there therefore these they
    thing things third this those though three through thus time times to together too
    toward towards two under until up upon us use used useful uses using usually very was
    way ways we well went were what when where whether which while who whole whom whose why
    will with within without would yet you your der die das und oder ist sind ein eine einer
    eines dem den des von mit für auf nicht auch wird werden aus bei nach vor zum zur im am
    als durch über unter um sich es er sie wir ihr man kann können hat haben sein war werden
    diese dieser dieses einen einem wenn dass weil nur noch le la les des une est sont dans
    pour avec qui que sur pas plus el los las del una por con para como son"""
)

TASK_WORDS = listed(
    """write create generate produce make draft compose summarise summarize explain describe list
    return respond answer reply give provide include use using based following below above
    source text material lesson lessons quiz question questions choice multiple title titles
    section sections paragraph sentence sentences word words page pages summary objective
    objectives learning glossary term terms json schema format output student students
    teacher grade grader level please short long brief detailed named called titled topic
    subject content document article passage tool function say tell hello request prompt
    instructions instruction assistant helpful you search web find latest news image picture
    draw"""
)

_TITLE_SMALL = listed("a an and as at but by for from in of on or the to with")
_TAILS = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("oes", "o"))
_NO_PLURAL = ("ss", "us", "is")
_SHORT = 3


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """One form for singular, plural and possessive."""
    low = word.lower().replace("’", "'").removesuffix("'s").strip("'")
    for tail, end in _TAILS:
        if low.endswith(tail) and len(low) > len(tail) + 1:
            return low[: -len(tail)] + end
    if low.endswith("s") and len(low) > _SHORT and not low.endswith(_NO_PLURAL):
        return low[:-1]
    return low


def words(text: str) -> list[str]:
    """The words of a text, as written."""
    return WORD.findall(text)


def carries(word: str) -> bool:
    """Whether a word carries meaning: long enough and no stop word."""
    return len(word) >= _SHORT and word.lower() not in STOP


def stems(text: str) -> list[str]:
    """The stems of the meaningful words, in order."""
    return [stem(w) for w in words(text) if carries(w)]


def title_case(text: str) -> str:
    """`plates of the earth` becomes `Plates of the Earth`; capitals inside a word stay."""
    out = [
        w if i and w.lower() in _TITLE_SMALL else w[:1].upper() + w[1:]
        for i, w in enumerate(text.split())
    ]
    return " ".join(out)


def capital(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where that is possible."""
    if len(text) <= limit:
        return text
    cut = text[:limit].rsplit(" ", 1)[0] if " " in text[:limit] else text[:limit]
    return cut.rstrip(" ,;:–-") or text[:limit]


def slug(text: str) -> str:
    """`The Water Cycle` becomes `the-water-cycle`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "sandbox"
