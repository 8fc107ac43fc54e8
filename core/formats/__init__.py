"""What files of EEG say, one family a file, judging nothing; `loading.readers.READERS` has them all."""
