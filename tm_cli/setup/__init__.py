"""What `tm init` writes, and what `tm init --check` reads: answers in, texts out; no network."""
