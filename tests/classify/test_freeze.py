"""Networks with pretrained weights, of which some layers are frozen."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torchvision.transforms.functional import to_pil_image

import infaug
from infaug.classify.backbone import LastPart, build_backbone
from infaug.cli.main import main
from infaug.data.dataset import to_float
from infaug.data.digits import digits
from infaug.influence.features import head_inputs
from infaug.record.folder import RunFolder
from infaug.training.refresher import Sync
from infaug.trust.predictions import check_predictions
from infaug.trust.reload import reload

pytest.importorskip("timm")

NETWORKS = ["torchvision:resnet18", "timm:test_vit3", "timm:test_convnext"]

STEPS = {
    "seeds": 1,
    "threads": 1,
    "methods": ("pooled_even",),
    "classifier": {
        "batch_size": 4, "batch_groups": 2, "precision": "float32", "frozen_views": 2,
    },
    "rounds": {"rounds": 2, "classifier_steps": 2},
    "data.folds": 0,
    "shown": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of each network, random ones in a file."""
    folder = tmp_path_factory.mktemp("weights")
    for network in NETWORKS:
        body = build_backbone(network, 3, 0).body
        tensors = {k: v.contiguous() for k, v in body.state_dict().items()}
        save_file(tensors, folder / f"{network.partition(':')[2]}.safetensors")
    return folder


def some(start, stop):
    """Images of three classes, these of each."""
    whole = digits(image_size=32)
    of_each = [(whole.labels == k).nonzero()[start:stop, 0] for k in range(3)]
    at = torch.cat(of_each)
    return whole.images[at], whole.labels[at]


def file_of(network, weights):
    return weights / f"{network.partition(':')[2]}.safetensors"


def fitted(network, freeze, weights, out, **more):
    pretrained = {"classifier.weights": str(file_of(network, weights))}
    settings = STEPS | pretrained | {"classifier.freeze": freeze} | more
    return infaug.fit(network, some(0, 4), some(20, 23), out=out, **settings)


def write_folders(root, images, labels):
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / str(int(label))
        folder.mkdir(parents=True, exist_ok=True)
        to_pil_image(image).save(folder / f"{k}.png")


def command(network, weights, folder, methods, freeze):
    return (
        f"fit --data {folder / 'a'} --target {folder / 'b'} --image-size 32 "
        f"--network {network} --weights {file_of(network, weights)} "
        f"--out {folder / 'run'} --freeze {freeze} --seeds 1 --methods {methods} "
        "--num-rounds 2 --rounds.classifier-steps 2 --rounds.estimator-steps 1 "
        "--data.folds 0 --classifier.batch-size 4 --classifier.batch-groups 2 "
        "--classifier.frozen-views 2 --estimator.batch-size 4 --policy.batch-size 4 "
        "--classifier.precision float32 --jobs 1 --threads 1"
    ).split()


STEMS = {NETWORKS[0]: "conv1.weight", NETWORKS[1]: "patch_embed.proj.weight"}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("network", "freeze"),
    [
        (NETWORKS[0], "none"),
        *(
            pytest.param(NETWORKS[0], part, marks=pytest.mark.slow)
            for part in ("early", "body")
        ),
        *((NETWORKS[1], part) for part in ("none", "early", "body")),
    ],
)
def test_all_layers_learn_or_the_last_ones_or_the_head_alone(
    network, freeze, weights, tmp_path
):
    """From Python and from the command line."""
    fitted(network, freeze, weights, tmp_path / "python")
    for name, part in {"a": some(0, 4), "b": some(20, 23)}.items():
        write_folders(tmp_path / name, *part)
    assert main(command(network, weights, tmp_path, "pooled_even", freeze)) == 0
    before = load_file(file_of(network, weights))
    found = []
    for out in ("python", "run"):
        after = RunFolder(tmp_path / out).weights("pooled_even", 0, "classifier")
        found.append({k for k, v in before.items() if not after[f"body.{k}"].equal(v)})
    learned = found[0]
    assert found[1] == learned
    assert bool(learned) == (freeze != "body")
    assert (STEMS[network] in learned) == (freeze == "none")
    kept = [name for name in learned if "running" in name]
    assert bool(kept) == (freeze == "none" and network == NETWORKS[0])


@pytest.mark.parametrize("network", NETWORKS)
def test_the_parts_of_a_frozen_body_make_up_the_whole(network):
    classifier = build_backbone(network, 3, 0)
    x = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        whole = classifier.eval()(x)
        classifier.freeze("early")
        torch.testing.assert_close(classifier(x), whole)
        last = LastPart(classifier)(classifier.first(x))
    torch.testing.assert_close(last, whole)
    names = build_backbone(network, 3, 0).state_dict()
    assert classifier.state_dict().keys() == names.keys()


def test_a_network_that_cannot_be_cut_is_refused_with_what_works():
    with pytest.raises(ValueError, match="use --freeze body or none"):
        build_backbone("timm:test_vit", 3, 0).freeze("early")


def test_trainings_share_what_frozen_layers_make_of_a_view(weights, tmp_path):
    """Three methods, two views: no draw is computed twice, whoever needs it."""
    methods = ("base", "pooled", "pooled_trivial")
    fitted(NETWORKS[2], "body", weights, tmp_path / "a", methods=methods)
    kinds = sorted((tmp_path / "a/activations").iterdir())
    assert len(kinds) == 2
    assert all(len(list(kind.iterdir())) > 12 for kind in kinds)
    first = {f: f.stat().st_mtime_ns for kind in kinds for f in kind.iterdir()}
    fitted(NETWORKS[2], "body", weights, tmp_path / "a", methods=methods)
    assert {f: f.stat().st_mtime_ns for f in first} == first


@pytest.mark.usefixtures("undrawn")
def test_a_frozen_network_trains_from_the_command_line(weights, tmp_path, capsys):
    """Every kind of method: those that learn views forward these in every step."""
    for name, part in {"a": some(0, 4), "b": some(20, 23)}.items():
        write_folders(tmp_path / name, *part)
    methods = "pooled pooled_learned policy_alone"
    assert main(command(NETWORKS[2], weights, tmp_path, methods, "early")) == 0
    result = json.loads(capsys.readouterr().out.split("RESULT ")[-1])
    assert {"pooled", "pooled_learned", "policy_alone"} <= set(result["methods"])


def test_through_a_frozen_body_the_influence_is_what_refitting_shows(weights, tmp_path):
    """The head is brought to its optimum before E is taught, so nothing is assumed."""
    vit = "timm:test_vit3"
    settings = STEPS | {
        "methods": ("base_learned",),
        "classifier.weights": str(file_of(vit, weights)),
        "classifier.freeze": "body",
        "influence.hessian_on": "originals",
        "influence.damping": 1e-3,
        "rounds.estimator_steps": 1,
        "estimator.batch_size": 4,
    }
    infaug.fit(vit, some(0, 40), some(40, 52), out=tmp_path, **settings)
    finished = reload(tmp_path)
    images = to_float(finished.training.train.images)
    h, _ = head_inputs(finished.training.classifier, images, batch_size=120)
    length2 = float(h.square().sum(dim=1).mean())
    assert finished.training.config.influence.damping * 60 == pytest.approx(length2)
    before = finished.training.classifier.head.weight.clone()
    Sync(finished.training, finished.splits.influence).finish(0)
    assert not finished.training.classifier.head.weight.equal(before)
    trust = check_predictions(finished, num_samples=12)
    assert trust.live_gradient < 1e-5
    assert min(trust.live.pearson, trust.refitted.pearson) > 0.99
