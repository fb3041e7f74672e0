"""Text that came out of files, as it may be shown: on a terminal, in a page, in a figure."""

from __future__ import annotations

import unicodedata

# Control characters, what turns the direction of writing or cannot be seen, halves of characters, line separators.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_KEPT = "\n\t"


def printable(text: str) -> str:
    r"""
    Returns a text in which everything that a terminal would obey, and everything that cannot be seen, is written out as
    Python writes it: the character that begins an escape sequence becomes `\x1b`. Line breaks and tabs stay.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def in_one_line(text: str, longest: int = 200) -> str:
    """Returns a name in one line and not longer than `longest` characters, with nothing in it that is obeyed."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shortened(text: str, longest: int = 100) -> str:
    """Returns the text, or its first `longest` characters with a mark that there were more."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def sentence(text: object) -> str:
    """Returns a text, such as the message of an error, that ends with one full stop, or as it ends itself."""
    line = str(text).rstrip()
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _OBEYED:
        return character
    return character.encode("unicode_escape").decode()
