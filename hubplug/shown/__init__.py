"""What people see: which parts of a text are secrets, how text from outside is escaped, and how progress is shown."""
