"""The offline writer: prompts made by rules from their parts. Words of people and models are data; no rule reads them.

Every prompt ends in one `Avoid: …` sentence for each hard block, and these are never cut off.
"""

from mina_gql.adapters.ai.offline.text import usage
from mina_gql.adapters.ai.offline.writer.changes import changed_motion, changed_prompt
from mina_gql.adapters.ai.offline.writer.motion import motion_prompt, motion_suggestion
from mina_gql.adapters.ai.offline.writer.parts import Task
from mina_gql.adapters.ai.offline.writer.still import still_prompt
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.ports import WriteRequest, Written

TASKS: dict[str, Task] = {
    "gpt_reader": still_prompt,
    "gpt_feedback_still": changed_prompt,
    "motion_suggestion": motion_suggestion,
    "gpt_reader_motion": motion_prompt,
    "gpt_feedback_motion": changed_motion,
}
"""What this writer can do; a later task is one more entry."""


class OfflineWriter:
    """A `Writer` that follows rules. No account, no network."""

    name = "offline"
    model = "offline-writer-1"

    async def write(self, request: WriteRequest) -> Written:
        """Answer `{"clean_prompt", "userMessage_final"}`. Raises GenerationFailed PROVIDER_NOT_CONFIGURED for an unknown task."""
        task = TASKS.get(request.task)
        if task is None:
            raise GenerationFailed(
                "PROVIDER_NOT_CONFIGURED",
                "This is not available without a connected account.",
                detail=f"the offline writer has no task {request.task!r}",
                retryable=False,
            )
        prompt, line = task(request.parts)
        value = {"clean_prompt": prompt, "userMessage_final": line}
        return Written(value, usage(self.model, request.system + request.prompt, prompt + line))
