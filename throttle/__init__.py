"""The application: command line, run tracking, demonstration."""
