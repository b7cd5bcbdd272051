"""`mega_generations`, the ledger of everything: a module for each record type, and `runs` for the work in progress."""
