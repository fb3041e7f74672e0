"""Training that is judged by the risk, without true states: records, rules, best states, reports, experiment files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fields import periodic, smooth
from phiml import math
from training_runs import ROWS, run

from phi_sip import DifferentiablePhysics, EmpiricalBayes, HeatEquation
from phi_sip.errors import ConfigurationError, ParameterError
from phi_sip.experiment import read_experiment
from phi_sip.experiment.building import stopping_rules
from phi_sip.plots.runs import plot_curves
from phi_sip.reporting import compare, write_report
from phi_sip.training import EarlyStopping, RunRecord, Target, ValidationRecord, read_run, restore_best, train

PHYSICS = HeatEquation(1.0, 1.0, 0.02, EmpiricalBayes())


def observations(seed: int = 1000):
    rng = np.random.default_rng(seed)
    noise = periodic(0.02 * rng.standard_normal((4, 16, 16)))
    return PHYSICS.forward(periodic(1 + smooth(rng, 4, 16, 16))) + noise


def judged(framework, folder=None, **options):
    options = {"steps": 3, "validate_every": 1, "physics": PHYSICS, "validation": observations(), **options}
    return run(framework, folder, **options)


@pytest.mark.slow_on("jax")  # which compiles each operation, for what all frameworks share
def test_records_hold_it_and_the_best_state_is_kept(framework, tmp_path):
    record, net, optimizer = judged(framework, tmp_path / "run", keep_best="risk")
    risks = record.errors("risk")
    assert len(risks) == 3
    assert record.errors("x_l2") == []
    assert read_run(tmp_path / "run").errors("risk") == risks
    assert restore_best(tmp_path / "run", net, optimizer, "risk").risk == min(risks)
    again, _, _ = judged(framework, tmp_path / "parts", steps=1, keep_best="risk")
    more, _, _ = judged(framework, tmp_path / "parts", keep_best="risk")
    assert again.errors("risk") == risks[:1]
    assert more.errors("risk") == risks  # the same direction, however often it begins


def test_it_falls_while_the_network_learns():
    record, _, _ = judged(ROWS["torch"], steps=40, validate_every=8, stop=[EarlyStopping("risk", patience=5)])
    risks = record.errors("risk")
    assert risks[-1] < 0.7 * risks[0]
    assert all(risk > 0 for risk in risks)  # on y alone, it is no better than the inverse


def test_nobody_pays_for_it_who_does_not_ask():
    record, _, _ = judged(ROWS["torch"])
    assert record.errors("risk") == []
    assert all(validation.risk is None for validation in record.validations)


def test_a_network_that_is_the_inverse_has_none():
    class Nothing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.Conv2d(1, 1, 1)
            torch.nn.init.zeros_(self.last.weight)
            torch.nn.init.zeros_(self.last.bias)

        def forward(self, native):
            return self.last(native)

    net = Nothing()
    with ROWS["torch"].backend, math.precision(64):
        record = train(
            net,
            torch.optim.SGD(net.parameters(), 1e-30),
            PHYSICS,
            lambda step: iter([observations(1)]),
            steps=1,
            validation=[observations(2), observations(3)],
            stop=[Target("risk", -1.0)],
            inputs=["estimate"],
            progress=False,
        )
    assert record.errors("risk") == pytest.approx([0], abs=1e-6)


def test_it_is_known_at_the_start_whether_it_can_be_known(tmp_path):
    unknown = DifferentiablePhysics(lambda x: 2 * x)
    with pytest.raises(ParameterError, match=r"needs σ .* noise_std="):
        run(ROWS["torch"], tmp_path / "run", steps=1, physics=unknown, keep_best="risk")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ParameterError, match=r"risk .* but there is none"):
        run(ROWS["torch"], steps=1, stop=[EarlyStopping("risk")], validation=None)


def reason(rule, *risks):
    validations = [ValidationRecord(i, 0.0, 1.0, None, risk) for i, risk in enumerate(risks)]
    return rule.reason(RunRecord("", {}, [], validations))


def test_rules_count_below_zero():
    patient = EarlyStopping("risk", patience=2, improvement=0.1)
    assert reason(patient, 1.0, -1.0, -1.2, -1.25) is None
    assert "below -1 in 2" in reason(patient, 1.0, -1.0, -1.05, -1.09)
    assert reason(patient, None, -1.0, -1.05) is None  # of before it was asked for
    assert reason(Target("risk", -0.5), -0.4) is None
    assert reason(Target("risk", -0.5), -0.4, -0.6) == "risk is -0.6"
    with pytest.raises(ParameterError, match="value"):
        Target("x_l2", -0.5)


def test_experiment_files_ask_for_it(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text('[training]\nkeep_best = "risk"\nstop = { patience = 3, patience_of = "risk" }\n')
    experiment = read_experiment(path)
    assert experiment.training.keep_best == "risk"
    assert stopping_rules(experiment.training.stop) == [EarlyStopping("risk", 3)]
    path.write_text('[training]\nstop = { patience_of = "risk" }\n')
    with pytest.raises(ConfigurationError, match="no effect without patience"):
        read_experiment(path)


def test_reports_show_it(tmp_path):
    record, _, _ = judged(ROWS["torch"], tmp_path / "run", keep_best="risk")
    assert [row.risk for row in compare([tmp_path / "run"])] == record.errors("risk")[-1:]
    assert "The risk is the error less" in write_report([tmp_path / "run"], tmp_path / "report.html").read_text()
    *_, left, right = plot_curves([record]).axes
    assert left.get_yscale() == right.get_yscale() == "linear"
    drawn = next(line for line in left.lines if len(line.get_xdata()) == 3)
    np.testing.assert_array_equal(drawn.get_ydata(), record.errors("risk"))
    judged(ROWS["torch"], tmp_path / "other")
    assert "The risk is" not in write_report([tmp_path / "other"], tmp_path / "report.html").read_text()
