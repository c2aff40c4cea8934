"""What operators do with the ledger: a file for each kind of question."""
