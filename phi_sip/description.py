"""Physics as plain data."""
from typing import Any
def describe(obj: Any) -> Any:
    return repr(obj)
