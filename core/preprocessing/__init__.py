"""From a recording to the windows an encoder wants: filter, cut, normalise, choose, average."""
