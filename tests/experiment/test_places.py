"""Where images lie, for processes that work in other folders."""

from infaug.config import DataConfig
from infaug.experiment.places import located


def test_images_and_those_of_the_target_are_found_from_any_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    data = located(DataConfig(source="pets", target_source="new/few.csv", labels=9))
    assert data == DataConfig(
        source=str(tmp_path / "pets"),
        target_source=str(tmp_path / "new/few.csv"),
        labels=9,
    )
    assert located(DataConfig()) == DataConfig()
    far = DataConfig(source="s3://b/set", target_source="digits")
    assert located(far) == far
