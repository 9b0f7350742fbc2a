"""Signatures of thoughts: Google's proof that its model had them.

Source: the Gemini API's page "Thought signatures".
"""

# What the API takes in the place of the signature of a call that it did not make.
NO_SIGNATURE = "skip_thought_signature_validator"
_SEAL = "gemini:"


def seal_signature(signature: str) -> str:
    """Mark a signature of thoughts as Google's.

    Conversations move between providers, and each refuses the signatures of others.
    Callers do not look into signatures, so they bring the mark back.

    Args:
        signature: ``thoughtSignature``; may be empty.

    Returns:
        What stands in `Thinking`; empty if there is none.
    """
    return signature and _SEAL + signature


def open_signature(signature: str) -> str:
    """Read what `seal_signature` wrote.

    Args:
        signature: The signature of a `Thinking` that any provider may have written.

    Returns:
        ``thoughtSignature``; empty if it is not Google's.
    """
    return signature.removeprefix(_SEAL) if signature.startswith(_SEAL) else ""
