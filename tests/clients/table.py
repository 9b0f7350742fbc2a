"""Writes docs/compatibility.md: ``python -m tests.clients.table --write``."""

import sys
from pathlib import Path

from tests.clients.expectations import PROVIDERS, fate_of
from tests.clients.features import FEATURES
from tests.clients.words import CHAT, MESSAGES, RESPONSES

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"

_TITLES = {
    CHAT: "Programs on OpenAI's chat completions",
    RESPONSES: "Programs on OpenAI's responses",
    MESSAGES: "Programs on Anthropic's messages",
}
_PREFACE = """\
<!-- Written by `python -m tests.clients.table --write`; a test compares. -->

# Compatibility

Programs that are written for the SDKs of OpenAI and Anthropic may use any provider.
Each cell of the tables is a test in `tests/clients/`: the vendor's own SDK asks over a
real socket, once plainly and once streamed, and has to be told the same both times. The
upstream is the [sandbox](sandbox.md), which is as strict as the vendors.

- *passes*: the provider speaks the program's dialect. The bytes pass through, with the
  name of the model changed.
- *translated*: it works, in the provider's own words.
- *left out*: the answer comes without it, and the header
  `x-llm-proxy-dropped` names it.
- *refused*: status 400, with the code `unsupported_feature`. Nothing has been sent to
  the provider.
- *none*: the provider has nothing of the kind.

*Compatible* stands for every other provider with OpenAI's chat completions, *Bedrock*
for a Claude there. What a dialect has no words for is not in its table.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_PREFACE, *map(_table, _TITLES)])


def _table(dialect: str) -> str:
    rows = [
        f"## {_TITLES[dialect]}",
        "",
        f"| | {' | '.join(PROVIDERS.values())} |",
        f"|---|{'---|' * len(PROVIDERS)}",
    ]
    for feature in FEATURES.values():
        if dialect in feature.dialects:
            fates = [fate_of(feature.name, dialect, each) for each in PROVIDERS]
            rows.append(f"| {feature.title} | {' | '.join(fates)} |")
    return "\n".join([*rows, ""])


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE} is out of date")
