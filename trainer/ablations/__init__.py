"""What each part of the two-level decoder is worth, arm by arm."""
