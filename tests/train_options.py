"""Training options by the names of their flags."""

from trainer.config.options import TrainOptions, train_options


def made(**values) -> TrainOptions:
    return train_options(**values)
