"""What is said of a folder of recordings before anything is trained on it."""
