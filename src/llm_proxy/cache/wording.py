"""What two questions must have in common before their meanings are compared.

A model of meaning finds "before" and "after", "buy" and "sell", or "miles to
kilometers" and the reverse as alike as one question in other words. So rules say first
what may differ at all: how a question is opened and put. Whatever is asked for is
compared as it is. The rules know English; in other languages nothing may differ.
"""

import re
from unicodedata import normalize

# Longer texts would not be compared in time.
MAX_BYTES = 400

_ASKS = "who|whom|whose|what|when|where|why|how|which"
_VERBS = "am|are|can|could|did|do|does|is|may|must|shall|should|was|were|will|would"
_WISHES = (
    "describe|draft|explain|give|help|list|name|recommend|show|suggest|summari[sz]e"
    "|tell|write"
)
_FIRST = f"(?i:{_ASKS}|{_VERBS}|{_WISHES})"

# Each is taken away or replaced once, in this order.
_RULES = tuple(
    (re.compile(pattern, re.VERBOSE), replacement)
    for pattern, replacement in (
        # "Hello, could you please tell me". Without "please", "can you write a will"
        # may well be a question, and without anything to do, "please" be what it is
        # about.
        (
            rf"""
            \A (?i:
                (?:hi|hello|hey) (?:\ there)? [,.!]? \ +
            |   please ,? \ +
            |   (?:can|could|will|would)\ you\ please\ + (?= (?:{_WISHES}) \b )
            |   (?:can|could|will|would)\ you\ +
                (?= (?: describe|explain|suggest|summari[sz]e
                    |   (?:give|help|show|tell)\ me ) \b )
            |   (?: tell\ me | (?:explain|describe) (?:\ to\ me)?
                |   i (?:\ would|'d) \ like\ to\ know | i\ (?:want|need)\ to\ know
                ) ,? \ + (?= (?:{_ASKS}) \b )
            )++ (?= {_FIRST} \b )
            """,
            "",
        ),
        # Elsewhere a question mark makes a question; after other marks it is one of
        # several.
        (rf"\A ( {_FIRST} \b .* \w ) [?.] \Z", r"\1"),
        # Elsewhere capitals make a name.
        (rf"\A {_FIRST} \b", lambda match: match[0].lower()),
        (rf"\A ({_ASKS}) ['\u2019]s \b", r"\1 is"),
        (r"\A how\ (?: (?:do|can|could)\ [Ii] | to ) \b", "how to"),
        # "tell me how it is done", "how is it done"; "how vaccines work".
        (rf"\A ((?:{_ASKS})\b .*?) \ (is|are) (?!\S) (.*) \Z", r"\1\3 \2"),
        (rf"\A ({_ASKS}) \ do \b", r"\1"),
        # "Tell me a joke" and "what is a joke" are two questions.
        (
            r"\A what\ ( (?:the|some|a\ good)\b .* ) \ (?:is|are) \Z",
            r"tell me \1",
        ),
        (r"\A give\ me (?= \ (?:the|some|a\ good)\b )", "tell me"),
    )
)


def wording(text: str) -> str | None:
    """Take from a question what may differ without another answer.

    Args:
        text: What a user says.

    Returns:
        The rest, which questions must have in common to be alike; None for what is no
        short prose on one line.
    """
    # Whatever is not printable parts lines, as in code and material, or is not seen.
    if len(text) > MAX_BYTES or not text.isprintable():
        return None
    if len(normalize("NFKC", text).encode()) > MAX_BYTES:
        return None
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text, count=1)
    return text or None
