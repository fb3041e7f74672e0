from .contract.inputs import NetworkInput
from .contract.markers import hookimpl
from .contract.physics import Correction, InvertiblePhysics
from .contract.solver import InverseSolver
from .contract.step import SipStep
from .contract.target import TrainingTarget
from .contract.update import SipUpdate
from .data.batches import Batch
from .descriptions.networks import NetworkSpec
from .errors import (
    BoundaryError,
    CheckpointError,
    CheckpointWarning,
    DuplicateNameError,
    FileWarning,
    GridMismatchError,
    MisfitWarning,
    NetworkOutputError,
    NonFiniteError,
    ParameterError,
    PerformanceWarning,
    PluginError,
    PluginWarning,
    RecordError,
    RecordWarning,
    RunFolderError,
    SipError,
    SipWarning,
    TrainingError,
    UnknownNameError,
    UnsupportedError,
    UntrustedError,
)
from .frameworks.jax.optax import OptaxOptimizer
from .inputs import Estimate, LinearEstimate, Observation, Parameters, Uncertainty
from .inversion.operator import sip_inverse
from .noise import ColoredNoise, MultiplicativeNoise, NoiseLaw, NoisePerCell, Outliers, PoissonNoise, WhiteNoise
from .noise.resolve import available_noise, get_noise
from .physics.burgers import Burgers
from .physics.composite import Composite
from .physics.control import Control
from .physics.darcy import Darcy
from .physics.differentiable import DifferentiablePhysics
from .physics.evolution import Evolution, Reversible, TimeStepping
from .physics.exponential import Exponential
from .physics.flow import IncompressibleFlow
from .physics.heat import HeatEquation
from .physics.helmholtz import Helmholtz
from .physics.heterogeneous_heat import HeterogeneousHeat
from .physics.masked import Masked
from .physics.navier_stokes import NavierStokes
from .physics.poisson import Poisson
from .physics.projected import Projected
from .physics.rotated_sine import RotatedSine
from .physics.sensors import Sensors
from .physics.subspace import AffineSubspace
from .physics.wave import Wave
from .plugins.registry import (
    available_inputs,
    available_networks,
    available_physics,
    available_solvers,
    available_targets,
    get_input,
    get_physics,
    get_solver,
    get_target,
)
from .regularization import (
    CrossValidated,
    DiscrepancyPrinciple,
    EmpiricalBayes,
    GeneralizedCrossValidation,
    LCurve,
    MeasuredSpectrum,
    PowerLaw,
    ProbabilisticDamping,
    PublishedDamping,
    Regularization,
    ResidualFilter,
    Sparse,
    Tikhonov,
    TotalVariation,
    TruncatedSVD,
    Unregularized,
    Wiener,
)
from .regularization.noise import EmptyModes
from .risk import Guard, Interval, RiskEstimate
from .solvers.conjugate_gradient import ConjugateGradient
from .solvers.gauss_newton import GaussNewton
from .solvers.gaussian_process import GaussianProcess
from .solvers.lbfgs import LBFGS
from .solvers.levenberg_marquardt import LevenbergMarquardt
from .solvers.linear import Linear
from .solvers.maximum_a_posteriori import MaximumAPosteriori
from .solvers.saddle_free_newton import SaddleFreeNewton
from .solvers.time_reversal import TimeReversal
from .solvers.truncated_gauss_newton import TruncatedGaussNewton
from .step.guard import fit_guard
from .step.interval import fit_interval
from .step.predict_state import predict_state
from .step.start import start_from_estimate
from .step.update import sip_update_weights
from .targets import HalfInverse, Labels, LocalInverse, RandomTransform, SelfSimulated
from .teacher import Teacher
from .training import Callback, EarlyStopping, RunRecord, StoppingRule, Target, WallTime, read_run, train

__version__: str

__all__ = [
    "LBFGS",
    "AffineSubspace",
    "Batch",
    "BoundaryError",
    "Burgers",
    "Callback",
    "CheckpointError",
    "CheckpointWarning",
    "ColoredNoise",
    "Composite",
    "ConjugateGradient",
    "Control",
    "Correction",
    "CrossValidated",
    "Darcy",
    "DifferentiablePhysics",
    "DiscrepancyPrinciple",
    "DuplicateNameError",
    "EarlyStopping",
    "EmpiricalBayes",
    "EmptyModes",
    "Estimate",
    "Evolution",
    "Exponential",
    "FileWarning",
    "GaussNewton",
    "GaussianProcess",
    "GeneralizedCrossValidation",
    "GridMismatchError",
    "Guard",
    "HalfInverse",
    "HeatEquation",
    "Helmholtz",
    "HeterogeneousHeat",
    "IncompressibleFlow",
    "Interval",
    "InverseSolver",
    "InvertiblePhysics",
    "LCurve",
    "Labels",
    "LevenbergMarquardt",
    "Linear",
    "LinearEstimate",
    "LocalInverse",
    "Masked",
    "MaximumAPosteriori",
    "MeasuredSpectrum",
    "MisfitWarning",
    "MultiplicativeNoise",
    "NavierStokes",
    "NetworkInput",
    "NetworkOutputError",
    "NetworkSpec",
    "NoiseLaw",
    "NoisePerCell",
    "NonFiniteError",
    "Observation",
    "OptaxOptimizer",
    "Outliers",
    "ParameterError",
    "Parameters",
    "PerformanceWarning",
    "PluginError",
    "PluginWarning",
    "Poisson",
    "PoissonNoise",
    "PowerLaw",
    "ProbabilisticDamping",
    "Projected",
    "PublishedDamping",
    "RandomTransform",
    "RecordError",
    "RecordWarning",
    "Regularization",
    "ResidualFilter",
    "Reversible",
    "RiskEstimate",
    "RotatedSine",
    "RunFolderError",
    "RunRecord",
    "SaddleFreeNewton",
    "SelfSimulated",
    "Sensors",
    "SipError",
    "SipStep",
    "SipUpdate",
    "SipWarning",
    "Sparse",
    "StoppingRule",
    "Target",
    "Teacher",
    "Tikhonov",
    "TimeReversal",
    "TimeStepping",
    "TotalVariation",
    "TrainingError",
    "TrainingTarget",
    "TruncatedGaussNewton",
    "TruncatedSVD",
    "Uncertainty",
    "UnknownNameError",
    "Unregularized",
    "UnsupportedError",
    "UntrustedError",
    "WallTime",
    "Wave",
    "WhiteNoise",
    "Wiener",
    "available_inputs",
    "available_networks",
    "available_noise",
    "available_physics",
    "available_solvers",
    "available_targets",
    "fit_guard",
    "fit_interval",
    "get_input",
    "get_noise",
    "get_physics",
    "get_solver",
    "get_target",
    "hookimpl",
    "predict_state",
    "read_run",
    "sip_inverse",
    "sip_update_weights",
    "start_from_estimate",
    "train",
]
