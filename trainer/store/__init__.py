"""The trial store: epoched EEG on disk, appended to, read by memory map."""
