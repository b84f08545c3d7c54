//! The front panel: the board file, its lines and its media budget.
