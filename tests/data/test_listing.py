"""What a source holds, layout by layout, and each fault's message."""

import gzip
import tarfile

import pytest
from archives import class_files, encoded, imagenet_tar, tar_bytes, write_files

from infaug.data.plan import list_source

FILES = class_files("cat", "dog")
SPLITS = class_files("cat", "dog", above="train/") | class_files(
    "cat", "dog", above="val/", count=2
)


def listed(source, test=None) -> dict[str, list[tuple[bytes, str]]]:
    """Bytes and class name of every image, by split."""
    listing = list_source(source, test)
    return {
        split: [(i.image.read_bytes(), listing.class_names[i.label]) for i, _ in images]
        for split, images in listing.splits.items()
    }


def expected(files: dict[str, bytes]) -> list[tuple[bytes, str]]:
    return [(files[name], name.split("/")[-2]) for name in sorted(files)]


def layouts(tmp_path, files):
    above = {f"./set/{name}": content for name, content in files.items()}
    yield write_files(tmp_path / "folder", files)
    yield write_files(tmp_path / "deep", above) / "set"
    yield write_files(tmp_path / "deep", above)
    (tmp_path / "plain.tar").write_bytes(tar_bytes(files))
    yield tmp_path / "plain.tar"
    (tmp_path / "above.tar").write_bytes(tar_bytes(above, folders=("./set",)))
    yield tmp_path / "above.tar"


def test_class_folders_are_found_in_folders_and_tars_alike(tmp_path):
    for source in layouts(tmp_path, FILES):
        assert listed(source) == {"train": expected(FILES)}, source


def test_splits_are_found_in_folders_and_tars_alike(tmp_path):
    def of(top):
        return expected({n: c for n, c in SPLITS.items() if n.startswith(top)})

    for source in layouts(tmp_path, SPLITS):
        assert listed(source) == {"train": of("train"), "test": of("val")}, source


def test_imagenets_tar_has_a_class_for_each_tar_and_a_test_split_from_elsewhere(
    tmp_path,
):
    files = class_files("n01440764", "n01443537")
    (tmp_path / "train.tar").write_bytes(imagenet_tar(files))
    val = write_files(tmp_path / "val", files)
    both = dict.fromkeys(("train", "test"), expected(files))
    assert listed(tmp_path / "train.tar", val) == both


def test_a_folder_and_its_tar_have_one_checksum_and_a_changed_label_another(tmp_path):
    folder = write_files(tmp_path / "folder", FILES)
    (tmp_path / "a.tar").write_bytes(tar_bytes(FILES))
    checksum = list_source(folder).checksum
    assert list_source(tmp_path / "a.tar").checksum == checksum
    (folder / "cat" / "0.png").rename(folder / "dog" / "00.png")
    assert list_source(folder).checksum != checksum


def test_hidden_files_are_passed_over_and_those_of_other_kinds_are_named(tmp_path):
    files = {**FILES, "cat/._1.png": b"x", ".git/1.png": b"x", "cat/notes.txt": b"x"}
    (tmp_path / "a.tar").write_bytes(tar_bytes(files))
    for source in (write_files(tmp_path / "folder", files), tmp_path / "a.tar"):
        listing = list_source(source)
        assert listing.num_images == len(FILES)
        assert ["notes.txt" in note for note in listing.notes] == [True]


VAL = {f"ILSVRC2012_val_0000000{k}.JPEG": encoded(k, "JPEG") for k in range(3)}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b""}, r"neither Parquet nor .*class/name\.jpg.*\n.*notes\.txt"),
        ({"1.png": b"x"}, r"neither Parquet .*\n.*in no class folder\): 1\.png"),
        (VAL, r"neither Parquet .*come without classes: unpack .* with --test"),
        ({"cat/1.png": b"x"}, r"one class folder, 'cat': .* two or more"),
        (SPLITS | {"val/cow/1.png": b"x"}, "test split of .* has the class 'cow'"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_with_the_remedy(
    tmp_path, files, message
):
    (tmp_path / "a.tar").write_bytes(tar_bytes(files))
    for source in (write_files(tmp_path / "folder", files), tmp_path / "a.tar"):
        with pytest.raises(ValueError, match=message):
            list_source(source)


@pytest.mark.parametrize("files", [FILES, SPLITS])
def test_an_empty_class_folder_is_no_class_and_is_named(tmp_path, files):
    empty = "train/cow" if "train/cat/0.png" in files else "cow"
    folder = write_files(tmp_path / "folder", files)
    (folder / empty).mkdir()
    (tmp_path / "a.tar").write_bytes(tar_bytes(files, folders=(empty,)))
    for source in (folder, tmp_path / "a.tar"):
        listing = list_source(source)
        assert listing.class_names == ("cat", "dog")
        assert any(f"without an image): {empty}/" in note for note in listing.notes)


def test_a_test_source_beside_a_split_of_its_own_is_refused(tmp_path):
    source = write_files(tmp_path, SPLITS)
    with pytest.raises(ValueError, match="leave out --test"):
        list_source(source, source / "val")
    with pytest.raises(ValueError, match="folder of one of them"):
        list_source(source / "train", source)


def test_a_compressed_tar_is_refused_with_the_command_that_unpacks_it(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes(FILES)))
    with pytest.raises(ValueError, match=r"is compressed.*`gunzip -k .*a\.tar\.gz`"):
        list_source(path)


WHOLE = tar_bytes(FILES)


@pytest.mark.parametrize(
    "content",
    [b"", b"no tar at all" * 100, WHOLE[: len(WHOLE) // 3]],
    ids=["empty", "no tar", "cut short"],
)
def test_a_file_that_is_no_whole_tar_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.tar is no whole tar.*it was cut short"):
        list_source(tmp_path / "a.tar")


def test_a_link_in_a_tar_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(write_files(tmp_path / "folder", FILES), ".")
        link = tarfile.TarInfo("cat/9.png")
        link.type, link.linkname = tarfile.SYMTYPE, "0.png"
        tar.addfile(link)
    with pytest.raises(ValueError, match=r"cat/9\.png is a link.*--dereference"):
        list_source(tmp_path / "a.tar")
