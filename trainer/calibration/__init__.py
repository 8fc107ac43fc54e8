"""Calibrating an encoder on what training left out, and the evidence it keeps of its training."""
