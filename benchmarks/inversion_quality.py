"""
How well the rules invert: one-shot error in units of the best linear filter, and against other libraries.

The linear bound is the Wiener filter with the true spectrum of the ensemble and the true noise; the rules know neither
(`noise_std="auto"`). The mean is known: all start from that of y*. Exits with 1 where something does not hold.

    python benchmarks/inversion_quality.py                        # minutes on one core
    python benchmarks/inversion_quality.py --quick                # seconds: 16 samples
    python benchmarks/inversion_quality.py --table cases --output results/cases.json
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import independent
import numpy as np
from phi.field import CenteredGrid, Field
from phi.geom import Box
from phiml import math
from phiml.math import batch, extrapolation, spatial
from rich.console import Console
from rich.table import Table

from phi_sip import (
    CrossValidated,
    DiscrepancyPrinciple,
    EmpiricalBayes,
    HeatEquation,
    LCurve,
    PowerLaw,
    ProbabilisticDamping,
    PublishedDamping,
    Regularization,
    SipStep,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Wiener,
    sip_inverse,
)
from phi_sip.data import heat_photographs, heat_rectangles, point_sources, smooth_fields
from phi_sip.spectral import SpectralBasis

FLOW = {"numpy": "phi.flow", "tensorflow": "phi.tf.flow", "torch": "phi.torch.flow", "jax": "phi.jax.flow"}
NOISE = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
SIGMA = 1e-3  # where one level is measured
ITERATED = 20
SAMPLES, SAMPLES_QUICK = 256, 16
RULES: dict[str, Regularization] = {
    "default": CrossValidated(),
    "TV, x ≥ 0": TotalVariation(minimum=0.0),
    "TV": TotalVariation(),
    "empirical Bayes": EmpiricalBayes(),
    "Wiener, fitted": Wiener(),
    "Tikhonov, GCV": Tikhonov(),
    "Tikhonov, discrepancy": Tikhonov(DiscrepancyPrinciple()),
    "Tikhonov, L-curve": Tikhonov(LCurve()),
    "TSVD, GCV": TruncatedSVD(),
    "damping": ProbabilisticDamping(),
    "published": PublishedDamping(),
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is observed: states, their grid, and the process."""

    name: str = "64²"
    cells: tuple[int, ...] = (64, 64)
    cell_size: tuple[float, ...] = (1.0, 1.0, 1.0)
    amount: float = 8.0
    boundary: Any = extrapolation.PERIODIC
    data: Callable[..., Field] = heat_rectangles
    samples: int = SAMPLES
    seed: int = 0

    def observe(self, sigma: float, most: int) -> Observed:
        """Samples, `most` or the same fraction of fewer, and their noisy observations."""
        axes = "xyz"[: len(self.cells)]
        shape = batch(batch=max(4, self.samples * most // SAMPLES)), spatial(**dict(zip(axes, self.cells, strict=True)))
        lengths = {axis: n * d for axis, n, d in zip(axes, self.cells, self.cell_size, strict=False)}
        x = self.data(*shape, bounds=Box(**lengths), seed=self.seed)
        x = CenteredGrid(x.values, self.boundary, bounds=x.bounds, resolution=x.resolution)
        y = HeatEquation(1.0, self.amount).forward(x)
        noise = sigma * np.random.default_rng(self.seed + 1).standard_normal(array(y).shape)
        return Observed(self, x, y + math.tensor(noise, batch("batch"), spatial(*axes)))


@dataclass(frozen=True)
class Observed:
    """Samples x of a case, and their observations y*."""

    case: Case
    x: Field
    y: Field

    def invert(self, rule: Regularization, times: int = 1, noise_std: float | str = "auto") -> SipStep:
        """The last of so many steps, from the mean of y*."""
        physics = HeatEquation(1.0, self.case.amount, noise_std, rule)
        x = physics.constrain(self.y * 0, self.y)
        for _ in range(times):
            step = sip_inverse(physics, self.y, x)
            x = step.x_target
        return step

    def error(self, estimate: np.ndarray) -> float:
        """‖x̃ − x‖ / ‖x − mean x‖ over all samples."""
        truth = array(self.x)
        fluctuation = truth - truth.mean(tuple(range(1, truth.ndim)), keepdims=True)
        return float(np.linalg.norm(estimate - truth) / np.linalg.norm(fluctuation))

    def error_of(self, rule: Regularization, times: int = 1) -> float:
        return self.error(array(self.invert(rule, times).x_target))

    def bound(self) -> float:
        """Error of x̃_k = S_k h_k / (S_k h_k² + σ²) â_k with S_k and σ² of these very samples and their noise."""
        basis = SpectralBasis.of(self.x)
        gain = math.exp(-self.case.amount * basis.k_squared())
        truth, seen = basis.transform(self.x.values), basis.transform(self.y.values)
        noise = basis.sum(math.mean(abs(seen - gain * truth) ** 2, "batch")) / basis.resolution.volume
        spectrum = math.mean(abs(truth) ** 2, "batch")
        kernel = math.where(basis.is_constant > 0, 1.0, spectrum * gain / (spectrum * gain**2 + noise))
        return self.error(array(self.x.with_values(basis.inverse(kernel * seen))))


CASES = (
    Case("128²", (128, 128)),
    Case("64 × 32, cells 1 × 2", (64, 32), (1.0, 2.0)),
    Case("64", (64,)),
    Case("32³", (32, 32, 32), samples=SAMPLES // 8),
    Case("insulated", boundary=extrapolation.ZERO_GRADIENT),
    Case("fixed to 0", boundary=0),
    Case("ν·t = 0.5", amount=0.5),
    Case("ν·t = 2", amount=2.0),
    Case("ν·t = 32", amount=32.0),
)
KINDS = (Case("rectangles"), Case("smooth", data=smooth_fields), Case("photographs", data=heat_photographs))


def main() -> int:
    options = parse_arguments()
    importlib.import_module(FLOW[options.framework])
    most = SAMPLES_QUICK if options.quick else SAMPLES
    results: dict[str, list[Row]] = {}
    reached = True
    with math.precision(64):
        for name in options.table or TABLES:
            measure, must_hold = TABLES[name]
            start = time.perf_counter()
            results[name] = measure(most)
            show(f"{measure.__doc__} ({time.perf_counter() - start:.0f} s)", results[name])
            holds, text = must_hold(results[name])
            print(f"{'holds' if holds else 'DOES NOT HOLD'}: {text}\n", flush=True)
            reached &= holds
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1))
    return 0 if reached else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FLOW, default="torch")
    parser.add_argument("--table", choices=TABLES, action="append", help="only this table; may be repeated")
    parser.add_argument("--quick", action="store_true", help=f"{SAMPLES_QUICK} samples in place of {SAMPLES}")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


