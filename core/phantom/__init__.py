"""The phantom world: drawn scenes, a simulated brain that sees them, the ideal observer; nothing is brain data."""
