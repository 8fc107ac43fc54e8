"""Every fold's encoder is a new one: what came before it leaves no trace."""

from dataclasses import replace

import numpy as np
import torch

from tests.small_trials import CONFIG, class_trials
from trainer.config.options import train_options
from trainer.protocols.registry import protocol_named
from trainer.training.fit import fit_encoder
from trainer.training.folds import fitted_folds
from trainer.training.splits import fold_options


def test_a_fold_that_comes_second_has_the_weights_of_one_that_comes_alone(tmp_path):
    trials = class_trials(2, pictures=6, repeats=4)
    trials = replace(trials, subject=np.where(np.arange(len(trials)) % 2, "a", "b"))
    options = train_options(
        space=("prompts",), set=("kernel=5", "pool=5", "n_filters=2"), epochs=2, batch=8, average="none", patience=0
    )
    name = "leave-one-subject-out"
    folds = list(fitted_folds(trials, CONFIG, {}, options, name, tmp_path / "all", keep_split=True))
    assert [fold.name for fold, _ in folds] == ["a", "b"]
    for fold, _ in folds:
        assert set(trials.split[fold.test]) == {"test"}
        assert set(trials.subject[fold.train]) == {"ab".replace(fold.name, "")}
    second = list(protocol_named(name).folds(trials, fold_options(options, keep_split=True)))[1]
    alone = fit_encoder(trials, second.parts, CONFIG, {}, options, tmp_path / "alone")
    whole, found = alone.state_dict(), folds[1][1].state_dict()
    assert all(torch.equal(whole[key], found[key]) for key in whole)
    first = folds[0][1].state_dict()
    assert not all(torch.equal(first[key], found[key]) for key in found)
