"""Parts of the contract beside `backend`, which inherits them: one subject a module, nothing decided here."""
