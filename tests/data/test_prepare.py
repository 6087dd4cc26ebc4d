"""Sources to Parquet shards and back: same images, same bytes, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import class_files, encoded, imagenet_tar, tar_bytes, write_files

from infaug.config import DataConfig, PrepareConfig
from infaug.data.prepare import prepare, write_here
from infaug.data.source import load

TRAIN = class_files("cat", "dog", "eel", above="train/", count=7)
FILES = TRAIN | class_files("cat", "dog", "eel", above="test/", count=2)
SMALL = PrepareConfig(rows_per_shard=4)


def rows(folder: Path, split: str) -> list[tuple[bytes, str]]:
    """Bytes and class name of every row, in order."""
    found = []
    for path in sorted(folder.glob(f"{split}-*.parquet")):
        table = pq.read_table(path)
        names = json.loads(table.schema.metadata[b"class_names"])
        labels = [names[label] for label in table["label"].to_pylist()]
        found += zip(table["image"].to_pylist(), labels, strict=True)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, the plan without the place of the source."""
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != ".lock"}
    plan = json.loads(files["plan.json"])
    del plan["source"]
    return files | {"plan.json": json.dumps(plan).encode()}


def of_split(files: dict[str, bytes], split: str) -> list[tuple[bytes, str]]:
    return sorted(
        (content, name.split("/")[-2])
        for name, content in files.items()
        if name.startswith(split)
    )


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_bytes_labels_and_class_names_make_the_round_trip(tmp_path, kind):
    source = write_files(tmp_path / "src", FILES)
    if kind == "tar":
        source = tmp_path / "src.tar"
        source.write_bytes(tar_bytes(FILES))
    done = prepare(source, tmp_path / "out", SMALL)
    for split in ("train", "test"):
        assert sorted(rows(tmp_path / "out", split)) == of_split(FILES, split)
    assert done.images == {"train": 21, "test": 6}
    assert (done.num_classes, done.num_shards, done.unreadable) == (3, 8, ())
    sizes = [p.stat().st_size for p in (tmp_path / "out").glob("*.parquet")]
    assert done.num_bytes == sum(sizes)


def test_imagenets_tar_and_a_folder_for_test_make_the_round_trip(tmp_path):
    files = class_files("n01440764", "n01443537")
    (tmp_path / "train.tar").write_bytes(imagenet_tar(files))
    val = write_files(tmp_path / "val", files)
    prepare(tmp_path / "train.tar", tmp_path / "out", SMALL, test=val)
    for split in ("train", "test"):
        assert sorted(rows(tmp_path / "out", split)) == of_split(files, "")


def test_rows_are_shuffled_over_the_whole_split_the_same_way_each_time(tmp_path):
    (tmp_path / "src.tar").write_bytes(tar_bytes(FILES))
    prepare(write_files(tmp_path / "src", FILES), tmp_path / "a", SMALL)
    prepare(tmp_path / "src.tar", tmp_path / "b", SMALL)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    labels = [name for _, name in rows(tmp_path / "a", "train")]
    assert len(set(labels[:4])) > 1
    assert labels != sorted(labels)


def test_the_shorter_side_is_shrunk_on_the_way(tmp_path):
    prepare(
        write_files(tmp_path / "src", FILES),
        tmp_path / "out",
        PrepareConfig(shorter_side=8, rows_per_shard=4),
    )
    source = load(DataConfig(source=str(tmp_path / "out")))
    assert source.train.image_shape == (3, 8, 11)  # 12 x 9 before


# Dies as from kill -9 in the middle of the n-th shard.
VICTIM = """
import os, signal, sys
from pathlib import Path
from infaug.config import PrepareConfig
from infaug.data import prepare as module
count = 0
def note_and_die(shard, folder, note):
    global count
    count += 1
    def die(images):
        os.kill(os.getpid(), signal.SIGKILL)
    return write(shard, folder, die if count == int(sys.argv[3]) else note)
write, module.write_shard = module.write_shard, note_and_die
source, out = Path(sys.argv[1]), Path(sys.argv[2])
module.prepare(source, out, PrepareConfig(rows_per_shard=4, max_bad_images=3))
"""


def test_killed_twice_it_ends_with_the_bytes_of_the_undisturbed_one(tmp_path):
    bad = {"train/cat/0.png": b"no image", "test/dog/1.png": b""}
    source, out = write_files(tmp_path / "src", FILES | bad), tmp_path / "out"
    config = PrepareConfig(rows_per_shard=4, max_bad_images=3)
    prepare(source, tmp_path / "calm", config)
    for dies_at in (3, 4):
        command = [sys.executable, "-c", VICTIM, str(source), str(out), str(dies_at)]
        assert subprocess.run(command, check=False).returncode == -9
        assert [p for p in out.iterdir() if p.name.endswith(".part")]
    early = out / "train-00000.parquet"
    written = early.stat().st_mtime_ns
    done = prepare(source, out, config)
    assert contents(out) == contents(tmp_path / "calm")
    assert early.stat().st_mtime_ns == written
    assert done.images == {"train": 20, "test": 5}


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"PAR1 but not the rest PAR1", Path.read_bytes],
    ids=["empty", "cut", "labels of another"],
)
def test_a_damaged_shard_is_written_again(tmp_path, damage):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    prepare(source, out, SMALL)
    before = contents(out)
    (out / "train-00002.parquet").write_bytes(damage(out / "train-00003.parquet"))
    (out / "train-00003.parquet").unlink()
    with pytest.warns(UserWarning, match=r"train-00002\.parquet is damaged"):
        prepare(source, out, SMALL)
    assert contents(out) == before


