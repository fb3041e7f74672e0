"""Libraries of the extra `cli` that are missing."""

from __future__ import annotations

BROUGHT = ("typer", "packaging", "pydantic", "tomli", "tomli_w")  # by the extra `cli`, as they are imported


def what_brings(error: ImportError) -> str:
    """Returns which extra brings the library that could not be imported; nothing if it is none of the extra `cli`."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").partition(".")[0] not in BROUGHT:
        return ""
    return f"phi-sip needs {error.name}, which is not installed. Install it: pip install 'phi-sip[cli]'"
