"""What every reader is handed and gives back: options, signals, units, clocks, event tables."""
