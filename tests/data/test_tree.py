"""What lies below a folder, as a person sees it."""

from infaug.data.tree import files_below


def test_links_are_followed_once_and_hidden_names_passed_over(tmp_path):
    for name in ("set/dog/1.png", "far/2.png", "set/.thumbnails/1.png", "set/.x.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "far")
    (tmp_path / "set" / "dog" / "3.png").symlink_to(tmp_path / "far" / "2.png")
    (tmp_path / "set" / "dog" / "up").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "data.parquet").mkdir()
    names = ("cat/2.png", "dog/1.png", "dog/3.png")
    assert files_below(tmp_path / "set") == [tmp_path / "set" / name for name in names]
