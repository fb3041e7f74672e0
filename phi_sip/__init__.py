"""
Scale-invariant physics (SIP) training for PhiFlow.

Call `sip_update_weights` where a PhiFlow script calls `update_weights`. See `docs/design.md`.
"""

from typing import Any

import lazy_loader

__version__ = "0.1.0"

# The public names are those of `__init__.pyi`. Each is imported when it is first used, so importing phi_sip is fast.
_imported, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'phi_sip' has no attribute '{name}'")
    return _imported(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
