"""EEG to what diffusion models understand: recordings, encoders, conditioning. No host, no user interface, no trainer."""
