"""What a whole recording tells beyond its windows: the time before pictures, jumps, what it shares with another."""
