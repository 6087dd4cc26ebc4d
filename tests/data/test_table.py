"""A CSV of paths and labels as a source, and each fault with its line."""

from pathlib import Path

import pytest
from reading import flat, write_images

from infaug.config import DataConfig
from infaug.data.source import load

HEADER = "path,label"


@pytest.fixture
def table(tmp_path):
    """Write a CSV beside images of values 1 to 4, in folders of their own."""

    def write(*lines, header=HEADER, name="all.csv"):
        write_images(tmp_path, {f"pictures/{k}.png": flat(k) for k in range(1, 5)})
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n")
        return str(path)

    return write


def lines(*labels):
    return [f"pictures/{k}.png,{label}" for k, label in enumerate(labels, 1)]


def test_paths_are_relative_to_the_table_and_labels_are_names(table):
    train = load(DataConfig(source=table(*lines("dog", "cat", "dog")))).train
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [1, 0, 1]
    assert train.images[:, 0, 0, 0].tolist() == [1, 2, 3]


def test_whole_numbers_are_classes_in_order_of_number(table):
    train = load(DataConfig(source=table(*lines(10, 9, 9)))).train
    assert train.class_names == ("9", "10")


def test_an_absolute_path_is_taken_as_it_is(table, tmp_path):
    path = table(*lines("cat"), f"{tmp_path}/pictures/4.png,dog", name="a.csv")
    assert load(DataConfig(source=path)).train.images[:, 0, 0, 0].tolist() == [1, 4]


def test_a_split_column_divides(table):
    rows = ["1.png,cat,train", "2.png,dog,Train", "3.png,cat,TEST", "4.png,dog,test"]
    rows = [f"pictures/{row}" for row in rows]
    source = load(DataConfig(source=table(*rows, header="path,label,split")))
    assert source.train.images[:, 0, 0, 0].tolist() == [1, 2]
    assert source.test.images[:, 0, 0, 0].tolist() == [3, 4]


def test_a_spreadsheets_byte_order_mark_and_blank_lines_are_passed_over(table):
    path = table(*lines("cat", "dog"), "", ",", header="\ufeffpath,label")
    assert len(load(DataConfig(source=path)).train) == 2


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_may_end_as_other_systems_end_them(table, end):
    path = table(*lines("cat", "dog"))
    text = Path(path).read_text()
    Path(path).write_bytes(text.replace("\n", end).encode())
    assert len(load(DataConfig(source=path)).train) == 2


def test_a_quote_that_never_ends_is_named_with_its_line(table):
    path = table('1.png,"cat', "x" * 200_000)
    with pytest.raises(ValueError, match=r"line \d+ cannot be read.*double quote"):
        load(DataConfig(source=path))


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("where,label", "1.png,cat", r"has no column 'path'.*--data.path-column"),
        ("path,kind", "1.png,cat", r"has path, kind: .*--data.label-column"),
        (HEADER, "1.png", r"line 4 has 1 cells, the header 2"),
        (HEADER, "1.png,a,b", r"line 4 has 3 cells.*double quotes"),
        (HEADER, "1.png,", r"line 4 has no label"),
        (HEADER, "1.png,nan", r"line 4 has no label"),
        (HEADER, "1.png,NaN", r"line 4 has no label"),
        (HEADER, "1.png,<NA>", r"line 4 has no label"),
        (HEADER, ",cat", r"line 4 has no path"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(table, header, line, message):
    path = table(*lines("cat", "dog"), line, header=header)
    with pytest.raises(ValueError, match=message):
        load(DataConfig(source=path))


def test_an_unknown_split_is_named(table):
    path = table("pictures/1.png,cat,spare", header="path,label,split")
    with pytest.raises(ValueError, match=r"line 2 has split 'spare': write train, val"):
        load(DataConfig(source=path))


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"path,label\n\xff\xfe")
    with pytest.raises(ValueError, match="no UTF-8 text"):
        load(DataConfig(source=str(tmp_path / "a.csv")))
