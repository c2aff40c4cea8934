"""The module over HTTP. Errors become problem responses in ``main``.

``X-User-Id`` stands in for the application's authentication: an application that has one replaces
`CurrentUser` by its own dependency. Without the header a topic belongs to nobody, and reads are
not limited to a user.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response, status
from fastapi.responses import StreamingResponse

from .public import (
    ContentCreationProvider,
    NewTopicDTO,
    TopicDTO,
    TopicSummaryDTO,
    WalksThroughTopics,
    content_creation_provider,
    walk_through_provider,
)

router = APIRouter(prefix="/api/v1/content_creation", tags=["content_creation"])

Lessons = Annotated[ContentCreationProvider, Depends(content_creation_provider)]
Walks = Annotated[WalksThroughTopics, Depends(walk_through_provider)]
CurrentUser = Annotated[
    UUID | None, Header(alias="X-User-Id", description="The user whose topics are meant.")
]


@router.post("/topics", status_code=status.HTTP_201_CREATED)
async def create_topic(
    new: NewTopicDTO, lessons: Lessons, response: Response, user_id: CurrentUser = None
) -> TopicDTO:
    """Make a lesson from source material. An ``incomplete`` one can be resumed."""
    topic = await lessons.create_topic(new, user_id)
    response.headers["Location"] = f"{router.prefix}/topics/{topic.id}"
    return topic


@router.get("/topics")
def list_topics(
    lessons: Lessons,
    user_id: CurrentUser = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> list[TopicSummaryDTO]:
    """Topics without their contents, newest first."""
    return lessons.list_topics(user_id, limit, offset)


@router.get("/topics/{topic_id}")
def get_topic(topic_id: UUID, lessons: Lessons, user_id: CurrentUser = None) -> TopicDTO:
    """One topic with its lesson."""
    return lessons.get_topic(topic_id, user_id)


@router.post("/topics/{topic_id}/resume")
async def resume_topic(topic_id: UUID, lessons: Lessons, user_id: CurrentUser = None) -> TopicDTO:
    """Ask again for the parts that are missing."""
    return await lessons.resume_topic(topic_id, user_id)


@router.get("/topics/{topic_id}/stream")
async def walk_through(
    topic_id: UUID, walks: Walks, user_id: CurrentUser = None
) -> StreamingResponse:
    """A walk through the topic as server-sent events: ``delta``, then ``done`` or ``error``."""
    events = await walks.walk(topic_id, user_id)
    return StreamingResponse(
        (event.as_server_event() async for event in events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
