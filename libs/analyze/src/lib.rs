//! Answers questions about recorded runs, for the commands that show them.
