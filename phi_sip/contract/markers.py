"""The markers of pluggy: `hookimpl` marks what a plugin implements."""

from __future__ import annotations

import pluggy

PROJECT = "phi_sip"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
