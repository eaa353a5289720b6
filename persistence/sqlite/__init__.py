"""The embedded store: one SQLite file. Nothing else imports sqlite3."""
