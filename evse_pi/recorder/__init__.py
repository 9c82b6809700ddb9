"""The black box: frames, ring, key frames, recordings and their replay."""
