"""The ways in which people write y = s · x as physics: where s is kept differs, and what is computed does not."""

from __future__ import annotations

import collections
import fractions
import functools
import sys
import types
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from phiml import math
from phiml.math import batch, channel, spatial

from phi_sip import Composite, DifferentiablePhysics, Evolution, InvertiblePhysics

SCALE = 1.0  # read by functions of this module
settings = types.ModuleType("settings")  # a module of the user's program
settings.__file__ = "settings.py"
settings.inner = types.ModuleType("settings.inner")
settings.inner.__file__ = "settings/inner.py"


@dataclass(frozen=True)
class OfDataclass(InvertiblePhysics):
    scale: float = 1.0

    @property
    def is_linear(self):
        return True

    def forward(self, x):
        return x * self.scale


class OfClass(InvertiblePhysics):
    is_linear = True

    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        return x * self.scale


class OfSubclass(OfDataclass):
    def __init__(self, scale):
        super().__init__(2.0)
        object.__setattr__(self, "factor", scale / 2.0)

    def forward(self, x):
        return x * self.scale * self.factor


class OfSlots(OfClass):
    __slots__ = ("kept",)

    def __init__(self, scale):
        self.kept = scale
        super().__init__(1.0)

    def forward(self, x):
        return x * self.kept


class OfPrivateSlots(OfClass):
    __slots__ = ("__kept",)

    def __init__(self, scale):
        self.__kept = scale
        super().__init__(1.0)

    def forward(self, x):
        return x * self.__kept


class Pair(NamedTuple):
    scale: float
    unit: str = "m"


@dataclass(frozen=True)
class OfInitVar(InvertiblePhysics):
    scale: InitVar[float] = 1.0
    is_linear: ClassVar[bool] = True

    def __post_init__(self, scale):
        object.__setattr__(self, "kept", scale)

    def forward(self, x):
        return x * self.kept


@dataclass(frozen=True, eq=False)
class OfField(InvertiblePhysics):
    """s in a field of any type."""

    scale: Any = None
    read: Callable[[Any], Any] = field(default=lambda scale: scale)
    is_linear: ClassVar[bool] = True

    def forward(self, x):
        return x * self.read(self.scale)


class OfClassAttribute(InvertiblePhysics):
    is_linear = True
    scale: Any = 1.0

    def forward(self, x):
        return x * self.scale


class Holder:
    def __init__(self, scale):
        self.scale = scale

    def simulate(self, x):
        return x * self.scale

    def __call__(self, x):
        return x * self.scale

    @classmethod
    def of_class(cls, x):
        return x * cls.shared

    shared: Any = 1.0


def times(x, scale=1.0):
    return x * scale


def reads_global(x):
    return x * SCALE


def calls_what_reads_global(x):
    return reads_global(x)


def reads_module(x):
    return x * settings.scale


def reads_inner_module(x):
    return x * settings.inner.scale


def imports_inside(x):
    import settings_of_physics_forms

    return x * settings_of_physics_forms.scale


def linear(function, **arguments):
    return DifferentiablePhysics(function, arguments, linear=True)


def keyword_only(scale):
    return lambda x, *, factor=scale: x * factor


def default(scale):
    return lambda x, factor=scale: x * factor


def closure(scale):
    return lambda x: x * scale


def nested_closure(scale):
    inner = closure(scale)
    return lambda x: inner(x)


def with_attribute(scale):
    def function(x):
        return x * function.scale

    function.scale = scale
    return function


def with_globals(scale):
    """The same code in another module, as a notebook that is run again."""
    names = {"S": scale}
    exec("def simulate(x):\n    return x * S\n", names)
    return names["simulate"]


def with_global(scale):
    global SCALE
    SCALE = scale
    return reads_global


def with_far_global(scale):
    global SCALE
    SCALE = scale
    return calls_what_reads_global


def with_module(scale):
    settings.scale = scale
    return reads_module


def with_inner_module(scale):
    settings.inner.scale = scale
    return reads_inner_module


class Decorated:
    """A decorator that is a class, and says what it wraps."""

    def __init__(self, function, scale):
        functools.update_wrapper(self, function)
        self.function, self.factor = function, scale

    def __call__(self, x):
        return self.function(x) * self.factor


class Named(dict):
    """A dict whose entries are attributes."""

    __getattr__ = dict.__getitem__


class Unit(float):
    """A number with more to it."""


class ReadsGlobal(NamedTuple):
    offset: float = 0.0

    def simulate(self, x):
        return x * SCALE


def unit(scale):
    value = Unit(1.0)
    value.scale = scale
    return value


def with_method_of_tuple(scale):
    global SCALE
    SCALE = scale
    return ReadsGlobal().simulate


def with_module_as_value(scale):
    settings.scale = scale
    return OfField(settings, lambda module: module.scale)


def with_import_inside(scale):
    module = types.ModuleType("settings_of_physics_forms")
    module.__file__, module.scale = "settings_of_physics_forms.py", scale
    sys.modules[module.__name__] = module
    return imports_inside


def tensor_twice(scale):
    """The same tensor as a field, which is an input, and in a closure, which is not."""
    tensor = math.tensor([scale, scale], batch("batch"))
    return OfField(tensor, lambda _: tensor)


def with_class_attribute(scale):
    OfClassAttribute.scale = scale
    return OfClassAttribute()


def with_class_method(scale):
    Holder.shared = scale
    return linear(Holder.of_class)


def with_new_class(scale):
    """A class that a notebook defines again."""

    class Scaled(OfClass):
        def forward(self, x):
            return x * scale

    return Scaled(1.0)


