"""Text from files, made safe to be shown on a terminal, in a page or in a figure."""

from __future__ import annotations

import unicodedata

# Categories of characters that control a terminal, change the direction of writing, or cannot be seen.
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_KEPT = "\n\t"


def printable(text: str) -> str:
    r"""
    Returns a text in which characters that control a terminal or cannot be seen are written as Python writes them: the
    character that begins an escape sequence becomes `\x1b`. Line breaks and tabs stay.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def in_one_line(text: str, longest: int = 200) -> str:
    """Returns a text in one line of at most `longest` characters, of which none controls a terminal."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shortened(text: str, longest: int = 100) -> str:
    """Returns the text, or its first `longest` characters and an ellipsis if it is longer."""
    return text if len(text) <= longest else f"{text[:longest]}…"


def sentence(text: object) -> str:
    """Returns a text, such as the message of an error, with a full stop at its end if it has no mark there."""
    line = str(text).rstrip()
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _OBEYED:
        return character
    return character.encode("unicode_escape").decode()
