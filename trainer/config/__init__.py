"""What a training is asked for: options, presets, how files are read."""
