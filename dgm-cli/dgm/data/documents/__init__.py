"""Collections of documents, a module each."""
