"""The stages of a training and what they share: splits, batches, losses, loops, state."""
