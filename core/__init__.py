"""EEG to what diffusion models understand. No host, no user interface, no trainer."""
