"""Recordings of consumer headsets and their programs: Emotiv, Muse, OpenBCI, Unicorn, BrainFlow, XDF."""
