"""Reports from the files of runs: whole pages, safe, for complete and incomplete runs."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure
from training_runs import ROWS, run

from phi_sip.errors import RecordError
from phi_sip.plots.runs import figures_of, plot_curves, plot_final_errors
from phi_sip.plots.samples import plot_spectra
from phi_sip.reporting import compare, write_report
from phi_sip.training import RunRecord, StepRecord, ValidationRecord, read_run
from phi_sip.training.files import RunFiles
from phi_sip.training.run_folder import write_samples
from phi_sip.training.samples import first_sample

VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects addresses and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        self.alts += [value for name, value in attrs if name == "alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def folder_of(path, name, steps=3, factor=1.0, truth=True, ended="all steps are done", **info):
    path.mkdir()
    record = RunRecord(
        name,
        {"name": name, "framework": "torch", "physics": {"name": "heat", "parameters": {"time": 8.0}}, **info},
    )
    files = RunFiles(path)
    files.on_start(record)
    for i in range(1, steps + 1):
        x_l2 = factor / i if truth else None
        files.on_step(StepRecord(i, 0.5 * i, 0.5, 1.0 / i, 2.0 / i, x_l2, 1e-3))
        files.on_validation(ValidationRecord(i, 0.5 * i, 2.0 / i, x_l2), {})
    if ended:
        files.on_end(record, ended)
    return path


def test_a_real_run(tmp_path):
    run(ROWS["torch"], tmp_path / "run", steps=2)
    page = Page(write_report([tmp_path / "run"], tmp_path / "run" / "report.html").read_text())
    assert len(page.alts) == page.tags.count("img") == 5
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    names = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert names == {"curves.png", "reconstructions.png", "spectra.png", "damping.png", "uncertainty.png"}


@pytest.mark.parametrize(
    "options",
    [{"steps": 0, "ended": ""}, {"steps": 1}, {"truth": False}, {"ended": ""}, {"ended": "NonFiniteError: NaN <b>"}],
    ids=str,
)
def test_incomplete_runs(tmp_path, options):
    text = write_report([folder_of(tmp_path / "a", "a", **options)], tmp_path / "report.html").read_text()
    Page(text)
    assert "<b>" not in text
    assert ("still running, or killed" in text) == (options.get("ended") == "")


def test_names_cannot_be_code(tmp_path):
    name = "<script>alert('x')</script>"
    text = write_report([folder_of(tmp_path / "a", name)], tmp_path / "report.html").read_text()
    page = Page(text)
    assert "script" not in page.tags
    assert "&lt;script&gt;" in text


def test_several_runs_side_by_side(tmp_path):
    paths = [folder_of(tmp_path / "a", "heat"), folder_of(tmp_path / "b", "heat", factor=3.0, steps=4)]
    first, second = compare(paths)
    assert (first.name, second.name) == (str(paths[0]), str(paths[1]))  # as the names are the same
    assert (first.final, second.final) == (pytest.approx(1 / 3), pytest.approx(0.75))
    assert second.ratio == pytest.approx(2.25)
    assert (first.best_step, second.best_step) == (3, 4)
    assert (first.seconds_to_common, second.seconds_to_common) == (1.0, 2.0)  # until both are at 0.75
    page = Page(write_report(paths, tmp_path / "report.html").read_text())
    assert page.tags.count("img") == 4


def test_the_inverse_alone_is_shown_beside_what_is_trained(tmp_path):
    alone = {"x_l2": 0.123456, "y_l2": 0.5}
    paths = [folder_of(tmp_path / name, name, inverse_alone=alone) for name in ("a", "b")]
    assert [row.alone for row in compare(paths)] == [0.123456] * 2
    assert "0.1235" in write_report(paths, tmp_path / "report.html").read_text()
    runs = [read_run(path) for path in paths]
    for axes, error in zip(plot_curves(runs).axes, (0.123456, 0.123456, 0.5, 0.5), strict=True):
        (level,) = [line for line in axes.lines if line.get_label() == "the inverse alone"]
        np.testing.assert_allclose(level.get_ydata(), error, rtol=1e-3)
    assert [bar.get_width() for bar in plot_final_errors(runs).axes[0].patches] == pytest.approx([1 / 3] * 2 + [0.1235])


def test_an_inverse_that_is_exact_does_not_stretch_the_axis():
    steps = [StepRecord(i, 1.0 * i, 1.0, 1.0, 1.0, 2.0) for i in (1, 2)]
    axes = plot_curves([RunRecord("a", {"inverse_alone": {"x_l2": 1e-20}}, steps)]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["↓ the inverse alone: 1e-20"]
    assert axes.get_ylim()[0] > 0.1


@pytest.mark.parametrize("said", [3, {"x_l2": "0"}, {"x_l2": -1.0}, {"x_l2": float("inf")}, {"x_l2": float("nan")}])
def test_what_a_folder_says_of_the_inverse_is_a_number_or_left_out(said):
    assert RunRecord("a", {"inverse_alone": said}).error_alone("x_l2") is None


def test_runs_without_truth_are_compared_by_what_they_explain(tmp_path):
    paths = [folder_of(tmp_path / "a", "a"), folder_of(tmp_path / "b", "b", truth=False)]
    assert [row.quantity for row in compare(paths)] == ["y_l2", "y_l2"]


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(RecordError, match="not the folder of a run"):
        write_report([tmp_path], tmp_path / "report.html")
    path = folder_of(tmp_path / "a", "a")
    (path / "samples.npz").write_bytes(b"PK")
    with pytest.raises(RecordError, match=r"samples.npz cannot be read"):
        write_report([path], tmp_path / "report.html")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((2, 8), "x"),
        ((2, 8, 1), "x"),
        ((2, 8, 8), "xy"),
        ((2, 8, 6, 2), "xy"),
        ((1, 8, 6, 4), "xyz"),
        ((1, 8, 6, 3, 3), "xyz"),
    ],
)
@pytest.mark.parametrize("truth", [False, True])
def test_figures_of_samples_of_any_rank(tmp_path, shape, axes, truth):
    values = np.random.default_rng(0).random(shape)
    names = ("x", "x_target", "x_alone", "y", "y_target", "uncertainty")
    samples = dict.fromkeys(names, values) | {"axes": np.array(list(axes))}
    shown = first_sample(samples, "x")
    np.testing.assert_array_equal(
        shown, values.reshape(*shape[: 1 + len(axes)], -1)[0, ..., 0][(..., shape[3] // 2) if len(axes) == 3 else ...]
    )
    figures = figures_of(RunRecord("a"), {**samples, **({"x_true": values + 1} if truth else {})})
    assert set(figures) == {"reconstructions", "spectra", "uncertainty"}
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / f"{name}.png")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_spectrum_of_a_wave_has_one_peak_at_its_wavenumber(rank):
    n, waves = 32, 5
    x = np.broadcast_to(np.sin(2 * np.pi * waves * np.arange(n) / n).reshape(-1, *[1] * (rank - 1)), (2, *[n] * rank))
    (line,) = plot_spectra({"axes": np.array(list("xyz"[:rank])), "x": x}).axes[0].lines
    k, power = line.get_xydata().T
    assert abs(k[power.argmax()] - waves / (n / 2)) < 1 / (n / 2)
    assert sorted(power)[-2] < 1e-20


def test_curves_show_what_was_recorded():
    steps = [StepRecord(i, 2.0 * i, 2.0, 1.0, 3.0 / i, 5.0 / i) for i in (1, 2)]
    figure = plot_curves([RunRecord("a", {}, steps, [ValidationRecord(2, 4.0, 1.5, 2.5)])])
    lines = [line for axes in figure.axes for line in axes.lines]
    np.testing.assert_array_equal(lines[0].get_xydata(), [[1, 5], [2, 2.5]])
    np.testing.assert_array_equal(lines[3].get_xydata(), [[4, 2.5]])
    bars = plot_final_errors([RunRecord("a", {}, steps, [ValidationRecord(2, 4.0, 1.5, 2.5)])]).axes[0].patches
    assert bars[0].get_width() == 2.5


def test_curves_show_the_truth_of_the_validation_where_the_training_knows_none():
    steps = [StepRecord(i, 2.0 * i, 2.0, 1.0, 3.0 / i) for i in (1, 2)]
    figure = plot_curves([RunRecord("a", {}, steps, [ValidationRecord(2, 4.0, 1.5, 2.5)])])
    in_x, _, in_y, _ = figure.axes
    np.testing.assert_array_equal([line.get_xydata() for line in in_x.lines], [[[2, 2.5]]])
    np.testing.assert_array_equal(in_y.lines[0].get_xydata(), [[1, 3], [2, 1.5]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a, validation", "a, training"]


def test_samples_are_written_and_read(tmp_path):
    write_samples(tmp_path, {"x": np.ones((1, 4))})
    with np.load(tmp_path / "samples.npz") as archive:
        assert json.dumps(archive["x"].tolist()) == "[[1.0, 1.0, 1.0, 1.0]]"
