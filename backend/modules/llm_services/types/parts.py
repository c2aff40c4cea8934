"""Parts of a message's content: text, images, documents, sound.

Like messages they are checked when they are sent, not when they are made.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SkipValidation

from .frozen import Frozen

ImageDetail = Literal["auto", "low", "high", "original"]
_Bytes: TypeAlias = Annotated[bytes | None, SkipValidation]
_Text: TypeAlias = Annotated[str | None, SkipValidation]


class TextPart(Frozen):
    """Some text."""

    text: Annotated[str, SkipValidation]


class MediaPart(Frozen):
    """What is not text: its bytes, or where they are.

    Give ``data`` (``media_type`` is found by itself), or a ``url``: ``data:…;base64,…``, an
    ``https:`` address that the vendor will fetch (we never do), or the ``file:`` URL of a file in
    ``LLM_MEDIA_DIR``, which is read when it is sent.
    """

    data: _Bytes = Field(default=None, repr=False)
    url: _Text = Field(default=None, repr=False)
    media_type: _Text = None


class ImagePart(MediaPart):
    """A PNG, JPEG, WebP or GIF, at most 20 MB. ``detail`` is how closely the model looks at it;
    ``original`` is ``high`` where the API knows no ``original``.
    """

    detail: Annotated[ImageDetail, SkipValidation] = "auto"


class DocumentPart(MediaPart):
    """A PDF, at most 50 MB. Chat Completions takes bytes only, the Responses API also URLs: a URL
    that would go to the former is refused before anything is written or sent.
    """

    filename: _Text = None


class AudioPart(MediaPart):
    """A WAV or MP3, at most 25 MB, for a model that hears. Its bytes go to Chat Completions: the
    Responses API takes no sound.
    """


ContentPart: TypeAlias = TextPart | ImagePart | DocumentPart | AudioPart
