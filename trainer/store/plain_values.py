"""Values as JSON holds them."""

import json
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: lists for tuples and arrays, numbers for numpy's, text for whatever else."""
    return json.loads(json.dumps(value, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
