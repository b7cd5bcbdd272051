"""Use-cases: one transaction each; they speak to ports, never to vendors."""
