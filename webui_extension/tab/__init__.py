"""The EEG tab, one file a panel, and the jobs behind its buttons."""
