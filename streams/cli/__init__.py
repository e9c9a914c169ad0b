"""The command `cx`: one module a command group."""
