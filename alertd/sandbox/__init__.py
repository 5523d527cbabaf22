"""A reporting API of our own: the whole document over real HTTP, over generated or imported conversations."""
