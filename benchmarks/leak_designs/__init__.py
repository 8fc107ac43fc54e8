"""Small made-up experiments for planted_leaks.py: honest ones, and ways in which they leak."""
