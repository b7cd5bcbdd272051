"""The MMA pipeline: its steps, and the runner that records and resumes them."""
