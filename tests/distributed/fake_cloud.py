"""A cloud on this machine whose spot machines can run out.

Ray's autoscaler imports `RefusingProvider`; while the file that the provider section
names as `refuses` exists, it has no machine of the group `spot`.
"""

import os

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE


class RefusingProvider(FakeMultiNodeProvider):
    """Ray's fake provider, out of spot machines when a file says so."""

    def create_node_with_resources_and_labels(
        self, node_config, tags, count, resources, labels
    ):
        is_spot = tags[TAG_RAY_USER_NODE_TYPE] == "spot"
        if is_spot and os.path.exists(self.provider_config["refuses"]):
            raise NodeLaunchException("InsufficientInstanceCapacity", "no spot", None)
        super().create_node_with_resources_and_labels(
            node_config, tags, count, resources, labels
        )
