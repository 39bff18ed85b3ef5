"""Long work: jobs that are kept in a database, drawn in their turn, watched, and told about when they are done."""
