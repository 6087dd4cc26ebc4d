"""The methods of every table: what F trains on in each view.

All methods have the same seeds, steps and number of views; they differ in what the
views are, in how they count and in which images are labelled.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from infaug.config import ViewLoss
from infaug.data.problem import Splits

View = Literal[
    "identity", "base", "random", "learned", "policy",
    "base+random", "base+learned", "base+policy",
]  # fmt: skip
GeneratorFrom = Literal["initial", "final"]
Signal = Literal["influence", "gradient", "lookahead"]
Sees = Literal["image", "other", "nothing"]
PolicyFrom = Literal["uniform", "online", "learned"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way of training F.

    Attributes:
        name: as it appears in tables and folders.
        views: what each view of an image goes through; see `views_of`.
        adds: what is joined to the base augmentation, named as there.
        view_loss: how the losses of an image's views become one.
        is_pooled: whether the influence split is also trained on.
        is_tuned: whether the base augmentation is chosen on the selection split.
        is_oracle: whether the training images are shifted as the test images are.
        generator: for random tau: G as it was initially, or as the paired
            `base_learned` run left it.
        control: of a learned method: the method without the learned view, whose F
            drives E where s_val is solved once.
        signal: of a learned method: what teaches E and G: influence by s_val, by the
            validation gradient in its place, or one step of F ahead.
        sees: of a learned method: what E derives an image's tau from.
        is_reweighted: whether every view weighs by its influence.
        is_even: whether pooled influence images are half of what is trained on.
        is_late: whether target images join for the last quarter, as half of each batch,
            when E and G stand still.
        stretches: whether F sees each image stretched over the whole range of values.
        head_first: whether the last layer is at its optimum before the others learn.
        adapts: whether BatchNorm takes the statistics of the target images at last.
        is_trial: whether it tries a candidate for the base of tuned methods.
        policy: of a policy's view: uniform, updated after every refresh (online), or as
            the paired `policy_online` training left it (learned).
    """

    name: str
    views: tuple[View, View]
    adds: str | None = None
    view_loss: ViewLoss = "mean"
    is_pooled: bool = False
    is_tuned: bool = False
    is_oracle: bool = False
    generator: GeneratorFrom | None = None
    control: str | None = None
    signal: Signal = "influence"
    sees: Sees = "image"
    is_reweighted: bool = False
    is_even: bool = False
    policy: PolicyFrom | None = None
    is_late: bool = False
    stretches: bool = False
    head_first: bool = False
    adapts: bool = False
    is_trial: bool = False

    def views_of(self, num: int) -> tuple[View, ...]:
        """`num` views, the method's in turn; the original comes first for `mmel_soft`.

        >>> METHODS["base_learned"].views_of(3)
        ('base', 'base+learned', 'base')
        """
        repeated: list[View] = [self.views[k % len(self.views)] for k in range(num)]
        if self.view_loss == "mmel_soft":
            repeated = ["identity", *repeated]
        return tuple(repeated)

    @property
    def is_learned(self) -> bool:
        """Whether E and G learn in this method."""
        return any("learned" in view for view in self.views)

    @property
    def learns_views(self) -> bool:
        """Whether E or a policy learns in this method, so that its views change."""
        return self.is_learned or self.learns_policy

    @property
    def has_learned_view(self) -> bool:
        """Whether a view comes from E and G, or from a policy that has learned."""
        return self.is_learned or self.policy in ("online", "learned")

    def divided(self, splits: Splits) -> Splits:
        """The images as this method uses them.

        Where folds are judged, the trial of a base, which trains on no target image,
        chooses by all of them. Only where E learns do selection images choose: pooled
        methods train on them as well elsewhere, and S is of them, too.
        """
        if not splits.is_folded:
            return splits
        if self.is_trial:
            return splits.with_influence_selecting
        trains_on_target = self.is_pooled or self.is_late
        learns = self.has_learned_view or self.is_reweighted
        if (trains_on_target or learns) and not self.is_learned:
            return splits.with_selection_in_influence
        return splits

    @property
    def solves_s_val(self) -> bool:
        """Whether s_val is refreshed here: for E, for a policy, or for weights."""
        learns = self.is_learned and self.signal != "lookahead"
        return self.is_reweighted or learns or self.learns_policy

    @property
    def learns_policy(self) -> bool:
        """Whether the policy over operations is updated in this method."""
        return self.policy == "online"

    @property
    def looks_ahead(self) -> bool:
        """Whether E and G learn by one step of F ahead."""
        return self.is_learned and self.signal == "lookahead"

    @property
    def uses_generator(self) -> bool:
        """Whether G makes a view, at learned or at random tau."""
        return self.is_learned or self.generator is not None

    @property
    def learns_on_base(self) -> bool:
        """Whether E or a policy learns on base-augmented images, as in use."""
        return "base+learned" in self.views or "base+policy" in self.views


Views = tuple[View, View]
_BASE: Views = ("base", "base")
_LEARNED: Views = ("base", "base+learned")
_RANDOM: Views = ("base", "base+random")
_POLICY: Views = ("base", "base+policy")
_ALONE: Views = ("policy", "policy")

_even = partial(Method, is_pooled=True, is_even=True)

