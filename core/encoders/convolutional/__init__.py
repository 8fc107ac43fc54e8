"""Encoders made of convolutions over time and across channels."""
