"""The shared gradient-clipping module. Pure torch; knows nothing of driving."""
