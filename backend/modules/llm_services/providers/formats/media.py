"""Images, documents and sound on the wire."""

from modules.llm_services import bulk
from modules.llm_services.types import AudioPart, Call, DocumentPart, MediaPart


def has_sound(call: Call) -> bool:
    """Whether somebody has to listen."""
    listed = (m for m in call.messages if not isinstance(m.content, str))
    return any(isinstance(part, AudioPart) for message in listed for part in message.parts)


def address(part: MediaPart) -> str:
    """The URL that the vendor fetches, or one that holds the data."""
    return part.url or f"data:{part.media_type};base64,{encoded(part)}"


def encoded(part: MediaPart) -> str:
    """The bytes in base64."""
    return bulk.encoded(part.data or b"")


def filename(part: DocumentPart) -> str:
    """The vendor wants one beside the bytes."""
    return part.filename or "document.pdf"
