"""Protocols: who trains, validates and tests in each fold of an evaluation, one a file, registered by name."""