def array(scale):
    return np.full(2, scale)


def read_array(value):
    return float(value[0])


# name → makes physics of s
FORMS: dict[str, Callable[[float], InvertiblePhysics]] = {
    "dataclass": OfDataclass,
    "class": OfClass,
    "subclass with an attribute": OfSubclass,
    "slots": OfSlots,
    "InitVar": OfInitVar,
    "class defined again": with_new_class,
    "class attribute": with_class_attribute,
    "list": lambda s: OfField([s], lambda v: v[0]),
    "dict": lambda s: OfField({"s": s}, lambda v: v["s"]),
    "array": lambda s: OfField(array(s), read_array),
    "private slots": OfPrivateSlots,
    "named tuple": lambda s: OfField(Pair(s), lambda v: v.scale),
    "read-only mapping": lambda s: OfField(types.MappingProxyType({"s": math.tensor(s)}), lambda v: v["s"]),
    "ordered mapping": lambda s: OfField(collections.OrderedDict(s=s), lambda v: v["s"]),
    "queue": lambda s: OfField(collections.deque([s]), lambda v: v[0]),
    "fraction": lambda s: OfField(fractions.Fraction(s), float),
    "tensor in field and closure": tensor_twice,
    "dict of another type": lambda s: OfField(Named(s=math.tensor(s)), lambda v: v.s),
    "default of a dict": lambda s: OfField(collections.defaultdict(lambda: s), lambda v: v["missing"]),
    "masked array": lambda s: OfField(np.ma.masked_equal([s, 2.0], 2.0), lambda v: float(v.filled(2.0)[0])),
    "structured array": lambda s: OfField(np.array([(s,)], [("s", float)]), lambda v: float(v["s"][0])),
    "attribute of a number": lambda s: OfField(unit(s), lambda v: v.scale),
    "bound function in C": lambda s: OfField({"s": s}.get, lambda get: get("s")),
    "module": with_module_as_value,
    "object": lambda s: OfField(Holder(s), lambda v: v.scale),
    "namespace": lambda s: OfField(types.SimpleNamespace(s=s), lambda v: v.s),
    "nested": lambda s: OfField({"a": [Holder([array(s)])]}, lambda v: read_array(v["a"][0].scale[0])),
    "tensor": lambda s: OfField(math.tensor([s, s], batch("batch"))),
    "channel tensor": lambda s: OfField(math.tensor([s, 0.0], channel("two")), lambda v: v.two[0]),
    "closure": lambda s: linear(closure(s)),
    "nested closure": lambda s: linear(nested_closure(s)),
    "default": lambda s: linear(default(s)),
    "keyword-only default": lambda s: linear(keyword_only(s)),
    "partial": lambda s: linear(functools.partial(times, scale=s)),
    "bound method": lambda s: linear(Holder(s).simulate),
    "callable object": lambda s: linear(Holder(s)),
    "class method": with_class_method,
    "arguments": lambda s: linear(times, scale=s),
    "function with an attribute": lambda s: linear(with_attribute(s)),
    "globals": lambda s: linear(with_globals(s)),
    "global variable": lambda s: linear(with_global(s)),
    "global variable of a function that is called": lambda s: linear(with_far_global(s)),
    "variable of a module": lambda s: linear(with_module(s)),
    "variable of a module in a module": lambda s: linear(with_inner_module(s)),
    "import inside": lambda s: linear(with_import_inside(s)),
    "decorated function": lambda s: linear(functools.wraps(times)(closure(s))),
    "function compiled by PhiML": lambda s: linear(math.jit_compile(closure(s))),
    "decorator": lambda s: linear(Decorated(closure(1.0), s)),
    "method of a tuple": lambda s: linear(with_method_of_tuple(s)),
    "evolution": lambda s: Evolution(lambda x, dt: x * s * dt, 1.0, 1),
    "composite": lambda s: Composite(linear(closure(1.0)), linear(closure(s))),
}


def _set(holder: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(holder, name, value)


# name → (makes physics of s, changes s of that physics)
CHANGED_IN_PLACE: dict[str, tuple[Callable[[float], Any], Callable[[Any, float], None]]] = {
    "class": (OfClass, lambda p, s: _set(p, scale=s)),
    "list": (FORMS["list"], lambda p, s: p.scale.__setitem__(0, s)),
    "dict": (FORMS["dict"], lambda p, s: p.scale.__setitem__("s", s)),
    "array": (FORMS["array"], lambda p, s: p.scale.fill(s)),
    "object": (FORMS["object"], lambda p, s: _set(p.scale, scale=s)),
    "nested": (FORMS["nested"], lambda p, s: p.scale["a"][0].scale[0].fill(s)),
    "arguments": (FORMS["arguments"], lambda p, s: p.arguments.__setitem__("scale", s)),
    "callable object": (FORMS["callable object"], lambda p, s: _set(p.function, scale=s)),
    "bound method": (FORMS["bound method"], lambda p, s: _set(p.function.__self__, scale=s)),
    "function with an attribute": (FORMS["function with an attribute"], lambda p, s: _set(p.function, scale=s)),
    "default": (FORMS["default"], lambda p, s: _set(p.function, __defaults__=(s,))),
    "class attribute": (FORMS["class attribute"], lambda p, s: _set(type(p), scale=s)),
}


def observation(cells: int = 4, samples: int = 2, seed: int = 0) -> Any:
    values = 1 + np.random.default_rng(seed).normal(size=(samples, cells))
    return math.tensor(values, batch("batch"), spatial("x"))
