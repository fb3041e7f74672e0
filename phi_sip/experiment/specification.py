"""What an experiment file may say, and what holds where it says nothing: one class per table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from ..frameworks import training_frameworks

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Arguments = dict[str, Any]


class Table(BaseModel):
    """Keys that it does not know are errors, and so are values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _registered(framework: str) -> str:
    """Refuses the name of a framework that no plugin provides."""
    known = [repr(name) for name in training_frameworks()]
    if repr(framework) not in known:
        expected = f"{', '.join(known[:-1])} or {known[-1]}"
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return framework


class General(Table):
    """
    `[experiment]`

    Attributes:
        name: For folders, legends and titles.
        framework: What trains.
        seed: Of weights and data.
        precision: Bits of the floating point numbers of the physics; networks have 32.
    """

    name: Annotated[str, Field(min_length=1)] = "heat"
    framework: Annotated[str, AfterValidator(_registered)] = "tensorflow"
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal[32, 64] = 64


class Physics(Table):
    """
    `[physics]`

    Attributes:
        name: Registered name, see `phi-sip physics`.
        parameters: Numbers, words, `{vector = {x = 1.0, y = 0.5}}`, and tables with a `type` for rules.
    """

    name: str = "heat"
    parameters: Arguments = Field(default_factory=lambda: {"diffusivity": 1.0, "time": 8.0})


class Data(Table):
    """
    `[data]`

    Attributes:
        kind: `rectangles`, `smooth`, `photographs`; `stored` or `scenes`, files, with the arguments of these functions
            of `phi_sip.data`, such as `size` and `boundary` where files do not say them; or `module:function`, which is
            called with the keyword arguments `physics`, `batch_size`, `seed` and those of `arguments`, and returns a
            function of the step.
        arguments: Further arguments of the kind.
        resolution: Cells per axis, one to three, of random states.
        batch_size: Samples per step.
        noise_std: Standard deviation of the noise that is added to y*.
        validation: Number of held-out samples.
    """

    kind: str = "rectangles"
    arguments: Arguments = Field(default_factory=dict)
    resolution: Annotated[list[Count], Field(min_length=1, max_length=3)] = [64, 64]
    batch_size: Count = 128
    noise_std: NotNegative = 0.0
    validation: Count = 64


class Network(Table):
    """
    `[network]`

    Attributes:
        name: Registered name, see `phi-sip physics --networks`: `u_net`, `conv_net`, `res_net`, `mlp` of `phiml.nn` and
            those of plugins; or `module:function`.
        arguments: Its keyword arguments.
        inputs: What it is shown, one after the other in its channels: `y`, `estimate` and others, see
            `sip_update_weights`, or tables with a `type`.
    """

    name: str = "u_net"
    arguments: Arguments = Field(default_factory=lambda: {"in_channels": 1, "out_channels": 1})
    inputs: Annotated[list[str | Arguments], Field(min_length=1)] = ["y"]


class Schedule(Table):
    """
    `[optimizer.schedule]`: one of the framework's own, by the name of its class or function:
    `keras.optimizers.schedules`, `torch.optim.lr_scheduler`, or the schedules of `optax`.

    Attributes:
        name: Name there.
        arguments: Its keyword arguments. On Keras and optax they hold the learning rate.
    """

    name: str
    arguments: Arguments = Field(default_factory=dict)


class Optimizer(Table):
    """
    `[optimizer]`

    Attributes:
        name: As the framework calls it: of `keras.optimizers`, `torch.optim` or `optax`; case does not matter.
        learning_rate: Without a schedule, or where it begins (PyTorch).
        arguments: Its other keyword arguments.
        schedule: Of the learning rate.
    """

    name: str = "adam"
    learning_rate: Positive = 1e-3
    arguments: Arguments = Field(default_factory=dict)
    schedule: Schedule | None = None


class Stop(Table):
    """
    `[training.stop]`

    Attributes:
        seconds: Ends after so many seconds of training.
        x_l2, y_l2: Ends when this validation error is reached.
        patience: Ends after so many validations without a new least error.
        patience_of: Which error: `x_l2`, `y_l2` (default), or `risk`, see `train`.
    """

    seconds: Positive | None = None
    x_l2: Positive | None = None
    y_l2: Positive | None = None
    patience: Count | None = None
    patience_of: Literal["x_l2", "y_l2", "risk"] | None = None

    @model_validator(mode="after")
    def _patience_is_given(self) -> Stop:
        if self.patience_of is not None and self.patience is None:
            raise PydanticCustomError("patience", "patience_of has no effect without patience. Give patience too")
        return self


class Average(Table):
    """
    `[training.teacher]`

    Attributes:
        decay: Of the exponential moving average of the weights, see `Teacher`.
    """

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99


class Training(Table):
    """
    `[training]`

    Attributes:
        steps: Number of steps.
        validate_every, checkpoint_every: In steps.
        keep: Number of checkpoints that are kept.
        keep_best: `x_l2`, `y_l2` or `risk`: the state with the least such validation error is kept besides, and becomes
            the trained inverse; without it, the last state does.
        solver: Numerical inverse by name; without it the physics' own. `gradient` is training through the physics.
        step_size: η.
        micro_batches: Parts of a batch.
        clip_norm: Norm to which the gradient of the weights is shortened, see `sip_update_weights`.
        guard: Whether the trained inverse keeps, of what the network adds to the inverse, only what the validation
            samples do not speak against, see `fit_guard`.
        interval: Whether the trained inverse says within which interval the true states are, see `fit_interval`; the
            network is then evaluated on half as many cells.
        targets: What the network is drawn to: `local-inverse`, `self-simulated`, `labels`, `half-inverse`, or a table
            with a `type`.
        teacher: The average of the weights, which `self-simulated` learns from, and which becomes the trained inverse.
        stop: What ends it earlier.
    """

    steps: Count = 500
    validate_every: Count = 50
    checkpoint_every: Count = 100
    keep: Count = 3
    keep_best: Literal["x_l2", "y_l2", "risk"] | None = None
    solver: str | None = None
    step_size: Positive = 1.0
    micro_batches: Count = 1
    clip_norm: Positive | None = None
    guard: bool = False
    interval: bool = False
    targets: str | Arguments = "local-inverse"
    teacher: Average | None = None
    stop: Stop = Field(default_factory=Stop)


class Experiment(Table):
    """
    A whole experiment file. Every table and key may be left out.

    Attributes:
        of_file: The references `module:function` that a file holds; others are those of the caller.
    """

    experiment: General = Field(default_factory=General)
    physics: Physics = Field(default_factory=Physics)
    data: Data = Field(default_factory=Data)
    network: Network = Field(default_factory=Network)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    training: Training = Field(default_factory=Training)
    _of_file: frozenset[str] = PrivateAttr(frozenset())

    @property
    def of_file(self) -> frozenset[str]:
        return self._of_file

    def read_from_file(self, references: frozenset[str]) -> Experiment:
        """This experiment, of whose references these come from a file."""
        experiment = self.model_copy()
        experiment._of_file = references
        return experiment


# Where `module:function` may stand.
CODE = (("data", "kind"), ("network", "name"))

# What `--quick` changes: done in seconds, to see that everything works.
QUICK: dict[str, Any] = {
    "data": {"resolution": [32, 32], "batch_size": 8, "validation": 16},
    "training": {"steps": 60, "validate_every": 20, "checkpoint_every": 30},
}
