"""What analysis programs write: FIF, EEGLAB, MATLAB, NumPy, NWB, tables, ARFF, our own form."""
