"""Pictures: made from a prompt, or from a prompt and other pictures."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack
from uuid import UUID

from modules.llm_services import arguments
from modules.llm_services.arguments import ImageWish
from modules.llm_services.calls import special_call
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.executor import Invoke
from modules.llm_services.idempotency import Settled
from modules.llm_services.providers.base import Attempt, GeneratesImages, Reply
from modules.llm_services.roles import IMAGE_ROLE
from modules.llm_services.types import (
    Call,
    Candidate,
    GeneratedImage,
    GivenImages,
    ImageEditOptions,
    ImageOptions,
    LLMMessageDTO,
    MessageRole,
    Picture,
)

from .base import UseCases, in_thread
from .routed import Asks

_NAMED = ("prompt", "user_id", "size", "quality", "style")
_EDIT_NAMED = (*_NAMED, "images", "mask")


class ImageUseCases(UseCases):
    """Implements `GeneratesImages`."""

    async def generate_image(
        self,
        prompt: str,
        user_id: UUID | None = None,
        size: str | None = "1024x1024",
        quality: str = "standard",
        style: str | None = None,
        **options: Unpack[ImageOptions],
    ) -> tuple[str, UUID]:
        """The URL of a picture. See `GeneratesImages.generate_image`."""
        given = arguments.options(options, arguments.IMAGE_OPTIONS, _NAMED)
        wish = ImageWish(prompt, user_id, size, quality, style, given)
        call = self._image_call("image", wish, {})

        async def takes(asked: Call) -> Asks[Reply]:
            return (await self._painter(asked)).generate_image

        return await self._make(call, takes)

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
        """The URL of a picture made from others. See `GeneratesImages.edit_image`."""
        given = arguments.options(options, arguments.IMAGE_EDIT_OPTIONS, _EDIT_NAMED)
        wish = ImageWish(prompt, user_id, size, quality, style, given)
        originals, logged = await in_thread(self._originals, images, mask)
        call = self._image_call("image_edit", wish, logged)

        async def takes(asked: Call) -> Asks[Reply]:
            return partial((await self._painter(asked)).edit_image, given=originals)

        return await self._make(call, takes)

    def _originals(self, images: object, mask: Any) -> tuple[GivenImages, Mapping[str, Any]]:
        """The pictures that a caller hands in, and what the row says of them."""
        read = self._runtime.media.picture
        named = enumerate(arguments.pictures(images))
        given = arguments.given_images(
            [read(f"images[{index}]", image) for index, image in named],
            None if mask is None else read("mask", mask),
        )
        return given, given.omitted()

    def _image_call(self, operation: str, wish: ImageWish, logged: Mapping[str, Any]) -> Call:
        config, word = self._runtime.config, wish.options.get("model", IMAGE_ROLE)
        choice = self._choose(word, wish.options)
        standard = (config.image_quality, config.variable("image_quality"))
        said = arguments.image_parameters(choice.model, wish, *standard)
        prompt = arguments.image_prompt(wish.prompt, said.get("style_in_prompt"))

        def fit(other: Candidate) -> Mapping[str, Any]:
            found = arguments.image_parameters(other.model, wish, *standard)
            if found.get("style_in_prompt") != said.get("style_in_prompt"):
                raise LLMInputError("style is said to this model in another way: leave it out")
            return {**found, **logged}

        call = special_call(
            operation,
            choice,
            [LLMMessageDTO(role=MessageRole.USER, content=prompt)],
            wish.user_id,
            {**wish.ours, **said, **logged},
            config,
            resend=wish.options.get("resend", False),
        )
        return self._followed(call, choice, wish.options, fit)

    async def _painter(self, call: Call) -> GeneratesImages:
        provider = await self._provider_for(call)
        if not isinstance(provider, GeneratesImages):
            raise self._lacks(call, "makes no pictures")
        return provider

    async def _make(
        self, call: Call, takes: Callable[[Call], Awaitable[Asks[Reply]]]
    ) -> tuple[str, UUID]:
        self._warn_about_open_transaction()
        call, invoke = await self._route(call, takes)
        ask = partial(self._runtime.executor.run, invoke=self._placing(invoke))
        outcome, request_id = await self._runtime.once(call, ask, Settled.outcome)
        return str(outcome.reply.parsed), request_id

    def _placing(self, invoke: Invoke) -> Invoke:
        """The picture goes to the media folder before its row is closed, which says where it is.

        A ``data:`` URL is the picture itself, and stays out of the row.
        """

        async def placed(call: Call, attempt: Attempt) -> Reply:
            reply = await invoke(call, attempt)
            if not isinstance(reply.parsed, GeneratedImage):
                return reply
            url = await asyncio.to_thread(self._runtime.media.place, reply.parsed)
            return replace(reply, text="" if url.startswith("data:") else url, parsed=url)

        return placed
