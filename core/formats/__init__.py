"""What files of EEG say, one file a family; `readers.READERS` has them all, `suffixes.SUFFIXES` their names."""
