"""A finished run and its export, shared by the tests of this folder."""

import pytest
from finished import finished_run

from infaug.config import EstimatorConfig, ExportConfig, TransformConfig
from infaug.estimate.learned_transform import build_transform
from infaug.export.learned_augment import LearnedAugment
from infaug.export.view import GeneratorViews
from infaug.export.write import export_run


@pytest.fixture(scope="session")
def grey_run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("export") / "run")


@pytest.fixture(scope="session")
def exported(grey_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "out"
    export_run(grey_run, out, ExportConfig(formats=("safetensors",)))
    return out


@pytest.fixture
def make_augment():
    def make(channels=1, size=16, estimator=None, pooling="local", **how):
        spread = how.pop("spread", 0.5)
        settings = {k: how.pop(k) for k in list(how) if k in FIELDS}
        config = TransformConfig(
            tau_size=8, pooling=pooling, initial_spread=spread, **settings
        )
        transform = build_transform(config, channels, size, size, 0)
        views = GeneratorViews(transform, estimator or EstimatorConfig())
        return LearnedAugment(views, **how)

    return make


FIELDS = ("filter_strength", "bias_strength", "flow_bound", "padding")
