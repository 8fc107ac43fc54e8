"""Calibration on held-out predictions: recall, spread gain, temperature and confidence."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..model.checkpoint import EegEncoder
from ..model.confidence import confidence_score, fit_confidence
from ..model.heads import Head
from ..scoring.retrieval import similarities
from .closed_form import fit_temperature

MIN_TRIALS = 10  # fewer say nothing about probabilities


def calibrate(
    encoder: EegEncoder, outputs: dict[str, Tensor], label: Tensor, targets: Mapping[str, tuple[Tensor, np.ndarray]]
) -> None:
    """Set recall, spread gain, temperature and confidence of every head from raw outputs (n, ·) on trials it was not
    trained on.

    label: (n,), class numbers, for a `prompts` head. targets: for each regression space the distinct targets
    (n_distinct, n_values) and each trial's row among them (n,). Being right means: the most likely prompt is the
    label's, or among the held-out trials' distinct targets the nearest is the trial's own. With fewer than ten trials
    nothing is set.
    """
    if len(label) < MIN_TRIALS:
        return
    for head in encoder.heads:
        assert isinstance(head, Head)
        space, output = head.config.space, outputs[head.config.space].float()
        if head.config.kind == "prompts":
            head.temperature.copy_(fit_temperature(output, label))
            right, n_way = output.argmax(-1) == label, len(head.config.prompts)
        else:
            values, rows = targets[space]
            distinct, index = np.unique(rows, return_inverse=True)
            if len(distinct) < 2:
                continue
            gallery, wanted = values[torch.from_numpy(distinct)], values[torch.from_numpy(rows)]
            head.fit_recall(output, wanted)
            head.fit_spread_gain(head.recall(output), wanted)
            found = similarities(head.comparable(output), head.comparable(gallery))
            right, n_way = found.argmax(-1) == torch.from_numpy(index.reshape(-1)), len(distinct)
        encoder.confidence[space] = fit_confidence(confidence_score(head, output), right, 1 / n_way)
