"""The phantom world: drawn scenes, a simulated brain that sees them, and the ideal observer. Nothing here is brain
data.
"""
