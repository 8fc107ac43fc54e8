"""Damaging files of every format and watching what loading them does; run by benchmarks/fuzz_readers.py."""
