"""Checks of the EEG: what tells the class but cannot be the brain's answer to a picture."""
