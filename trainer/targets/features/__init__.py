"""Rows of frozen models, one a picture or text: computed once, kept on disk, read by memory map."""
