"""
What training costs on a GPU, as ratios, in a few minutes: `rows.jsonl`, written row by row, and `table.md`.

| what | in units of |
|---|---|
| SIP steps by the default rule and by two closed forms | a supervised step written for the framework |
| one inversion of the batch by each of them | two real FFTs of the batch |

with the peak of the memory on the GPU, and what one call copies between host and device, counted by CUDA's own
profiler. All problems of one framework are compiled at the same time, each in a process of its own, and then measured
one after the other while nothing else runs. Problems that do not fit the time are left out. Copies are counted for the
first problem.

    bash benchmarks/gpu.sh                             # installs the wheels that it finds in .whl, then this
    python benchmarks/performance/gpu.py --seconds 240
    python benchmarks/performance/gpu.py --quick       # tiny, on whatever device PhiFlow takes
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))  # `chapter.py`

import gpu_job
from gpu_job import Job, Problem
from native import FRAMEWORKS, installed
from report import markdown_table

PROBLEMS = (
    Problem((64, 64), 128),
    Problem((64, 64), 1024),
    Problem((256, 256), 128),
    Problem((64, 64, 64), 32),
    Problem((128, 128), 128),
    Problem((64, 64), 128, precision=64),
)
TINY = (Problem((16, 16), 4), Problem((8, 8, 8), 2, precision=64))
FOR_COMPILING = 0.7  # of the time of a framework
SHARES = {"tensorflow": 1.5, "torch": 1.0, "jax": 1.5}  # of the time: those that compile need more
COLUMNS = ("framework", "problem", "precision", "case", "ratio", "seconds", "first", "peak_mb")


def main() -> int:
    options = parse_arguments()
    if options.job:
        gpu_job.work(Job.read(json.loads(options.job)))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # `timeout` sends it; the table is written all the same
    options.output.mkdir(parents=True, exist_ok=True)
    rows = options.output / "rows.jsonl"
    rows.write_text("")
    try:
        measure(options, rows)
    finally:
        found = [json.loads(line) for line in rows.read_text().splitlines()]
        (options.output / "table.md").write_text(table(found))
        print(table(found))
    return 0 if any("ratio" in row for row in found) else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append", help="may be repeated; default: all there")
    parser.add_argument("--seconds", type=float, default=240.0, help="all that it may take")
    parser.add_argument("--repeats", type=int, default=9, help="turns that count")
    parser.add_argument("--processes", type=int, default=6, help="that compile at the same time")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--output", type=Path, default=Path("results/gpu"))
    parser.add_argument("--job", help=argparse.SUPPRESS)  # what this program tells itself
    return parser.parse_args()


def measure(options: argparse.Namespace, rows: Path) -> None:
    """Measures one framework after the other, each in its share of the time that is left."""
    end = time.time() + options.seconds
    frameworks = options.framework or installed()
    for place, framework in enumerate(frameworks):
        share = SHARES[framework] / sum(SHARES[name] for name in frameworks[place:])
        until = time.time() + share * (end - time.time())
        problems = TINY if options.quick else PROBLEMS
        for start in range(0, len(problems), options.processes):
            left = until - time.time()
            if left > 0:
                together = problems[start : start + options.processes]
                stop = time.time() + FOR_COMPILING * left
                about = {"quick": options.quick, "repeats": options.repeats, "rows": str(rows)}
                when = {"prepare_until": stop, "end": until}
                run([Job(framework, p, counts=p == problems[0], **about, **when) for p in together])


def run(jobs: list[Job]) -> None:
    """Runs jobs at the same time; ends those that are not done when the time is over."""
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    processes = []
    try:
        for job in jobs:
            told = json.dumps(dataclasses.asdict(job))
            processes.append(subprocess.Popen([sys.executable, __file__, "--job", told], env=environment))
        for job, process in zip(jobs, processes, strict=True):
            try:
                process.wait(max(0.0, job.end - time.time()))
            except subprocess.TimeoutExpired:
                print(f"{job.framework}, {job.problem.name}: ended, as the time is over", file=sys.stderr)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def table(rows: list[dict]) -> str:
    """All rows as Markdown: what was measured, what was copied, and what failed."""
    measured = [row for row in rows if "ratio" in row]
    machines = sorted({f"- {row['framework']}: {row['machine']}" for row in rows})
    parts = ["# On a GPU\n", *(machines or ["In this time nothing was measured: give more by --seconds."])]
    for baseline in dict.fromkeys(row["baseline"] for row in measured):
        chosen = [row for row in measured if row["baseline"] == baseline]
        shown = [{key: row[key] for key in (*COLUMNS, "low", "high") if key in row} for row in chosen]
        parts += [f"\n**Ratio to '{baseline}'**\n", markdown_table(shown)]
    copies = [row for row in rows if "copies" in row]
    if copies:
        shown = [{key: row[key] for key in ("framework", "problem", "case")} | row["copies"] for row in copies]
        parts += ["\n**What one call does besides computing**\n", markdown_table(shown)]
    errors = [row for row in rows if "error" in row]
    failed = [f"- {row['framework']}, {row['problem']}, {row['case']}: {row['error']}" for row in errors]
    return "\n".join([*parts, *(["\n**Failed**\n", *failed] if failed else [])]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
