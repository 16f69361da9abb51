"""A Plan and the ego state to a Control, learned with Stable-Baselines3."""
