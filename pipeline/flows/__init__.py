"""When and where stages run: Prefect flows in which one task is one DVC stage."""
