"""Calibration on held-out predictions: spread gain, temperature and confidence."""

import numpy as np
import torch
from torch import Tensor

from core.checkpoint import EegEncoder
from core.closed_form import fit_temperature
from core.confidence import confidence_score, fit_confidence
from core.heads import Head
from core.retrieval import similarities
from core.trials import Trials

from .building import Target

MIN_TRIALS = 10  # fewer say nothing about probabilities


def calibrate(encoder: EegEncoder, outputs: dict[str, Tensor], held_out: Trials, targets: dict[str, Target]) -> None:
    """Set recall, spread gain, temperature and confidence of every head from raw outputs (n, ·) on trials it was not
    trained on.

    Being right means: the most likely prompt is the label's, or among the held-out trials' distinct targets the
    nearest is the trial's own. With fewer than ten trials nothing is set.
    """
    if len(held_out) < MIN_TRIALS:
        return
    label = torch.from_numpy(held_out.label)
    for head in encoder.heads:
        assert isinstance(head, Head)
        space, output = head.config.space, outputs[head.config.space].float()
        if head.config.kind == "prompts":
            head.temperature.copy_(fit_temperature(output, label))
            right, n_way = output.argmax(-1) == label, len(head.config.prompts)
        else:
            rows = targets[space].rows(held_out)
            distinct, index = np.unique(rows, return_inverse=True)
            if len(distinct) < 2:
                continue
            gallery = targets[space].values[torch.from_numpy(distinct)]
            wanted = targets[space].values[torch.from_numpy(rows)]
            head.fit_recall(output, wanted)
            head.fit_spread_gain(head.recall(output), wanted)
            found = similarities(head.comparable(output), head.comparable(gallery))
            right, n_way = found.argmax(-1) == torch.from_numpy(index.reshape(-1)), len(distinct)
        encoder.confidence[space] = fit_confidence(confidence_score(head, output), right, 1 / n_way)
