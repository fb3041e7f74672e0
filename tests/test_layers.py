"""The page shows the layers that are enforced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_shows_the_layers(tmp_path):
    written = ROOT / "docs" / "design.md"
    code = "import runpy, pathlib; m = runpy.run_path('docs/layers.py'); print(m['page'](m['PAGE'].read_text('utf-8')))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout.decode(
        "utf-8"
    )
    assert shown.rstrip("\n") == written.read_text("utf-8").rstrip("\n"), "run: python docs/layers.py"
