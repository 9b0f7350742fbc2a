"""Texts as the database has them, so that what is asked for is what was written."""


def storable(text: str, length: int) -> str:
    """Make a text that every database holds.

    Args:
        text: Anybody's word.
        length: The most characters that the column takes.

    Returns:
        The text, cut, without what UTF-8 or Postgres cannot hold: lone surrogates and
        NUL.
    """
    if text.isascii() and "\0" not in text:
        return text[:length]
    clean = text.encode(errors="replace").decode()
    return clean.replace("\0", "\N{REPLACEMENT CHARACTER}")[:length]
