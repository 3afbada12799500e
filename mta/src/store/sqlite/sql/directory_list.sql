SELECT entry, sealed FROM directory_entry ORDER BY key
