"""Encoders with self-attention in front of, or behind, convolutions."""
