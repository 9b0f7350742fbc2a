"""Whose model it is, since Converse hides only some of the differences."""

import re

# "anthropic.claude-...", "us.anthropic.claude-...", "arn:.../anthropic.claude-...".
_VENDOR = re.compile(r"(?:^|[./])(amazon|anthropic|openai)\.")


def find_family(model: str) -> str:
    """Tell whose model it is.

    Args:
        model: Bedrock's id, an inference profile's, or an ARN.

    Returns:
        ``amazon``, ``anthropic`` or ``openai``; empty for all others, and where an ARN
        names no model.
    """
    match = _VENDOR.search(model)
    return match[1] if match else ""
