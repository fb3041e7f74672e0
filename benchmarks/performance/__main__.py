"""
What `phi_sip` costs, as ratios of computations that take turns in one process: tables and figures.

| section | what | in units of |
|---|---|---|
| steps | training steps, also with their data | a supervised step written for the framework; the chapter's step |
| inverses | one inversion of a batch | two real FFTs of the batch |
| scaling | forward and closed-form inverse | N log₂ N |
| memory | peak memory of training steps | a supervised step |
| accuracy | time to an error | that of the chapter's training through the physics |

    python benchmarks/performance                                    # all: hours on two cores
    python benchmarks/performance --quick                            # tiny sizes, to see that it runs
    python benchmarks/performance --section steps --framework torch  # adds to what --output holds

Every section runs in a process of its own for each framework. Needs the packages of `pip install ".[test]"`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))  # `chapter.py` and `independent.py`

import figures
import processes
import report
from native import FRAMEWORKS, installed
from rich.console import Console
from settings import FULL, QUICK, Settings

SECTIONS = ("steps", "inverses", "scaling", "memory", "accuracy")


def main() -> int:
    options = parse_arguments()
    if options.job:
        processes.work(options.job)
        return 0
    console, failed = Console(), []
    folder = options.output / "sections"
    folder.mkdir(parents=True, exist_ok=True)
    for section, framework in chosen(options, console):
        console.rule(f"{section}, {framework}")
        try:
            result = processes.measured(section, settings_of(options, framework))
        except subprocess.CalledProcessError:
            failed.append(f"{section}, {framework}")
            continue
        (folder / f"{section}_{framework}.json").write_text(json.dumps(result))
    results = collected(folder)
    report.write(results, options.output)
    report.show(results)
    for file in figures.draw(results, options.output):
        console.print(f"wrote {file}")
    for name in failed:
        console.print(f"FAILED: {name}", style="bold red")
    return 1 if failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--framework", choices=FRAMEWORKS, action="append", help="may be repeated; default: all installed"
    )
    parser.add_argument("--section", choices=SECTIONS, action="append", help="may be repeated; default: all")
    parser.add_argument("--repeats", type=int, help=f"turns; default: {FULL.repeats}, with --quick {QUICK.repeats}")
    parser.add_argument("--rates", type=float, nargs="+", help=f"learning rates of accuracy; default: {FULL.rates}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--output", type=Path, default=Path("results/performance"))
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # what this program tells itself
    return parser.parse_args()


def chosen(options: argparse.Namespace, console: Console) -> list[tuple[str, str]]:
    """Sections and frameworks; accuracy is measured against the chapter."""
    pairs = []
    for section, framework in itertools.product(options.section or SECTIONS, options.framework or installed()):
        if section != "accuracy" or FRAMEWORKS[framework].has_chapter:
            pairs.append((section, framework))
        else:
            console.print(f"{section}, {framework}: left out, as the chapter does not run on it")
    return pairs


def settings_of(options: argparse.Namespace, framework: str) -> Settings:
    sizes = QUICK if options.quick else FULL
    rates = tuple(options.rates or sizes.rates)
    return Settings(framework, options.quick, options.repeats or sizes.repeats, rates)


def collected(folder: Path) -> report.Results:
    """All results in the folder, also of earlier runs."""
    results: report.Results = {}
    for section in SECTIONS:
        files = {framework: folder / f"{section}_{framework}.json" for framework in FRAMEWORKS}
        found = {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
        if found:
            results[section] = found
    return results


if __name__ == "__main__":
    sys.exit(main())
