from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes run as there are cores
# The same rounding on all processors, as tests compare with loops that round elsewhere.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")
# JAX spends most of its time in optimizing what runs once.
CHEAP = ("backend_optimization_level=0", "llvm_disable_expensive_passes=true", "cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(f"--xla_{flag}" for flag in CHEAP))
# All processes of a run, and the runs after it, compile once.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

with contextlib.suppress(ImportError):  # PyTorch's compiler crashes the process if TensorFlow has run before
    import triton  # noqa: F401
import frameworks
import hypothesis
import pytest
from jax._src.interpreters import mlir
from memory import ProcessMemory
from phiml import math

from phi_sip.plugins import manager as plugins

if hasattr(mlir, "make_ir_context"):  # JAX makes one for each function and shape, which takes 3 ms, and keeps its 2 MB
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)
gc.collect()
gc.freeze()  # what the frameworks are made of need not be looked through again, 0.3 s each time

hypothesis.settings.register_profile("phi_sip", deadline=None, derandomize=True)
hypothesis.settings.load_profile("phi_sip")


@pytest.fixture(params=frameworks.TABLE, ids=lambda row: row.name)
def framework(request: pytest.FixtureRequest) -> Iterator[frameworks.Framework]:
    """One of TensorFlow, PyTorch and JAX, as PhiFlow's default backend, at single precision."""
    with request.param.backend:
        yield request.param


@pytest.fixture(params=[row for row in frameworks.TABLE if row.name != "torch"], ids=lambda row: row.name)
def compiling(request: pytest.FixtureRequest) -> Iterator[frameworks.Framework]:
    """One of the frameworks that compile updates, as PhiFlow's default backend, at single precision."""
    with request.param.backend:
        yield request.param


@pytest.fixture(autouse=True, scope="session")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and the processes that they start, run in an empty folder: what they leave behind is not in the tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        yield


@pytest.fixture(autouse=True, scope="session")
def process_memory() -> Iterator[ProcessMemory]:
    """What this process has compiled is dropped at the end."""
    memory = ProcessMemory()
    yield memory
    memory.drop_compiled()


@pytest.fixture(autouse=True)
def _little_memory(process_memory: ProcessMemory) -> Iterator[None]:
    yield
    process_memory.drop_compiled_if_large()


@pytest.fixture(autouse=True)
def _phiflow_defaults() -> Iterator[None]:
    """No test may leave PhiFlow's global settings changed."""
    before = math.get_precision()
    yield
    after = math.get_precision()
    math.set_global_precision(before)
    assert after == before, "the global precision was changed"


@pytest.fixture
def double() -> Iterator[None]:
    with math.precision(64):
        yield


@pytest.fixture
def fresh_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The next use of a plugin discovers all plugins anew; the ordinary manager is back afterwards."""
    plugins.get_plugin_manager.cache_clear()
    yield
    plugins.get_plugin_manager.cache_clear()


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = [item for item in items if not _marked(item, "not_on").isdisjoint(_frameworks_of(item))]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]
    for item in items:
        if " at 0x" in item.nodeid:  # another in each worker, which then run no test at all
            raise pytest.UsageError(f"{item.nodeid} names an address in memory. Give its parameters ids.")
        if not _marked(item, "slow_on").isdisjoint(_frameworks_of(item)):
            item.add_marker("slow")


def _marked(item: pytest.Item, mark: str) -> set[str]:
    """The names of frameworks in the marks of a test."""
    return {name for marker in item.iter_markers(mark) for name in marker.args}


def _frameworks_of(item: pytest.Item) -> Iterator[str]:
    """The names of frameworks among the parameters of a test."""
    for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
        if isinstance(value, frameworks.Framework):
            yield value.name
        elif isinstance(value, str):
            yield value


@pytest.fixture
def on_torch():
    """What runs on NumPy after all needs one framework that differentiates."""
    from phi.torch import TORCH

    with TORCH:
        yield