def show(title: str, rows: list[Row]) -> None:
    table = Table(title=title, title_justify="left", min_width=120)
    for column, value in rows[0].items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(cell(value) for value in row.values()))
    Console(width=190).print(table)


def cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "–" if np.isnan(value) else f"{value:.4g}"


def array(field: Field) -> np.ndarray:
    values: np.ndarray = field.values.numpy(["batch", *field.resolution.names])
    return values


def over_noise(most: int) -> list[Row]:
    """Error ÷ linear bound, 64², ν·t = 8"""
    rows = []
    for sigma in NOISE:
        observed = Case().observe(sigma, most)
        bound = observed.bound()
        ratios = {name: observed.error_of(rule) / bound for name, rule in RULES.items()}
        rows.append({"σ": f"{sigma:g}", "bound": bound, **ratios})
    return rows


def over_noise_must(rows: list[Row]) -> tuple[bool, str]:
    worst = max(row["default"] for row in rows)
    edges = next(row["TV, x ≥ 0"] for row in rows if row["σ"] == f"{SIGMA:g}")
    text = f"default at most {worst:.3f} (≤ 1.05), TV with x ≥ 0 at σ = {SIGMA:g} {edges:.3f} (≤ 0.65)"
    return worst <= 1.05 and edges <= 0.65, text


def over_cases(most: int) -> list[Row]:
    """Error ÷ linear bound, σ = 1e-3, heat rectangles"""
    return [compare(case, most) for case in CASES]


