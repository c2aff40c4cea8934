"""What callers can do, a file for each kind; `service` puts them together."""
