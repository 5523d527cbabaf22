"""What must be asked, with the fewest calls: needs, plan, fetching."""
