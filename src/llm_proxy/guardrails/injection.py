"""Finds attempts to talk a model out of its instructions, by known phrases.

The text is first brought to one plain form, so that capitals, accents, invisible or
look-alike characters, line breaks, markup and letters set apart hide nothing. Phrases
are all this sees: it stops the known attacks, not the new ones.
"""

import re
import unicodedata

# After this table, invisible characters are gone, tag characters (ASCII that only a
# model reads) are ASCII, and Cyrillic letters that look Latin are Latin.
_PLAIN_CHARACTERS: dict[int, int | str | None] = {
    **dict.fromkeys((0xAD, 0x34F, 0x180E, 0xFEFF)),
    **dict.fromkeys((*range(0x200B, 0x2010), *range(0x202A, 0x202F))),
    **dict.fromkeys((*range(0x2060, 0x2070), *range(0xFE00, 0xFE10))),
    **{0xE0000 + code: chr(code) for code in range(0x20, 0x7F)},
    **str.maketrans("\u0430\u0441\u0501\u0435\u04bb\u0456\u0458", "acdehij"),
    **str.maketrans("\u043e\u0440\u0455\u0443\u0445", "opsyx"),
}
_ACCENTS = re.compile("[\u0300-\u036f]+")
_LETTERS_SET_APART = re.compile(r"\b[a-z](?:[\W_][a-z]){3,}\b")
_SEPARATORS = re.compile(r"[\W_]+")
# A letter looks like "a", white space like a space, other separators like "_".
_SHAPE = str.maketrans(
    {
        code: "a" if chr(code).isalpha() else " " if chr(code).isspace() else "_"
        for code in range(0x80)
        if not chr(code).isdigit()
    }
)


def _phrase(pattern: str) -> re.Pattern[str]:
    """Compile words; a space stands for anything short that ends no sentence."""
    return re.compile(pattern.replace(" ", "[^a-z0-9.!?:;]{0,6}"))


_EARLIER = "(?:previous|prior|above|earlier|preceding|foregoing|initial|original)"
_ORDERS = (
    "(?:instruct|rule|prompt|guideline|command|directi|constraint|restriction|context)"
)
_WHOSE = "(?:of )?(?:the |your |my |our |these |those )?"
_WORDS = r"(?:[a-z]{1,20}\W){0,2}"
_END = r"""(?=\s?(?:$|[.,;:!?"')\]}]|(?:and|but|else|from|now|or|so|then)\b))"""

PATTERNS: dict[str, re.Pattern[str]] = {
    "ignore_instructions": _phrase(
        "(?:ignore|disregard|forget|override|bypass) "
        "(?:(?:all |any |every )?(?:"
        f"{_WHOSE}(?:{_EARLIER} ){{1,3}}(?:system )?{_ORDERS}"
        f"|{_WHOSE}{_ORDERS}[a-z]{{0,4}} (?:above|before)"
        f"|(?:of )?your (?:system )?{_ORDERS}"
        ")|all instructions|the system prompt"
        "|everything (?:above|before|previous|prior|you))"
    ),
    # "disregard all my earlier mails" is a thing people write, so the phrase counts
    # only without an object of its own, or with one that is an order.
    "disregard_all": _phrase(
        f"disregard all(?:{_END}| {_WHOSE}(?:{_EARLIER}{_END}|{_WORDS}{_ORDERS}))"
    ),
    "forget_everything": _phrase("forget everything"),
    "new_instructions": _phrase("new instructions? :"),
    "prompt_extraction": _phrase(
        "(?:reveal|show|print|repeat|output|display|disclose|leak|give|tell|what.?s|"
        f"what (?:is|are|was|were)) (?:me |us )?(?:your {_WORDS}"
        "(?:system|initial|original|hidden|secret|developer) (?:prompt|instruct|messag)"
        f"|the {_WORDS}system prompt)"
        "|repeat (?:everything|all|the (?:text|words|instructions)) above"
    ),
    "chat_template": re.compile(
        r"<\|[^<>|\s]{2,40}\|>|(?<!\w)\[inst\]|\[/inst\]|<</?sys>>"
        r"|<(?:start|end)_of_turn>"
    ),
    "script_tag": re.compile(r"<[\s/]?script\b"),
    "drop_table": _phrase(r"drop table\b"),
    "ignore_instructions_fr": _phrase(
        "(?:ignore|oublie)[rz]? (?:toutes? )?(?:les |tes |vos |mes |ces )?"
        "(?:precedentes (?:instruction|consigne|regle|directive)"
        "|(?:instruction|consigne|regle|directive)s? "
        "(?:precedente|anterieure|ci dessus|initiale))"
        "|oublie[rz]? tout ce qu|nouvelles instructions :"
    ),
    "ignore_instructions_es": _phrase(
        "(?:ignor|olvid)(?:ar|ad|a|e) (?:todas )?(?:las |tus |sus |mis |estas )?"
        "(?:instruccion|regla|orden|indicacion|directri)[a-z]{0,3} "
        "(?:anterior|previa|de arriba)"
        "|olvid(?:ar|ad|a|e) todo lo (?:anterior|que)|nuevas instrucciones :"
    ),
    "ignore_instructions_de": _phrase(
        "(?:ignorier(?:en|e|t)|vergiss|vergessen|missachte) (?:sie )?(?:alle )?"
        "(?:die |deine |meine |ihre |diese )?"
        "(?:vorherigen|vorigen|bisherigen|obigen|fruheren|vorangegangenen) "
        "(?:anweisung|instruktion|regel|befehl|vorgabe)"
        "|vergiss alles (?:bisherige|vorherige|davor|oben|was)|neue anweisungen :"
    ),
}

# Every pattern needs one of these, and most texts have none: a cheap way out.
_STEMS = (
    *("<", "inst]", "drop", "ignor", "disregard", "forget", "overrid", "bypass"),
    *("instruc", "prompt", "messag", "above", "oubli", "olvid"),
    *("vergiss", "vergessen", "missachte", "anweisung"),
)


def detect(text: str) -> tuple[str, ...]:
    """Name the patterns that a text matches, in time linear in the text.

    Args:
        text: What a caller wants to send, as it came.

    Returns:
        Keys of `PATTERNS`, in its order; empty for a harmless text.
    """
    if text.isascii() and not _may_match(text.lower()):
        return ()
    plain = _plain_form(text)
    if not _has_stem(plain):
        return ()
    return tuple(name for name, pattern in PATTERNS.items() if pattern.search(plain))


def _has_stem(text: str) -> bool:
    # A generator expression would take twice as long.
    for stem in _STEMS:  # noqa: SIM110
        if stem in text:
            return True
    return False


def _may_match(lower: str) -> bool:
    """Tell from a text in ASCII, for little, whether it is worth a closer look."""
    if _has_stem(lower):
        return True
    shape = f" {lower.translate(_SHAPE)} "
    return "  " in shape[1:-1] or " a a a a " in shape.replace("_", " ")


def _plain_form(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).casefold()
        text = _ACCENTS.sub("", text.translate(_PLAIN_CHARACTERS))
    text = " ".join(text.casefold().split())
    return _LETTERS_SET_APART.sub(lambda run: _SEPARATORS.sub("", run[0]), text)
