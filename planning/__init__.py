"""A Scene to a Plan."""
