"""Which of the installed runtimes is fastest here, found by measuring, and remembered."""
