"""Encoders that flatten the window first."""
