"""Pictures drawn from decoded EEG while training and evaluating."""
