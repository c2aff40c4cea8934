"""Code that tests share: throw-away databases and the walls around a test."""
