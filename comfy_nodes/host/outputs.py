"""Outputs that an encoder cannot fill."""

from typing import Any


def absent(node: Any, index: int, why: str) -> Any:
    """Return what stands in an output that there is nothing for; raises ValueError where something is connected to it.

    Something may be connected later, with the node's result still in the host's cache: then the host's own blocker
    says why, at the node behind.
    """
    from comfy_execution.graph_utils import ExecutionBlocker

    own = [str(node.hidden.unique_id), index]
    for other in (node.hidden.prompt or {}).values():
        for value in other.get("inputs", {}).values():
            if isinstance(value, list) and [str(value[0]), *value[1:]] == own:
                raise ValueError(why)
    return ExecutionBlocker(why)
