"""What answers calls: sessions, hooks, failures, output. No public name is in here."""
