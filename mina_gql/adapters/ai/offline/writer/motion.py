"""What a clip's camera does, in simple English: a suggestion for the person, and the prompt for the video model."""

from mina_gql.adapters.ai.offline import camera
from mina_gql.adapters.ai.offline.text import subject_words
from mina_gql.adapters.ai.offline.writer.parts import BRIEF_CHARS, MOTION_PROMPT_CHARS, blocks_of, fitted, in_brackets, text_of
from mina_gql.domain.ports import JsonObject

_MOVES = {
    "push_in": "cinematic camera push-in",
    "pull_out": "cinematic camera pull-out",
    "orbit": "orbit around the product",
    "pan_left": "camera pan to the left",
    "pan_right": "camera pan to the right",
    "tilt_up": "camera tilt upwards",
    "tilt_down": "camera tilt downwards",
    "handheld": "handheld camera sway",
    "parallax": "parallax",
}
_STYLES = {
    "cinematic_smooth": ("Smooth cinematic glide to the right.", "Gentle parallax."),
    "slow_push_in": ("Slow cinematic camera push-in.",),
    "orbit": ("Slow orbit around the product.", "The product stays in the middle."),
    "parallax": ("Slow parallax.", "Foreground and background drift apart."),
    "handheld": ("Light handheld camera sway.", "Small, natural movements."),
    "still_life": ("Locked camera that holds still.", "Only small details move."),
}
_STEADY = "Keep lighting stable and natural."
_WISH_CHARS = 80


def motion_suggestion(parts: JsonObject) -> tuple[str, str]:
    """A camera movement to begin with, at most three short sentences (`motion_suggestion`, seed 003 section 8.2).

    Parts: `input_still_crt, movement_style, motion_brief, hard_blocks[]`; all may be missing. A movement that the brief names
    goes before the style's; what else the brief wishes for is quoted.
    """
    brief = subject_words(text_of(parts, "motion_brief"), BRIEF_CHARS)
    wish = brief.split(".")[0]
    movement = _movement(parts, brief)
    if wish and not camera.moves(brief):  # a movement was heard already
        movement = [movement[0], f"Show “{subject_words(wish, _WISH_CHARS)}”."]
    said = " ".join([*movement, _STEADY])
    return fitted(said, blocks_of(parts), longest=MOTION_PROMPT_CHARS), _ready(said)


def motion_prompt(parts: JsonObject) -> tuple[str, str]:
    """The prompt that animates a still (`gpt_reader_motion`); the same parts as a suggestion."""
    brief = subject_words(text_of(parts, "motion_brief"), BRIEF_CHARS)
    said = _movement(parts, brief)
    if brief:
        said.append(f"In the person's words: “{brief}”.")
    seen = text_of(parts, "input_still_crt")
    said.append(f"Animate the still as it is ({in_brackets(seen)})." if seen else "Animate the still as it is.")
    said += ["Shape, label and colours of the product stay unchanged.", _STEADY]
    return fitted(" ".join(said), blocks_of(parts), longest=MOTION_PROMPT_CHARS), _ready(" ".join(said))


def _movement(parts: JsonObject, brief: str) -> list[str]:
    """One or two sentences: the movements that the brief names, else the style's; nothing that is blocked."""
    blocked = camera.moves(". ".join(blocks_of(parts)))
    named = [name for name in camera.moves(brief) if name not in blocked][:2]
    if not named:
        style = _STYLES.get(text_of(parts, "movement_style"), _STYLES["slow_push_in"])
        return list(_STYLES["still_life"] if set(camera.moves(" ".join(style))) & set(blocked) else style)
    if "still" in named:
        return list(_STYLES["still_life"])
    first = "Lively" if camera.pace(brief) > 1 else "Slow"
    return [f"{how} {_MOVES[name]}." for how, name in zip((first, "Gentle"), named, strict=False)]


def _ready(prompt: str) -> str:
    """A closing line in words of ours."""
    move = camera.read(prompt).name
    lines = {"still": "Your clip is ready, calm and steady.", "orbit": "Your clip is ready. Once around it, please."}
    return lines.get(move, f"Your clip is ready, with a {_MOVES.get(move, move)}.")
