SELECT entry FROM directory_entry WHERE key = ?1
