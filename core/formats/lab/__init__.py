"""Recordings of laboratory amplifiers: EDF and BDF, GDF, BrainVision, Neuroscan and ANT, EGI, Nicolet."""
