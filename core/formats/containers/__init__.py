"""Outer forms that several families of files share: text tables, HDF5, arrays, what MNE reads, pickles."""
