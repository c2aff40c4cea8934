"""The built-in redactors: e-mail addresses, bank accounts, cards and telephone numbers.

They know forms, not meanings: names and addresses need a redactor of your own.
"""

import re

_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)+")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![^\W_])")
_CARD = re.compile(
    r"(?<![\d.])(?:[2-6]\d{12,18}|[2-6]\d{3}([ .\u00a0-])\d{4}\1\d{4}\1\d{1,7}"
    r"|3\d{3}([ .\u00a0-])\d{6}\2\d{5})(?!\d)"
)
_PHONE = re.compile(
    r"(?<![\w+])(?:\+|00)[1-9](?:[ ()./\u00a0-]{0,3}\d){6,14}(?!\d)"
    r"|(?<![\w.,-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\w)"
    r"|(?<![\w.,-])0\d{1,4}[ /-]\d{3,8}(?:[ -]?\d{2,4}){0,3}(?!\w)"
)
_NUMBER = re.compile(r"[0-9](?:[ ()./\u00a0-]{0,3}[0-9]){6}")
_FEWEST_DIGITS = 9  # of a telephone number without its country's code; dates have fewer


def without_personal_data(text: str) -> str:
    """The text with ``[email]``, ``[iban]``, ``[card]`` and ``[phone]`` in their places."""
    if "@" in text:
        text = _EMAIL.sub("[email]", text)
    if not _NUMBER.search(text):  # cheap, and without seven digits there is none of the others
        return text
    text = _IBAN.sub(_account, text)
    text = _CARD.sub(_card, text)
    return _PHONE.sub(_phone, text)


def _account(found: re.Match[str]) -> str:
    """An account's number is 1 modulo 97 (ISO 13616)."""
    said = found[0].replace(" ", "")
    number = "".join(str(int(letter, 36)) for letter in said[4:] + said[:4])
    return "[iban]" if int(number) % 97 == 1 else found[0]


def _card(found: re.Match[str]) -> str:
    """A card's number has Luhn's check digit (ISO/IEC 7812)."""
    digits = [int(letter) for letter in found[0] if letter.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return "[card]" if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found[0]


def _phone(found: re.Match[str]) -> str:
    digits = sum(letter.isdigit() for letter in found[0])
    return "[phone]" if digits >= _FEWEST_DIGITS or found[0][0] == "+" else found[0]
