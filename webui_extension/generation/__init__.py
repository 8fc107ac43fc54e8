"""The accordion: what is asked of one generation, what is decoded for it, how it acts."""
