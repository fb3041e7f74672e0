"""What keeps an ill-posed inverse stable: one file per rule."""

from .base import Regularization, SpectralEstimate, SpectralProblem
from .cross_validated import CrossValidated
from .damping import ProbabilisticDamping, PublishedDamping
from .empirical_bayes import EmpiricalBayes
from .parameter_choice import DiscrepancyPrinciple, GeneralizedCrossValidation, LCurve, ParameterChoice
from .residual_filter import ResidualFilter
from .sparse import Sparse
from .spectra import MeasuredSpectrum, PowerLaw, Spectrum
from .tikhonov import Tikhonov
from .total_variation import TotalVariation
from .truncated_svd import TruncatedSVD
from .unregularized import Unregularized
from .wiener import Wiener

__all__ = [
    "CrossValidated",
    "DiscrepancyPrinciple",
    "EmpiricalBayes",
    "GeneralizedCrossValidation",
    "LCurve",
    "MeasuredSpectrum",
    "ParameterChoice",
    "PowerLaw",
    "ProbabilisticDamping",
    "PublishedDamping",
    "Regularization",
    "ResidualFilter",
    "Sparse",
    "SpectralEstimate",
    "SpectralProblem",
    "Spectrum",
    "Tikhonov",
    "TotalVariation",
    "TruncatedSVD",
    "Unregularized",
    "Wiener",
]