_USUAL = (
    Method(name="none", views=("identity", "identity")),
    Method(name="base", views=_BASE),
    Method(name="base_tuned", views=_BASE, is_tuned=True),
    Method(name="learned", views=("identity", "learned"), control="none"),
    Method(name="base_learned", views=_LEARNED, control="base"),
    Method(name="base_random_initial", views=_RANDOM, generator="initial"),
    Method(name="base_random_final", views=_RANDOM, generator="final"),
    Method(name="pooled", views=_BASE, is_pooled=True),
    Method(name="pooled_learned", views=_LEARNED, is_pooled=True, control="pooled"),
    Method(name="oracle", views=_BASE, is_oracle=True),
)

# Other methods, in the same training. They are run where they are named.
_SIBLINGS = (
    Method(name="autoaugment", views=_BASE, adds="autoaugment:imagenet"),
    Method(name="randaugment", views=_BASE, adds="randaugment:9"),
    Method(name="trivial", views=_BASE, adds="trivial"),
    Method(name="augmix", views=_BASE, adds="augmix:3"),
    Method(name="mixup", views=_BASE, adds="mixup:0.2"),
    Method(name="cutmix", views=_BASE, adds="cutmix:1"),
    Method(name="erasing", views=_BASE, adds="erasing:0.5"),
    Method(name="mmel_hard", views=_BASE, view_loss="mmel_hard"),
    Method(name="mmel_soft", views=_BASE, view_loss="mmel_soft"),
    Method(name="trivial_learned", views=_LEARNED, adds="trivial", control="trivial"),
    Method(name="mixup_learned", views=_LEARNED, adds="mixup:0.2", control="mixup"),
)

# What else the influence images could be used for, in the same training.
_NEIGHBOURS = (
    Method(name="reweighted", views=_BASE, is_reweighted=True),
    Method(name="bilevel_learned", views=_LEARNED, control="base", signal="lookahead"),
)

# What of the method matters: S, and that each image has a tau of its own.
_DIAGNOSTICS = (
    Method(name="gradient_learned", views=_LEARNED, control="base", signal="gradient"),
    Method(name="shuffled_learned", views=_LEARNED, control="base", sees="other"),
    Method(name="constant_learned", views=_LEARNED, control="base", sees="nothing"),
)

# A policy over ready-made operations. `policy_online` learns it, and sees nothing but
# its views, so that the reward is theirs. A fresh F then trains on them, with the base
# beside them or alone, and with or without the images that drove.
_OPERATION_POLICIES = (
    Method(name="uniform_policy", views=_POLICY, policy="uniform"),
    Method(name="policy_online", views=_ALONE, policy="online"),
    Method(name="policy_learned", views=_POLICY, policy="learned"),
    Method(name="uniform_alone", views=_ALONE, policy="uniform"),
    Method(name="policy_alone", views=_ALONE, policy="learned"),
    _even(name="pooled_even", views=_BASE),
    _even(name="pooled_uniform", views=_POLICY, policy="uniform"),
    _even(name="pooled_policy", views=_POLICY, policy="learned"),
    _even(name="pooled_policy_alone", views=_ALONE, policy="learned"),
)
POLICY_FROM = "policy_online"

# What a sceptic would try with the same labels: recipes without a learned view, and the
# learned view where target images join late.
_RECIPES = (
    Method(name="pooled_trivial", views=_BASE, adds="trivial", is_pooled=True),
    Method(name="pooled_tuned", views=_BASE, is_pooled=True, is_tuned=True),
    Method(name="pooled_stretched", views=_BASE, is_pooled=True, stretches=True),
    Method(name="pooled_head_first", views=_BASE, is_pooled=True, head_first=True),
    Method(name="adapted", views=_BASE, adapts=True),
    Method(name="pooled_adapted", views=_BASE, is_pooled=True, adapts=True),
    _even(name="even_tuned", views=_BASE, is_tuned=True),
    _even(name="even_stretched", views=_BASE, is_tuned=True, stretches=True),
    Method(name="late", views=_BASE, is_late=True),
    Method(name="late_learned", views=_LEARNED, control="late", is_late=True),
)

METHODS = {
    method.name: method
    for method in (
        *(*_USUAL, *_SIBLINGS, *_NEIGHBOURS, *_DIAGNOSTICS),
        *(*_OPERATION_POLICIES, *_RECIPES),
    )
}
USUAL = tuple(method.name for method in _USUAL)
SIBLINGS = tuple(method.name for method in (*_SIBLINGS, *_NEIGHBOURS))

# Those of the siblings that learn nothing.
POLICIES = tuple(method.name for method in _SIBLINGS if not method.is_learned)

# Whatever does without our learned view: controls wherever they were run.
RIVALS = (
    *POLICIES,
    *(method.name for method in (*_NEIGHBOURS, *_DIAGNOSTICS)),
    *(
        method.name
        for method in (*_OPERATION_POLICIES, *_RECIPES)
        if not method.has_learned_view
    ),
)

# Not a method of the table: where a seed's G is fitted adversarially, before the
# methods.
GENERATOR = Method(name="generator", views=("identity", "identity"))

# The random-tau control is the better of these two, chosen on the selection split.
RANDOM = "base_random"
RANDOM_METHODS = ("base_random_initial", "base_random_final")

# The method whose F shows its features to a critic; G is fitted after it.
FEATURES_OF = "base"
