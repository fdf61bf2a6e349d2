"""What people look at: figures, HTML pages and tables on the terminal."""
