"""Reading `multipart/form-data` with the standard library's e-mail parser."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from sandbox.wire import ApiError, Json


def read_form(content_type: str, raw: bytes) -> Json:
    """The fields of a form: text as str (numbers and booleans stay text), files as bytes.

    A name that ends in `[]`, or comes twice, gives a list.
    """
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + raw)
    if not message.is_multipart():
        raise ApiError(400, "We could not parse the multipart body of your request.")
    out: Json = {}
    for part in message.get_payload():
        if isinstance(part, Message):
            _add(out, part)
    return out


def _add(out: Json, part: Message) -> None:
    name = str(part.get_param("name", "", "content-disposition"))
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    value: object = data if part.get_filename() else data.decode("utf-8", "replace")
    plain = name.removesuffix("[]")
    if name.endswith("[]"):
        out.setdefault(plain, []).append(value)
    elif plain in out:
        before = out[plain]
        out[plain] = [*(before if isinstance(before, list) else [before]), value]
    else:
        out[plain] = value
