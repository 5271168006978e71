"""Noise of detectors in their order of readout: models, and plans for frames with one mask."""
