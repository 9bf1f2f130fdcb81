"""The gate as tools of the Model Context Protocol: one more front end over the same flow."""
