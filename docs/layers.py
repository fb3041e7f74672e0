"""
Writes the layers of `phi_sip` into `docs/design.md`: those of `[tool.importlinter]` in `pyproject.toml`, which
`lint-imports` enforces, with the first sentence of each package.

    python docs/layers.py
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- layers: written by docs/layers.py -->", "<!-- end of layers -->"


def table() -> str:
    """Returns the layers as a table in Markdown, from the top to the bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    names = [name.strip() for layer in layers for name in layer.replace("|", ":").split(":")]
    rows = [f"| `{name}` | {_sentence(name)} |" for name in names]
    return "\n".join(["| layer | what it is |", "|---|---|", *rows])


def page(text: str) -> str:
    """Returns the page with the table of now."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _sentence(name: str) -> str:
    folder, file = ROOT / "phi_sip" / name / "__init__.py", ROOT / "phi_sip" / f"{name}.py"
    docstring = ast.get_docstring(ast.parse((folder if folder.exists() else file).read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