def over_kinds(most: int) -> list[Row]:
    """Error ÷ linear bound, σ = 1e-3, 64², ν·t = 8, kinds of data"""
    return [compare(case, most) for case in KINDS]


def compare(case: Case, most: int) -> Row:
    """Error ÷ linear bound; and by what factor iterating `ITERATED` times (quick: 3) changes that of the default."""
    observed = case.observe(SIGMA, most)
    bound = observed.bound()
    rules = ("default", "empirical Bayes", "TV", "TV, x ≥ 0")
    few = case.observe(SIGMA, most // 8)
    times = ITERATED if most == SAMPLES else 3
    drift = few.error_of(RULES["default"], times) / few.error_of(RULES["default"])
    ratios = {name: observed.error_of(RULES[name]) / bound for name in rules}
    return {"case": case.name, "bound": bound, **ratios, "default, iterated": drift}


def compare_must(rows: list[Row]) -> tuple[bool, str]:
    worst, drift = max(row["default"] for row in rows), max(row["default, iterated"] for row in rows)
    text = f"default at most {worst:.3f} (≤ 1.05), iterated {drift:.4f} × that (≤ 1.01)"
    return worst <= 1.05 and drift <= 1.01, text


def against_others(most: int) -> list[Row]:
    """Other libraries, the same samples, σ = 1e-3; time in units of our rule's"""
    observed = Case().observe(SIGMA, min(most, 16))
    y, gain, bound = array(observed.y), independent.heat_gain((64, 64), 8.0), observed.bound()
    long = TotalVariation(iterations=1000, tolerance=0)
    alpha = observed.invert(RULES["Tikhonov, GCV"]).stats["alpha"].numpy("batch")
    minimizer = array(observed.invert(long).x_target)
    strength = independent.strength_of(minimizer, y, gain)
    methods = {
        "scikit-image wiener, best of 9 balances": ("empirical Bayes", independent.best_wiener, (array(observed.x),)),
        "scikit-image unsupervised_wiener": ("empirical Bayes", independent.unsupervised_wiener, ()),
        "SciPy lsqr, our α": ("Tikhonov, GCV", independent.tikhonov_lsqr, (alpha,)),
        "PyProximal PrimalDual, our λ": ("TV", independent.tv_primal_dual, (strength, 1500)),
    }

    def reached(estimate: np.ndarray) -> float:
        return float(independent.objective(estimate, y, gain, strength).mean())

    rows = []
    for name, (rule, method, arguments) in methods.items():
        observed.invert(RULES[rule])  # warm up
        ours, our_time = timed(lambda rule=rule: array(observed.invert(RULES[rule]).x_target))
        theirs, their_time = timed(lambda method=method, arguments=arguments: method(y, gain, *arguments))
        limit = minimizer if rule == "TV" else ours
        rows.append(
            {
                "method": name,
                "our rule": rule,
                "error ÷ bound": observed.error(theirs) / bound,
                "ours": observed.error(ours) / bound,
                "‖theirs − ours‖ ÷ ‖ours‖": float(np.linalg.norm(theirs - limit) / np.linalg.norm(limit)),
                "time ÷ ours": their_time / our_time,
                "TV objective": reached(theirs) if rule == "TV" else float("nan"),
                "ours, as it is": reached(ours) if rule == "TV" else float("nan"),
                "ours, 1000 iterations": reached(limit) if rule == "TV" else float("nan"),
            }
        )
    return rows


def against_others_must(rows: list[Row]) -> tuple[bool, str]:
    wiener, unsupervised, lsqr, tv = rows
    best = min(wiener["error ÷ bound"], unsupervised["error ÷ bound"])
    difference = lsqr["‖theirs − ours‖ ÷ ‖ours‖"]
    excess = abs(tv["ours, 1000 iterations"] / tv["TV objective"] - 1)
    text = (
        f"empirical Bayes {wiener['ours']:.3f} against {best:.3f} of scikit-image (≤ 1.02 ×); Tikhonov differs from "
        f"lsqr by {difference:.1e} (≤ 1e-6); TV objective from PyProximal's by {excess:.1e} (≤ 1e-4)"
    )
    return wiener["ours"] <= 1.02 * best and difference <= 1e-6 and excess <= 1e-4, text


def timed(function: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """The result, and the seconds it takes."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def noise_estimates(most: int) -> list[Row]:
    """Estimated ÷ true σ of single observations, 64², ν·t = 8"""
    rows = []
    for precision in (64, 32):
        for sigma in NOISE[1:]:
            y = Case().observe(sigma, most).y
            y = y.with_values(math.cast(y.values, math.DType(float, precision)))
            found = sip_inverse(HeatEquation(1.0, 8.0, regularization=Tikhonov()), y, y * 0).stats["noise_std"]
            ratio = found.numpy("batch").astype(float) / sigma
            spread = {"mean": ratio.mean(), "std": ratio.std(), "least": ratio.min(), "most": ratio.max()}
            rows.append(
                {"precision": f"float{precision}", "σ": f"{sigma:g}", **{k: float(v) for k, v in spread.items()}}
            )
    return rows


def noise_estimates_must(rows: list[Row]) -> tuple[bool, str]:
    worst = max(abs(row["mean"] - 1) for row in rows)
    return worst <= 0.05, f"mean estimate within {worst:.1%} of σ (≤ 5 %)"


def white_states(*shape: Any, bounds: Box, seed: int) -> Field:
    """Every cell for itself, from 0 to 1: a spectrum as flat as that of noise."""
    sizes = math.concat_shapes(*shape)
    values = np.random.default_rng(seed).random(sizes.sizes)
    return CenteredGrid(math.tensor(values, sizes), extrapolation.PERIODIC, bounds=bounds, resolution=sizes.spatial)


MILD = (0.01, 0.1, 0.25, 0.5, 1.0)
STATES: dict[str, Callable[..., Field]] = {
    "white": white_states,
    "rectangles": heat_rectangles,
    "smooth": smooth_fields,
}


def mild_diffusion(most: int) -> list[Row]:
    """Error ÷ that with σ given, where the physics damps little; worst of ν·t = 0.01 … 1, and noise found ÷ true"""
    rows = []
    is_quick = most < SAMPLES
    amounts = MILD[::2] if is_quick else MILD
    for cells in ((256,), (16, 16)) if is_quick else ((256,), (16, 16), (64, 64), (12, 12, 12)):
        for kind, data in STATES.items():
            for sigma in (0.0, 1e-3) if is_quick else (0.0, 1e-6, 1e-3):
                cases = [Case("", cells, amount=amount, data=data, samples=most // 8) for amount in amounts]
                found = [_mild(case, sigma) for case in cases]
                ratios = np.concatenate([row["found"] for row in found])
                rows.append(
                    {
                        "case": f"{kind}, {'×'.join(map(str, cells))}",
                        "σ": f"{sigma:g}",
                        "known": float(np.mean(ratios > 0)),
                        "found, least": float(min(ratios[ratios > 0], default=np.nan)),
                        "found, most": float(max(ratios[ratios > 0], default=np.nan)),
                        **{name: max(row[name] for row in found) for name in ("default", "empirical Bayes")},
                    }
                )
    return rows


def _mild(case: Case, sigma: float) -> Row:
    observed = case.observe(sigma, SAMPLES)
    stats = observed.invert(RULES["empirical Bayes"]).stats
    known, std = (stats[name].numpy("batch").astype(float) for name in ("noise_known", "noise_std"))
    row: Row = {"found": known * std / (sigma or ROUNDED * float(np.sqrt(np.mean(array(observed.y) ** 2))))}
    for name in ("default", "empirical Bayes"):
        ours, told = (array(observed.invert(RULES[name], noise_std=s).x_target) for s in ("auto", sigma))
        row[name] = max(observed.error(ours), EXACT) / max(observed.error(told), EXACT)
    return row


ROUNDED, EXACT = 1e-15, 1e-9


def mild_diffusion_must(rows: list[Row]) -> tuple[bool, str]:
    exact, noisy = ([row for row in rows if (row["σ"] == "0") is is_exact] for is_exact in (True, False))
    false = max((row["found, most"] for row in exact if row["known"]), default=0.0)
    least = float(np.nanmin([row["found, least"] for row in noisy]))
    worst, most = (max(max(row["default"], row["empirical Bayes"]) for row in part) for part in (exact, noisy))
    text = (
        f"without noise at most {false:.2g} × rounding is found (≤ 10), error {worst:.3f} × that with σ given "
        f"(≤ 1.05); with noise no less than {least:.3f} of it (≥ 0.8), error {most:.3f} × (≤ 10)"
    )
    return false <= 10 and worst <= 1.05 and least >= 0.8 and most <= 10, text


def coverage(most: int) -> list[Row]:
    """Share of cells within x̃ ± 1.96 · uncertainty, nominally 0.95; rms of error ÷ uncertainty; σ = 1e-3, ν·t = 8"""
    own = Case("power law", data=power_law_fields)
    rows = []
    for case in (own, *(kind for kind in KINDS if kind.data is not smooth_fields)):
        observed = case.observe(SIGMA, most)
        rules = {"empirical Bayes": EmpiricalBayes(), "Wiener, fitted": Wiener()}
        if case is own:
            rules["Wiener, true spectrum"] = Wiener(PowerLaw(power_law_amplitude(observed.x), EXPONENT))
        else:
            rules["Wiener, true spectrum"] = Wiener.from_samples(observed.x)
        row: Row = {"data": case.name}
        for name, rule in rules.items():
            step = observed.invert(rule)
            error, std = array(step.x_target) - array(observed.x), array(step.uncertainty)
            row[name] = float(np.mean(np.abs(error) <= 1.96 * std))
            row[f"{name}: error ÷ std"] = float(np.sqrt(np.mean((error / std) ** 2)))
        rows.append(row)
    return rows


EXPONENT, STD = 3.0, 0.3


def power_law_fields(*shape: Any, **options: Any) -> Field:
    return smooth_fields(*shape, exponent=EXPONENT, std=STD, mean=0.0, **options)


def power_law_amplitude(x: Field) -> float:
    """A of S_k = A |k|^(−3) for fields of this standard deviation: Σ_k S_k = number of cells · variance."""
    basis = SpectralBasis.of(x)
    k_squared = math.where(basis.is_constant > 0, 1.0, basis.k_squared())
    decay = basis.sum(k_squared ** (-EXPONENT / 2) * (1 - basis.is_constant))
    return float(STD**2 * basis.resolution.volume / decay)


def coverage_must(rows: list[Row]) -> tuple[bool, str]:
    rules = ("Wiener, true spectrum", "Wiener, fitted", "empirical Bayes")
    covered = {rule: rows[0][rule] for rule in rules}
    text = ", ".join(f"{rule} {share:.3f}" for rule, share in covered.items())
    return all(0.93 <= share <= 0.97 for share in covered.values()), f"on a power law {text} (0.93 … 0.97)"


SEEDS = (0, 1, 2)
POINTS = (  # number of points, ν·t, σ
    (1, 1.0, 1e-3),
    (3, 1.0, 1e-3),
    (10, 1.0, 1e-3),
    (30, 1.0, 1e-3),
    (100, 1.0, 1e-3),
    (10, 0.5, 1e-3),
    (10, 4.0, 1e-3),
    (1, 1.0, 1e-2),
    (10, 1.0, 1e-2),
    (30, 1.0, 1e-2),
    (10, 4.0, 1e-2),
)
MUST_HOLD = (10, 1.0, 1e-3)
LINEAR = ("empirical Bayes", "Wiener, fitted", "Tikhonov, GCV", "Tikhonov, discrepancy", "TSVD, GCV")
BEFORE = CrossValidated(points=None)


def on_points(most: int) -> list[Row]:
    """Relative L2 error ‖x̃ − x‖ / ‖x‖, points of 0.5 to 2 in random cells, 64², mean of three seeds"""
    rows = []
    for count, amount, sigma in POINTS:
        data = partial(point_sources, count=(count, count))
        case = Case(amount=amount, data=data, samples=SAMPLES // 16)
        found = [_on_points(replace(case, seed=seed), sigma, most) for seed in SEEDS]
        mean = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
        worst = {
            f"worst: {name}": max(max(row[name], row[f"{name}, σ told"]) / row["best linear"] for row in found)
            for name in ("Sparse", "default")
        }
        rows.append({"points": str(count), "ν·t": f"{amount:g}", "σ": f"{sigma:g}", **mean, **worst})
    return rows


def _on_points(case: Case, sigma: float, most: int) -> Row:
    observed = case.observe(sigma, most)
    truth = array(observed.x)
    scale = float(np.linalg.norm(truth - truth.mean((1, 2), keepdims=True)) / np.linalg.norm(truth))

    def error(rule: Regularization, noise_std: float | str = "auto") -> float:
        return scale * observed.error(array(observed.invert(rule, noise_std=noise_std).x_target))

    linear = [scale * observed.bound(), *(error(RULES[name]) for name in LINEAR)]
    return {
        "best linear": min(linear),
        "TV, x ≥ 0": error(RULES["TV, x ≥ 0"]),
        "default without points": error(BEFORE),
        "Sparse": error(Sparse()),
        "Sparse, σ told": error(Sparse(), sigma),
        "Sparse, x ≥ 0": error(Sparse(minimum=0.0)),
        "default": error(RULES["default"]),
        "default, σ told": error(RULES["default"], sigma),
    }


def on_points_must(rows: list[Row]) -> tuple[bool, str]:
    count, amount, sigma = MUST_HOLD
    row = next(r for r in rows if (r["points"], r["ν·t"], r["σ"]) == (str(count), f"{amount:g}", f"{sigma:g}"))
    sparse, default = row["worst: Sparse"], row["worst: default"]
    text = (
        f"{count} points, ν·t = {amount:g}, σ = {sigma:g}, worst seed, σ told or not: Sparse {sparse:.4f}, default "
        f"{default:.4f} × the best linear rule (≤ 0.5)"
    )
    return max(sparse, default) <= 0.5, text


def elsewhere(most: int) -> list[Row]:
    """The default ÷ that without points as a candidate, 64²: worst error of three seeds, processor time"""
    rows = []
    for kind in (*KINDS, Case("10 points", data=partial(point_sources, count=(10, 10)))):
        for amount in (1.0, 8.0):
            for sigma in (1e-3, 1e-2):
                found = [_elsewhere(replace(kind, amount=amount, seed=seed), sigma, most) for seed in SEEDS]
                row = {"data": kind.name, "ν·t": f"{amount:g}", "σ": f"{sigma:g}"}
                worst = {"error ÷ before": max(one["error"] for one in found)}
                means = {name: float(np.mean([one[name] for one in found])) for name in ("time ÷ before", "points")}
                rows.append({**row, **worst, **means})
    return rows


def _elsewhere(case: Case, sigma: float, most: int) -> Row:
    observed = replace(case, samples=SAMPLES // 4).observe(sigma, most)
    ours = observed.invert(RULES["default"])
    pairs = [[_processor_time(observed, rule) for rule in (RULES["default"], BEFORE)] for _ in range(5)]
    share = ours.stats["points"]
    return {
        "error": observed.error(array(ours.x_target)) / observed.error_of(BEFORE),
        "time ÷ before": float(np.median([first / second for first, second in pairs])),
        "points": float(np.mean(share.numpy(share.shape) > 0)),
    }


def _processor_time(observed: Observed, rule: Regularization) -> float:
    """Seconds that an inversion takes, other programs left out."""
    start = time.process_time()
    array(observed.invert(rule).x_target)
    return time.process_time() - start


def elsewhere_must(rows: list[Row]) -> tuple[bool, str]:
    worst = max(row["error ÷ before"] for row in rows)
    return worst <= 1.02, f"default at most {worst:.4f} × what it is without points (≤ 1.02)"


TABLES: dict[str, tuple[Callable[[int], list[Row]], Callable[[Sequence[Row]], tuple[bool, str]]]] = {
    "noise": (over_noise, over_noise_must),
    "cases": (over_cases, compare_must),
    "data": (over_kinds, compare_must),
    "others": (against_others, against_others_must),
    "estimate": (noise_estimates, noise_estimates_must),
    "mild": (mild_diffusion, mild_diffusion_must),
    "coverage": (coverage, coverage_must),
    "points": (on_points, on_points_must),
    "elsewhere": (elsewhere, elsewhere_must),
}


if __name__ == "__main__":
    sys.exit(main())
