from contextlib import suppress

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import SGD

from infaug import gradients
from infaug.descent import Guard, take_step
from infaug.gradients import GradientSum
from infaug.randomness import RandomNumbers
from infaug.world import World


def test_one_process_is_a_world_of_one():
    world, tensor = World.joined(), torch.ones(3)
    world.sum_([tensor])
    assert tensor.eq(1).all()
    assert world.gather(tensor) is tensor
    assert world.first(lambda: 5) == 5


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8])
def test_groups_are_shared_in_order_completely_and_almost_equally(size):
    shares = [World(rank=r, size=size).share(8) for r in range(size)]
    assert [group for share in shares for group in share] == list(range(8))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_more_workers_than_groups_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"4 batch groups.*5 workers.*batch-groups"):
        World(size=5).share(4)


def test_a_samples_numbers_do_not_depend_on_who_holds_its_group():
    whole = RandomNumbers("a", 1, groups=range(4), group_size=3)
    late = RandomNumbers("a", 1, groups=range(2, 4), group_size=3)
    assert whole.normal(5)[6:].equal(late.normal(5))
    assert whole.uniform(0, 1)[6:].equal(late.uniform(0, 1))


def test_forks_are_independent_of_each_other_and_of_how_much_was_drawn():
    rng = RandomNumbers.of_size(4, "a")
    before = rng.fork("b").normal()
    rng.normal(100)
    assert rng.fork("b").normal().equal(before)
    assert not rng.fork("c").normal().equal(before)


PAIR = World(rank=0, size=2)


class Sent:
    """Stands for a peer that sends the same as this process."""

    def __init__(self):
        self.messages: list[Tensor] = []

    def all_reduce(self, flat: Tensor, async_op: bool) -> "Sent":
        assert async_op
        self.messages.append(flat.clone())
        flat.mul_(2)
        return self

    def wait(self) -> None:
        pass


@pytest.fixture
def sent(monkeypatch) -> Sent:
    peer = Sent()
    monkeypatch.setattr(dist, "all_reduce", peer.all_reduce)
    return peer


def three_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(2, 2) for _ in range(3))).double()


def moved_by(world: World, num_losses: int = 1, **options) -> list[Tensor]:
    """Parameters after a step on the mean of two samples, in this many parts."""
    net = three_layers()
    x = torch.eye(2, dtype=torch.float64)
    losses = (net(part).square().sum() / world.size for part in x.chunk(num_losses))
    optimizer = SGD(net.parameters(), 0.1)
    take_step(
        losses, optimizer, world, Guard(), name="f", num_losses=num_losses, **options
    )
    return [p.detach() for p in net.parameters()]


@pytest.mark.parametrize("bucket_bytes", [1, 60, 10**6])
@pytest.mark.parametrize("num_losses", [1, 2])
def test_a_step_of_two_processes_is_the_step_of_one(
    sent, monkeypatch, bucket_bytes, num_losses
):
    monkeypatch.setattr(gradients, "BUCKET_BYTES", bucket_bytes)
    alone = moved_by(World(), num_losses)
    for ours, theirs in zip(alone, moved_by(PAIR, num_losses), strict=True):
        torch.testing.assert_close(theirs, ours)
    assert len(sent.messages) == 1 + {1: 6, 60: 3, 10**6: 1}[bucket_bytes]


def test_compressed_gradients_have_half_the_bytes_and_the_loss_is_whole(sent):
    alone = moved_by(World())
    for ours, theirs in zip(alone, moved_by(PAIR, compress=True), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-2, atol=1e-2)
    loss, bucket = sent.messages
    assert (loss.dtype, bucket.dtype) == (torch.float64, torch.bfloat16)


def test_what_a_forward_pass_leaves_travels_with_the_loss(sent):
    left = torch.tensor([3.0, 4.0], dtype=torch.float64)
    moved_by(PAIR, num_losses=2, beside=lambda: [left])
    assert sent.messages[0][1:].tolist() == [3, 4]
    assert left.tolist() == [6, 8]


def test_buckets_are_sent_while_the_backward_pass_goes_on(sent, monkeypatch):
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 60)
    net, so_far = three_layers(), []
    net[0].register_full_backward_hook(lambda *_: so_far.append(len(sent.messages)))
    x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    sums = GradientSum(list(net.parameters()), PAIR)
    loss = net(x).sum()
    with sums.sending([loss.detach()]):
        loss.backward()
    assert so_far[0] >= 3, "the loss and the last two layers"
    assert len(sent.messages) == 4


def test_parameters_without_a_gradient_are_sent_in_their_turn(sent, monkeypatch):
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 1)
    net = three_layers()
    net[2].requires_grad_(False)
    x = torch.ones(1, 2, dtype=torch.float64)
    take_step([net(x).sum()], SGD(net.parameters(), 0.1), PAIR, Guard(), name="f")
    assert [len(message) for message in sent.messages] == [1, 2, 4, 2, 4, 2, 4]
    assert not sent.messages[1].any()
    assert not sent.messages[2].any()
    assert sent.messages[3].any()


def test_a_pass_that_is_repeated_sends_nothing_twice(sent, monkeypatch):
    monkeypatch.setattr(gradients, "BUCKET_BYTES", 60)
    net, guard = three_layers(), Guard()
    optimizer = SGD(net.parameters(), 0.0)
    x = torch.ones(1, 2, dtype=torch.float64)

    def step() -> None:
        take_step([net(x).sum()], optimizer, PAIR, guard, name="f")

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError

    step()
    once, sent.messages = sent.messages, []
    handle = net[1].weight.register_hook(fail)
    with suppress(torch.OutOfMemoryError):
        step()
    handle.remove()
    assert 1 < len(sent.messages) < 4
    step()
    assert len(sent.messages) == 4
    for message, expected in zip(sent.messages, once, strict=True):
        assert message.equal(expected)
