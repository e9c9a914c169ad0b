"""Pure scoring: no clock, no I/O, no Faust."""
