"""Encoders fitted without gradient descent: closed forms, ridge regression, calibration, one person's encoder."""
