"""Checks of the design alone: what tells the class without any EEG."""
