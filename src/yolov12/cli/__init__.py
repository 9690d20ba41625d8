"""The command line: `main` runs it, `verbs` lists the commands, `grammar` reads what was typed."""
