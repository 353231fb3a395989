"""The workbooks that counties fill in, made from the forms."""
