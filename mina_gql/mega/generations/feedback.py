"""`feedback` rows: words about a picture or a clip, insert-only; the event beside each says that they were sent (FEATURES M7)."""

from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.models import Feedback


class NewFeedback(NamedTuple):
    """Words as they are sent. `event_id` is the event's mg_id, `result_type` `image` or `motion`, `output_url` what they are about."""

    event_id: str
    pass_id: str
    generation_id: str
    session_id: str | None
    text: str
    result_type: str
    output_url: str | None
    context: str | None


async def insert(session: AsyncSession, new: NewFeedback) -> None:
    """Record words beside their event, under the same uuid: a second row for one event is refused by the primary key."""
    moving = new.result_type == "motion"
    session.add(
        Feedback(
            id=f"feedback:{new.event_id.removeprefix('mma_event:')}",
            pass_id=new.pass_id,
            generation_id=new.generation_id,
            session_id=new.session_id,
            platform="web",
            result_type=new.result_type,
            comment=new.text,
            image_url=None if moving else new.output_url,
            video_url=new.output_url if moving else None,
            meta={"event_id": new.event_id, "context": new.context},
            source_system="api",
        )
    )
    await session.flush()
