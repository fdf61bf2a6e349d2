"""Model versions: registering, the gate, promotion and rollback with their journal, lineage."""
