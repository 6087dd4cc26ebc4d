"""What was learned, as a transform of torchvision that depends on no run."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils import _pytree as pytree
from torchvision import tv_tensors
from torchvision.transforms import v2

from infaug.config.fields import require
from infaug.export.artefact import read_views
from infaug.export.values import (
    images_among,
    move_boxes,
    move_keypoints,
    move_mask,
    pixels,
    restored,
)
from infaug.export.view import GeneratorViews, PolicyViews, View
from infaug.randomness import RandomNumbers

_ALIVE: WeakValueDictionary[int, "LearnedAugment"] = WeakValueDictionary()
_NUMBERS = itertools.count()


# One operation to compilers, which cannot look into the choices it makes by numbers.
@torch.library.custom_op(
    "infaug::augment", mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
def _augmented(x: Tensor, number: int) -> Tensor:
    return _ALIVE[number](x)


@_augmented.register_fake
def _like(x: Tensor, number: int) -> Tensor:
    return torch.empty_like(x)


class LearnedAugment(v2.Transform):
    """What was learned, as a transform; drawn anew for every image and every call.

    With E and G, x_aug = G(x, mask * E(x) + noise); with a policy, the image after the
    operations that it draws.

    Takes what transforms of `torchvision.transforms.v2` take: an image, or any nesting
    of tuples, lists and dictionaries with an image in it. Images are uint8 or float in
    [0, 1], [C, H, W] or [B, C, H, W], or PIL. Masks, keypoints and boxes beside them
    move along; of a batch their first axis must be the batch's. Everything else passes.

    A batch is augmented where it lies, so `augment.to("cuda")` for batches there. It
    computes in float32, also as a part of a module that is cast to another precision.
    Random numbers come from torch's default generator, which DataLoader seeds in each
    worker, or from `generator`: `augment(images, generator=g)`. Under `torch.compile` a
    tensor of images is augmented by one operation of the graph.

    Args:
        views: what was learned: E and G, or a policy.
        strength: factor on all fields of G: 1 as trained, 0 the identity; above 1 flows
            may fold; a warning says so where keypoints or boxes are moved.
        probability: share of images that are changed; None: as trained.
        card: what is known of the artefact, see `export.card`.
    """

    def __init__(
        self,
        views: GeneratorViews | PolicyViews,
        *,
        strength: float = 1.0,
        probability: float | None = None,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        share = views.probability if probability is None else probability
        require(strength >= 0, "strength", "must be >= 0", strength)
        require(0 <= share <= 1, "probability", "must be in [0, 1]", share)
        self.views = views.eval().requires_grad_(False)
        self.strength = float(strength)
        self.probability = float(share)
        self.card = dict(card or {})
        self._register()

    def _register(self) -> None:
        """A number by which compiled graphs find this transform while it lives."""
        self.number = next(_NUMBERS)
        _ALIVE[self.number] = self

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, or what was pickled, has a number of its own."""
        super().__setstate__(state)
        self._register()

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        strength: float = 1.0,
        probability: float | None = None,
    ) -> "LearnedAugment":
        """The transform that `infaug export` wrote into a folder.

        Reads JSON and safetensors: nothing in the folder is executed.

        Raises:
            ValueError: if a file is missing or broken, or they do not fit together.
        """
        views, card = read_views(Path(folder))
        return cls(views, strength=strength, probability=probability, card=card)

    def forward(self, *inputs: Any, generator: torch.Generator | None = None) -> Any:
        """The inputs with every image, mask, keypoint and box moved.

        All images of one call (beside a batch's own) share one view, whose tau is
        estimated from the first.

        Raises:
            ValueError: if there is no image, or something does not fit it.
        """
        is_images = len(inputs) == 1 and type(inputs[0]) is Tensor
        if is_images and generator is None and torch.compiler.is_compiling():
            return _augmented(inputs[0], self.number)
        flat, nesting = pytree.tree_flatten(inputs[0] if len(inputs) == 1 else inputs)
        at = images_among(flat)
        kinds = (tv_tensors.Mask, tv_tensors.KeyPoints, tv_tensors.BoundingBoxes)
        moves = {k for k, value in enumerate(flat) if isinstance(value, kinds)} | {*at}
        params = self.make_params([flat[k] for k in at], generator)
        moved = [
            self.transform(value, params) if k in moves else value
            for k, value in enumerate(flat)
        ]
        return pytree.tree_unflatten(moved, nesting)

    def make_params(
        self, flat_inputs: list[Any], generator: torch.Generator | None = None
    ) -> dict[str, Any]:
        """The view of the first image among these, drawn now."""
        at = images_among(flat_inputs)
        if not at:
            raise ValueError(
                "LearnedAugment needs an image: what happens to masks, keypoints and "
                "boxes is estimated from it"
            )
        x = self._on_this_device(pixels(flat_inputs[at[0]]))
        batch = x.reshape(-1, *x.shape[-3:])
        rng = self.rng(len(batch), generator)
        return {"view": self.view(batch, rng, tuple(x.shape[:-3]))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input, moved by the view that was drawn."""
        view: View = params["view"]
        if isinstance(inpt, tv_tensors.Mask):
            return move_mask(inpt, view)
        if isinstance(inpt, tv_tensors.KeyPoints):
            return move_keypoints(inpt, view)
        if isinstance(inpt, tv_tensors.BoundingBoxes):
            return move_boxes(inpt, view)
        x = self._on_this_device(pixels(inpt))
        if (x.shape[:-3], x.shape[-2:]) != (view.lead, view.size):
            raise ValueError(
                f"images of one call share one view: {list(x.shape)} does not fit a "
                f"batch of shape {list(view.lead)} with images of {view.size} pixels"
            )
        x_aug = view.render(x.reshape(-1, *x.shape[-3:]))
        return restored(x_aug.reshape(x.shape), like=inpt)

    def rng(self, num: int, generator: torch.Generator | None = None) -> RandomNumbers:
        """Random numbers for `num` images, by one number of the generator."""
        device = "cpu" if generator is None else generator.device
        seed = torch.randint(2**63 - 1, (), generator=generator, device=device)
        return RandomNumbers.of_size(num, int(seed), "augment", device=self.device)

    @torch.no_grad()
    def view(
        self, x: Float[Tensor, "B C H W"], rng: RandomNumbers, lead: tuple[int, ...]
    ) -> View:
        """The view of a batch that these numbers give: what training does with them."""
        return self.views.view(x, rng, lead, self.strength, self.probability)

    @property
    def device(self) -> torch.device:
        """Where what was learned lies."""
        return self.views.device

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "LearnedAugment":
        """Moved to a device like any module, but never cast: flows are coordinates."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    def extra_repr(self) -> str:
        """What was learned, from what, and how it is used."""
        return (
            f"strength={self.strength:g}, probability={self.probability:g}, "
            f"{self.views.about}"
        )

    def _on_this_device(self, x: Tensor) -> Tensor:
        channels = self.views.channels
        if x.shape[-3] != channels:
            convert = "Grayscale()" if channels == 1 else "RGB()"
            raise ValueError(
                f"this augmenter was trained on images of {channels} "
                f"{'channel' if channels == 1 else 'channels'}, got "
                f"{x.shape[-3]}: put torchvision.transforms.v2.{convert} before it"
            )
        if x.device != self.device:
            raise ValueError(
                f"the batch lies on {x.device} and the augmenter on {self.device}: "
                f"move it with augment.to({str(x.device)!r})"
            )
        return x
