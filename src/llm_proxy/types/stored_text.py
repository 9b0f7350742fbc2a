"""Texts as the database has them, so that what is asked for is what was written."""


def is_plain(text: str) -> bool:
    """Say whether a text can be held as it is, whatever its length.

    Args:
        text: Anybody's word.

    Returns:
        True only for what surely can.
    """
    return text.isascii() and "\0" not in text


def storable(text: str, length: int | None = None) -> str:
    """Make a text that every database holds.

    Args:
        text: Anybody's word.
        length: The most characters that the column takes; None for any number.

    Returns:
        The text, cut, without what UTF-8 or Postgres cannot hold: lone surrogates and
        NUL.
    """
    if is_plain(text):
        return text[:length]
    clean = text.encode(errors="replace").decode()
    return clean.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]
