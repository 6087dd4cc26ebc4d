import json

import pytest

from infaug import config as c


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: c.InfluenceConfig(damping=0),
            "influence.damping must be > 0: the sof",
        ),
        (lambda: c.InfluenceConfig(damping=-1), "influence.damping"),
        (lambda: c.InfluenceConfig(rtol=2), "influence.rtol"),
        (lambda: c.InfluenceConfig(hessian_samples=0), "influence.hessian_samples"),
        (lambda: c.InfluenceConfig(probe_every=-1), "influence.probe_every"),
        (lambda: c.ClassifierConfig(batch_size=10), "multiple of batch_groups"),
        (lambda: c.ClassifierConfig(learning_rate=0), "classifier.learning_rate"),
        (lambda: c.EstimatorConfig(tau_noise=-1), "estimator.tau_noise"),
        (lambda: c.TransformConfig(tau_size=0), "transform.tau_size"),
        (lambda: c.TransformConfig(bias_strength=-1), "transform.bias_strength"),
        (lambda: c.RoundsConfig(rounds=0), "rounds.rounds must be >= 1, got 0"),
        (lambda: c.DataConfig(labels=0), "data.labels"),
        (lambda: c.DataConfig(target=-5), "data.target"),
        (lambda: c.DataConfig(influence_share=1), "data.influence_share"),
        (lambda: c.DataConfig(image_size=4), "data.image_size"),
        (lambda: c.RunConfig(seeds=0), "seeds must be >= 1"),
        (lambda: c.AffineRanges(scale=(1.2, 0.8)), "affine.scale must be 0 < low"),
        (lambda: c.AffineRanges(degrees=-1.0), "affine.degrees must be >= 0"),
        (lambda: c.AffineRanges(shear_deg=90.0), "affine.shear_deg must lie in"),
        (lambda: c.AdversarialConfig(critic_steps=0), "adversarial.critic_steps must"),
        (lambda: c.AdversarialConfig(mse_floor=0.0), "adversarial.mse_floor must be"),
        (lambda: c.AdversarialConfig(gradient_penalty=-1), "adversarial.gradient_pen"),
        (lambda: c.AdversarialConfig(betas=(0.5, 1)), "adversarial.betas must lie in"),
        (lambda: c.ClassifierConfig(network="timm:a/../b"), "must be one of auto"),
        (
            lambda: c.ClassifierConfig(network="resnet18", weights="default"),
            "needs a network of timm or",
        ),
        (
            lambda: c.ClassifierConfig(network="torchvision:resnet18", freeze="body"),
            "a frozen network learns no features",
        ),
        (
            lambda: c.RoundsConfig(refresh="overlap", refresh_lag=101),
            r"refresh_lag must lie in \[1",
        ),
        (
            lambda: c.RunConfig(classifier=c.ClassifierConfig(weight_decay=0.5)),
            "influence.damping must be >= classifier.weight_decay",
        ),
        (
            lambda: c.RunConfig(estimator=c.EstimatorConfig(batch_size=7)),
            "estimator.batch_size must be a multiple",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_config_survives_json():
    config = c.RunConfig(data=c.DataConfig(shift=c.ShiftConfig(splits=("test",))))
    assert c.from_dict(c.RunConfig, json.loads(json.dumps(c.to_dict(config)))) == config


def test_differences_are_listed_by_full_name():
    new = c.RunConfig(seeds=5, influence=c.InfluenceConfig(damping=0.1))
    assert c.difference(c.RunConfig(), new) == [
        "influence.damping: 0.01 -> 0.1",
        "seeds: 3 -> 5",
    ]
