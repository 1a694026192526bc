"""What changes while mcpguard serves: files in force, days that pass, and the values that it recognises."""
