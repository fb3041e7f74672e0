"""A checkpoint is whole or not there at all; what is damaged is refused with the reason, and the one before is used."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_sip.errors import CheckpointError, CheckpointWarning
from phi_sip.storage.atomic import UNFINISHED, remove_unfinished, written_file
from phi_sip.training.checkpoints import CheckpointStore
from phi_sip.training.checkpoints.manifest import NAME, read_manifest


def write(text: str):
    def files(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "weights.bin").write_text(text)
        (folder / "state.txt").write_text(text * 2)

    return files


def store_of(folder: Path, *steps: int, keep: int = 9) -> CheckpointStore:
    store = CheckpointStore(folder, keep)
    for step in steps:
        store.save(step, "none", {"number": step}, write(str(step)))
    return store


def test_the_newest_is_found_with_all_that_was_said(tmp_path):
    folder, manifest = store_of(tmp_path, 5, 10).newest()
    assert (folder.name, manifest.step, manifest.content) == ("step-00000010", 10, {"number": 10})
    assert sorted(manifest.files) == ["inner/weights.bin", "state.txt"]
    assert (folder / "inner" / "weights.bin").read_text() == "10"


def test_none_yet(tmp_path):
    assert CheckpointStore(tmp_path / "checkpoints").newest() is None


def test_only_so_many_are_kept(tmp_path):
    store_of(tmp_path, 1, 2, 3, 4, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_many_steps_sort_by_number(tmp_path):
    _, manifest = store_of(tmp_path, 99_999_999, 100_000_000).newest()
    assert manifest.step == 100_000_000


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "state.txt").write_text("x"), "state.txt is not as it was written"),
        (lambda folder: (folder / "state.txt").unlink(), "state.txt is missing"),
        (lambda folder: (folder / "more.txt").write_text("x"), "more.txt does not belong to it"),
        (lambda folder: (folder / NAME).unlink(), "it has no manifest.json"),
        (lambda folder: (folder / NAME).write_text("{"), "manifest.json cannot be read"),
        (lambda folder: (folder / NAME).write_text("[]"), "manifest.json cannot be read"),
        (lambda folder: (folder / NAME).write_text("[" * 100_000), "manifest.json cannot be read"),
        (lambda folder: edit(folder, step=11), "manifest.json is not as it was written"),
        (lambda folder: edit(folder, format=99), "format 99"),
    ],
)
def test_damage_is_named_and_the_one_before_is_used(tmp_path, damage, reason):
    store = store_of(tmp_path, 5, 10)
    damage(tmp_path / "step-00000010")
    with pytest.warns(CheckpointWarning, match=reason):
        _, manifest = store.newest()
    assert manifest.step == 5


def edit(folder: Path, **changes: int) -> None:
    sealed = json.loads((folder / NAME).read_text())
    sealed["manifest"].update(changes)
    (folder / NAME).write_text(json.dumps(sealed))


@pytest.mark.filterwarnings("ignore::phi_sip.errors.CheckpointWarning")
def test_nothing_whole_is_an_error_and_not_a_new_beginning(tmp_path):
    store = store_of(tmp_path, 5)
    (tmp_path / "step-00000005" / "state.txt").write_text("")
    with pytest.raises(CheckpointError, match=r"No checkpoint .* state.txt is not as it was written"):
        store.newest()


@pytest.mark.filterwarnings("ignore::phi_sip.errors.CheckpointWarning")
def test_a_newer_damaged_one_does_not_push_out_a_good_one(tmp_path):
    store = store_of(tmp_path, 5, 10, keep=1)
    (tmp_path / "step-00000010" / "state.txt").write_text("")
    store.save(7, "none", {}, write("7"))
    assert store.newest()[1].step == 7


def test_a_step_that_is_done_again_replaces_the_one_before(tmp_path):
    store = store_of(tmp_path, 5)
    store.save(5, "none", {}, write("again"))
    folder, _ = store.newest()
    assert (folder / "state.txt").read_text() == "againagain"


def test_failed_writing_leaves_nothing_but_what_was_there(tmp_path):
    store = store_of(tmp_path, 5)

    def fill(folder: Path) -> None:
        (folder / "state.txt").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"step 10 .* No space left on device.* step-00000005"):
        store.save(10, "none", {}, fill)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000005"]
    assert store.newest()[1].step == 5


@pytest.mark.skipif(not Path("/proc/self/mem").exists() or os.getuid() != 0, reason="mounts need root on Linux")
def test_a_full_disk(tmp_path):
    """A real one, of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("not allowed to mount")
    try:
        store = store_of(disk, 5)
        with pytest.raises(CheckpointError, match="No space left on device"):
            store.save(10, "none", {}, lambda folder: (folder / "big").write_bytes(bytes(1 << 21)) and None)
        assert store.newest()[1].step == 5
        assert [path.name for path in disk.iterdir()] == ["step-00000005"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / f"{UNFINISHED}folder").mkdir()
    (tmp_path / f"{UNFINISHED}file").write_text("x")
    (tmp_path / "other").write_text("x")
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail() -> None:
        with written_file(path) as unfinished:
            unfinished.write_text("half")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@given(data=st.data())
def test_any_flipped_byte_or_cut_is_seen(tmp_path_factory, data):
    """Fuzzes all files of a checkpoint: it is as it was written, or refused; no other error."""
    folder = tmp_path_factory.mktemp("fuzz")
    store_of(folder, 1)
    place = folder / "step-00000001"
    before = read_manifest(place)
    path = place / data.draw(st.sampled_from([NAME, "state.txt", "inner/weights.bin"]))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[position] ^= data.draw(st.integers(1, 255))
    else:
        del content[position:]
    path.write_bytes(bytes(content))
    with contextlib.suppress(CheckpointError):
        assert read_manifest(place) == before  # as with another blank in the JSON
    shutil.rmtree(folder)


@given(text=st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_manifest_is_read_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / NAME).write_text(text, errors="replace")
    with pytest.raises(CheckpointError):
        read_manifest(folder)
    shutil.rmtree(folder)


def test_a_process_killed_while_writing_leaves_the_one_before(tmp_path):
    """Killed in the middle of writing, again and again."""
    code = (
        "import sys, pathlib\n"
        "from phi_sip.training.checkpoints import CheckpointStore\n"
        "def write(folder):\n"
        "    for i in range(20): (folder / f'{i}.bin').write_bytes(bytes(100_000))\n"
        "step = int(sys.argv[2])\n"
        "while True:\n"
        "    step += 1\n"
        "    CheckpointStore(pathlib.Path(sys.argv[1]), 2).save(step, 'none', {}, write)\n"
        "    print(step, flush=True)\n"
    )
    store, last = CheckpointStore(tmp_path, 2), 0
    for extra in (0.0, 0.002, 0.005, 0.011):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(last)], stdout=subprocess.PIPE, text=True
        )
        reported = int(process.stdout.readline())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(extra)
        process.kill()
        rest = process.communicate()[0].split()
        reported = int(rest[-1]) if rest else reported
        last = store.newest()[1].step
        assert last in (reported, reported + 1)
