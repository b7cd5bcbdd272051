"""What a person says of a picture or clip, by REST: `POST /feedback/like` (seed 003, 7.1, 7.2 and 9)."""

from typing import Literal

from mina_gql.api.rest.table import SESSION_ID, Asks, Call, Done, Operation


class Feedback(Asks):
    """A like (`value: true`) or one taken back, or the `event` it is instead; `text` is for `feedback` alone."""

    generation_id: str
    event: Literal["like", "dislike", "download", "feedback"] = "like"
    value: bool = True
    text: str | None = None
    context: str | None = None


async def feedback(call: Call[Feedback]) -> Done:
    """Note it. It makes nothing and costs nothing."""
    asked, caller, signals = call.asked, call.caller, call.services.signals
    await call.count("signals")
    match asked.event:
        case "like":
            await signals.like(caller, asked.generation_id, value=asked.value, context=asked.context)
        case "dislike":
            await signals.dislike(caller, asked.generation_id, value=asked.value, context=asked.context)
        case "download":
            await signals.record_download(caller, asked.generation_id, context=asked.context)
        case "feedback":
            await signals.send_feedback(caller, asked.generation_id, asked.text or "", context=asked.context)
    return Done()


OPERATIONS = (
    Operation(
        "POST",
        "/feedback/like",
        "Like, dislike, note a download, or send words.",
        Feedback,
        feedback,
        {200: Done},
        refuses=(404,),
        headers=(SESSION_ID,),
    ),
)
