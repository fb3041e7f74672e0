"""What a page says about a run besides its numbers."""

from __future__ import annotations

import math
from typing import Any

from ..text.printable import in_one_line
from .comparison import ending
from .folders import RunFolder

LONGEST = 2000  # characters of a fact
LARGEST_SIZE = 10**9  # of a dim of an array of weights


def facts_of(folder: RunFolder) -> dict[str, str]:
    """Returns what is known of a run, by name; what its files do not say is left out."""
    info = folder.run.info
    versions = info.get("versions")
    facts = {
        "folder": str(folder.path),
        "begun": _plain(info.get("created")),
        "ended": ending(folder.run),
        "framework": _plain(info.get("framework")),
        "physics": _plain(info.get("physics")),
        "network": _weights(info.get("network")),
        "versions": _plain(versions) if isinstance(versions, dict) else None,
    }
    return {name: value for name, value in facts.items() if value}


def _plain(value: Any, depth: int = 8) -> str | None:
    """Writes nested plain data in one line: heat(diffusivity 1.0, time 8.0)."""
    if not isinstance(value, dict):
        return None if value is None else in_one_line(value if isinstance(value, str) else repr(value)[:LONGEST])
    if depth == 0:
        return "…"
    name = value.get("name") or value.get("type")
    inner = value.get("parameters", {key: v for key, v in value.items() if key not in ("name", "type")})
    pairs = inner.items() if isinstance(inner, dict) else [("", inner)]
    text = ", ".join(f"{key} {_plain(v, depth - 1)}".strip() for key, v in pairs)[:LONGEST]
    return f"{name}({text})" if name and text else str(name or text)


def _weights(layout: Any) -> str | None:
    """Tells how many weights a layout, a list of shapes and types, has."""
    shapes = [entry[0] for entry in layout if isinstance(entry, list) and entry] if isinstance(layout, list) else []
    sizes = [size for shape in shapes if isinstance(shape, list) for size in shape]
    if not shapes or not all(type(size) is int and 0 <= size <= LARGEST_SIZE for size in sizes):
        return None
    count = sum(math.prod(shape) for shape in shapes if isinstance(shape, list) and len(shape) < 16)
    return f"{count:,} numbers in {len(shapes)} arrays"
