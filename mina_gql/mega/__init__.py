"""The three MEGA tables: every SQL statement lives here."""
