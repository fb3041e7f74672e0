"""
Scale-invariant physics (SIP) training for PhiFlow.

Call `sip_update_weights` where a PhiFlow script calls `update_weights`. See `docs/design.md`.
"""

import lazy_loader

__version__ = "0.1.0"

# The public names are those of `__init__.pyi`. Each is imported when it is first used, so importing phi_sip is fast.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
