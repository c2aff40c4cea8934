"""What every module of the backend stands on. It imports no module."""
