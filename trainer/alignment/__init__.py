"""Human alignment of image encoders: odd-one-out judgements, and the affine map that is fitted to them."""
