"""The usage page: what the ledger holds, in a browser. Others import ``public``."""
