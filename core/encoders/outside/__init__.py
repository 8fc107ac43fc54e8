"""Models of other packages as encoders, where those packages are installed."""
