"""The store: tables, transactions, migrations, and the lock that keeps a second daemon out."""
