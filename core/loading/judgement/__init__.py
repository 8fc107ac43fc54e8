"""What is made of what a file says: rate, channels, names, places, events, gaps, amplitudes, offsets."""
