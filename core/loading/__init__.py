"""From a file to a `Recording`: which reader, what it says, what is made of it."""
