"""What goes back to a county: its own workbook with every mistake marked, or a receipt."""
