"""Pictures from words, and from other pictures."""

from collections.abc import Sequence
from typing import Protocol, Unpack
from uuid import UUID

from modules.llm_services.types import ImageEditOptions, ImageOptions, Picture


class GeneratesImages(Protocol):
    """Makes pictures. What comes back is a URL, which `read_image` turns into bytes."""

    async def generate_image(
        self,
        prompt: str,
        user_id: UUID | None = None,
        size: str | None = "1024x1024",
        quality: str = "standard",
        style: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> tuple[str, UUID]:
        """Ask a model for one picture and record it.

        A request that may have been answered, and charged, is not sent again after a failure
        unless ``resend`` says so.

        Args:
            prompt: what is to be seen; 1 to 32,000 characters.
            user_id: for whom; written on the row, never sent.
            size: ``WIDTHxHEIGHT`` in pixels or ``auto``, checked before it is sent where the
                model's sizes are known: ``gpt-image-2`` and newer take edges that are multiples
                of 16 and at most 3840, up to 3:1, with 655,360 to 8,294,400 pixels in all.
                ``None`` leaves it to the model.
            quality: ``standard`` (what ``IMAGE_QUALITY`` says, else the model's ``medium``),
                ``hd`` (its ``high``), or a word of the model's own scale: ``auto``, ``low``,
                ``medium``, ``high``, and from ``gpt-image-2.5`` on ``xhigh`` and ``max``.
            style: ``vivid``, ``natural`` or any words; written into the prompt ("Style: vivid.")
                for models that have no parameter for it.
            options: see `ImageOptions`.

        Returns:
            The picture's URL and the id of its row. The URL is the provider's own when it gives
            one (those expire, mostly within the hour); else, with ``LLM_MEDIA_DIR`` set, the one
            of a file that was written there (below ``LLM_MEDIA_BASE_URL``, or ``file:``); else a
            ``data:`` URL. The row holds the picture's type, size and SHA-256, never its bytes.

        Raises:
            LLMInputError: an argument is wrong; nothing was sent and no row was written.
            LLMRefusedError: the prompt is against the provider's content policy.
            LLMError: another subclass says what went wrong; ``error.request_id`` is the row.

        """
        ...

    async def edit_image(
        self,
        prompt: str,
        images: Picture | Sequence[Picture],
        user_id: UUID | None = None,
        size: str | None = None,
        quality: str = "standard",
        style: str | None = None,
        *,
        mask: Picture | None = None,
        **options: Unpack[ImageEditOptions],
    ) -> tuple[str, UUID]:
        """Ask a model for one picture made from others and record it.

        Args:
            prompt: what shall be done with them.
            images: one picture, or 1 to 16: PNG, JPEG or WebP of at most 50 MB each. Bytes, a
                ``data:`` URL, a URL that `generate_image` gave out, or a file inside
                ``LLM_MEDIA_DIR``; nothing is fetched from the network.
            user_id: as for `generate_image`.
            size: as for `generate_image`; by default the model decides.
            quality: as for `generate_image`.
            style: as for `generate_image`.
            mask: a PNG of at most 4 MB, as large as the first picture: where it is transparent,
                that picture may be changed.
            options: see `ImageEditOptions`.

        Returns:
            As for `generate_image`.

        Raises:
            LLMInputError: an argument is wrong, or a picture is none; nothing was sent.
            LLMError: as for `generate_image`.

        """
        ...
