"""Generated codes of documents, a module each."""
