"""Pages that open from disk: of a run, of a recording."""