BAD = {"train/cat/0.png": b"no image", "train/dog/3.png": encoded(1)[:150]}


def test_unreadable_images_are_left_out_listed_and_counted(tmp_path):
    source = write_files(tmp_path / "src", FILES | BAD)
    config = PrepareConfig(rows_per_shard=4, max_bad_images=2)
    done = prepare(source, tmp_path / "out", config)
    kept = {name: content for name, content in FILES.items() if name not in BAD}
    assert sorted(rows(tmp_path / "out", "train")) == of_split(kept, "train")
    lines = (tmp_path / "out" / "unreadable.jsonl").read_text().splitlines()
    listed = {each["file"]: each["reason"] for each in map(json.loads, lines)}
    assert set(listed) == {str(source / name) for name in BAD}
    assert listed[str(source / "train/cat/0.png")] == "not an image of a known format"
    assert dict(done.unreadable) == listed


def test_too_many_unreadable_images_are_refused_and_the_work_is_kept(tmp_path):
    source, out = write_files(tmp_path / "src", FILES | BAD), tmp_path / "out"
    with pytest.raises(
        ValueError, match=r"1 image so far .* 0 are allowed: .*\.png"
    ) as e:
        prepare(source, out, SMALL)
    assert "--max-bad-images 1 or more" in str(e.value)
    assert (out / "unreadable.jsonl").exists()
    first = {p: p.stat().st_mtime_ns for p in out.glob("*.parquet")}
    assert first
    prepare(source, out, PrepareConfig(rows_per_shard=4, max_bad_images=0.1))
    assert len(list(out.glob("*.parquet"))) == 8
    assert all(p.stat().st_mtime_ns == when for p, when in first.items())


@pytest.mark.parametrize("inside", [".", "parquet"])
def test_a_folder_in_the_source_is_refused(tmp_path, inside):
    source = write_files(tmp_path / "src", FILES)
    with pytest.raises(ValueError, match="give a folder outside of the source"):
        prepare(source, source / inside, SMALL)
    assert sorted(p.name for p in source.iterdir()) == ["test", "train"]


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    write_files(out, {"thesis.tex": b"x"})
    with pytest.raises(ValueError, match=r"holds 'thesis\.tex' and no plan\.json"):
        prepare(source, out, SMALL)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]


def test_another_source_or_setting_is_refused_by_name(tmp_path):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    prepare(source, out, SMALL)
    before = contents(out)
    with pytest.raises(ValueError, match=r"other settings .*'rows_per_shard': 5"):
        prepare(source, out, PrepareConfig(rows_per_shard=5))
    with pytest.raises(ValueError, match=r"other settings .*'shorter_side': 8"):
        prepare(source, out, PrepareConfig(rows_per_shard=4, shorter_side=8))
    other = write_files(tmp_path / "other", class_files("cat", "dog"))
    with pytest.raises(ValueError, match=r"begun from .*src with other files"):
        prepare(other, out, SMALL)
    (source / "train" / "cat" / "7.png").write_bytes(encoded(9))
    with pytest.raises(ValueError, match="with other files or labels"):
        prepare(source, out, SMALL)
    assert contents(out) == before


def test_an_image_that_changed_since_it_was_listed_is_refused(tmp_path):
    source = write_files(tmp_path / "src", FILES)

    def write(shards, folder, note):
        (source / "train" / "cat" / "0.png").write_bytes(b"shorter")
        yield from write_here(shards, folder, note)

    with pytest.raises(ValueError, match=r"0\.png had \d+ bytes .* has 7 now"):
        prepare(source, tmp_path / "out", SMALL, write=write)


def test_a_table_is_prepared_like_its_class_folders(tmp_path):
    write_files(tmp_path / "src", FILES)
    parts = {name: name.split("/") for name in FILES}
    lines = [f"src/{name},{label},{top}" for name, (top, label, _) in parts.items()]
    (tmp_path / "all.csv").write_text("\n".join(["path,label,split", *lines]))
    prepare(tmp_path / "all.csv", tmp_path / "out", SMALL)
    for split in ("train", "test"):
        assert sorted(rows(tmp_path / "out", split)) == of_split(FILES, split)


def test_two_processes_cannot_prepare_one_folder(tmp_path):
    source, out = write_files(tmp_path / "src", FILES), tmp_path / "out"
    program = (
        "import sys; from pathlib import Path\n"
        "from infaug.config import PrepareConfig\n"
        "from infaug.data.prepare import prepare\n"
        "prepare(Path(sys.argv[1]), Path(sys.argv[2]), PrepareConfig(rows_per_shard=4))"
    )
    others = []

    def write(shards, folder, note):
        command = [sys.executable, "-c", program, str(source), str(out)]
        others.append(
            subprocess.run(command, capture_output=True, text=True, check=False)
        )
        yield from ()

    prepare(source, out, SMALL, write=write)
    assert "another process is preparing" in others[0].stderr
