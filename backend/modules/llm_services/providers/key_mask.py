"""The key stays out of what providers say: some quote it, and not all keys look like keys."""

import base64
import re
from urllib.parse import quote

_MASK = "***"
_BEGINNING = 8  # characters; a shorter key is a placeholder, and might be part of any word


class KeyMask:
    """Masks one key: as it is, as URLs and base64 hold it, and whatever begins as a long one."""

    def __init__(self, key: str) -> None:
        self._key = ""
        self._found: re.Pattern[str] | None = None
        self._marks: tuple[str, ...] = ()
        self.know(key)

    def know(self, key: str) -> None:
        """Mask this key from now on, in place of the one before."""
        if key == self._key:
            return
        self._key = key
        encoded = base64.b64encode(key.encode()).decode().rstrip("=")
        self._marks = (key, quote(key, safe=""), encoded)
        forms = [re.escape(form) for form in self._marks]
        if len(key) >= 2 * _BEGINNING:
            self._marks += (key[:_BEGINNING],)
            forms.append(re.escape(key[:_BEGINNING]) + r"[^\s'\"<>]*")
        self._found = re.compile("|".join(forms)) if len(key) >= _BEGINNING else None

    def __call__(self, text: str) -> str:
        """The text without the key. Looking for its forms first is many times faster."""
        if self._found is None or not any(mark in text for mark in self._marks):
            return text
        return self._found.sub(_MASK, text)

    def error(self, error: Exception) -> None:
        """Mask it in all that an error says."""
        for name, said in vars(error).items():
            if isinstance(said, str):
                setattr(error, name, self(said))
        error.args = tuple(self(said) if isinstance(said, str) else said for said in error.args)
