"""Words that may stand in no log line, metric or span: one for each way in, all with the same mark."""

import re

MARK = "kanarienvogel"
BRIEF = f"A {MARK} brief about my secret launch"
FEEDBACK = f"{MARK} feedback: softer"
EMAIL = f"{MARK}.person@customers.example"
FILE_NAME = f"{MARK}-passport.jpg"
HEADER = f"{MARK}-agent/1.0"
QUERY = f"{MARK}-in-the-query"
PATH = f"{MARK}-in-the-path"
TITLE = f"{MARK} session"
PASS_ID = f"pass:anon:{MARK}-1234"

_PERSONAL = (
    re.compile(MARK, re.IGNORECASE),
    re.compile(r"pass:[a-z]+:"),
    re.compile(r"eyJ[\w-]{6,}\."),
    re.compile(r"@customers"),
)


def found_in(text: str) -> list[str]:
    """The lines of a text in which there is something that must not be."""
    return [line for line in text.splitlines() if any(personal.search(line) for personal in _PERSONAL)]
