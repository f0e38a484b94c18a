"""What keeps the repository in order: the checks, the locks, the generated parts of the documents."""
