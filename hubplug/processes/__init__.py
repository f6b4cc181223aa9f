"""Child processes with limits, for what runs or reads a module's program: whatever happens to the child, the caller goes on."""
