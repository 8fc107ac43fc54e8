"""From what a file says to a `Recording`: which reader, the rate, events, channels, units, gaps, amplitudes."""
